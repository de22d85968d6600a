/** Commands about the same name at the same time. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { openKeys, type TestKeys } from '../testing/api-keys'
import { backing } from '../testing/backing'
import { listKeys } from './keys-store'
import { createKey, type KeyTerms, revokeKey, rollKey } from './manage'

let keys: TestKeys
beforeAll(async () => {
  const { createDatabase } = await backing()
  keys = openKeys(await createDatabase('keys', 'wallet'))
})
afterAll(async () => {
  await keys?.[Symbol.asyncDispose]()
})

const rounds = 8
const termsOf = (name: string): KeyTerms => ({
  ...{ name, env: 'test', scopes: ['read'] },
  ...{ accountIds: null, clientId: null, expiresAt: null },
})
const validOf = async (name: string) =>
  (await listKeys(keys.sql)).filter((key) => key.name === name && key.revokedAt === null)

test('of two that create a key of one name, one is refused', async () => {
  for (let round = 0; round < rounds; round++) {
    const name = `created-${round}`
    const creating = [createKey(keys.sql, termsOf(name)), createKey(keys.sql, termsOf(name))]
    const results = (await Promise.allSettled(creating)).map(({ status }) => status).sort()
    expect(results).toEqual(['fulfilled', 'rejected'])
  }
})

test('a revocation by name ends the key that a roll makes meanwhile', async () => {
  for (let round = 0; round < rounds; round++) {
    const name = `rolled-${round}`
    await createKey(keys.sql, termsOf(name))
    const rolling = rollKey(keys.sql, name, { overlapMs: 60_000, expiresAt: undefined })
    const [, revoked] = await Promise.allSettled([rolling, revokeKey(keys.sql, name)])
    expect([revoked.status, await validOf(name)]).toEqual(['fulfilled', []])
  }
})
