/** API keys for tests, in the database of a service, as its owner makes them. */
import { createKey, type KeyTerms } from '../access/manage'
import { type Database, openDatabase } from '../platform/postgres/database'
import type { TestDatabase } from './backing'

export type TestKeys = {
  sql: Database['sql']
  /** The header of a new key: by default with all scopes and without a restriction. */
  create(terms?: Partial<KeyTerms>): Promise<{ authorization: string }>
  [Symbol.asyncDispose](): Promise<void>
}

export function openKeys({ url }: Pick<TestDatabase, 'url'>): TestKeys {
  const { sql, close } = openDatabase({ url, poolMax: 2, prepare: false, applicationName: 'saldo-test' })
  let count = 0
  return {
    sql,
    async create(terms = {}) {
      const { token } = await createKey(sql, {
        ...{ name: `key-${++count}`, env: 'test', scopes: ['read', 'write', 'admin', 'metrics'] },
        ...{ accountIds: null, clientId: null, expiresAt: null, ...terms },
      })
      return { authorization: `Bearer ${token}` }
    },
    [Symbol.asyncDispose]: () => close(),
  }
}
