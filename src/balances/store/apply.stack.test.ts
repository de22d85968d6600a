import { expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import fc from 'fast-check'
import { openDatabase } from '../../platform/database'
import { createLog } from '../../platform/log'
import { prepareDatabase } from '../../platform/migrate'
import { backing } from '../../testing/backing'
import type { BalanceRow } from '../project'
import { apply, type Claim } from './apply'
import { findBalances, rfc3339 } from './balances'
import { mergeBalances } from './merge-model'
import { markSeeded } from './seeds'

setDefaultTimeout(30_000)

const log = createLog({ service: 'test', level: 'fatal', format: 'json' })

async function openBalances() {
  const { url } = await (await backing()).createDatabase('balances')
  const folder = join(import.meta.dir, '../../../migrations/balances')
  await prepareDatabase({ url, folder, migrate: true, log, signal: new AbortController().signal })
  const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'test' })
  return { ...database, [Symbol.asyncDispose]: () => database.close() }
}

const freely: Claim = (sql) => sql`select true`

const time = fc
  .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString())
const accountIds = ['a', 'é"\\{},', 'NULL', '']
const row = fc
  .record({
    accountId: fc.constantFrom(...accountIds),
    clientId: fc.constantFrom('client', 'another', null),
    currency: fc.constantFrom('BRL', 'JPY'),
    balanceMinor: fc.bigInt({ min: -999_999_999_999_999n, max: 999_999_999_999_999n }),
    version: fc.oneof(fc.bigInt({ min: 0n, max: 4n }), fc.constantFrom(2n ** 53n, 2n ** 53n + 1n)),
    opened: fc.boolean(),
    createdAt: time,
    updatedAt: time,
  })
  // As a projection makes them: nothing is held at version 0, and an owner is known from the opening.
  .map(
    (row): BalanceRow => ({
      ...row,
      balanceMinor: row.version === 0n ? 0n : row.balanceMinor,
      clientId: row.opened ? row.clientId : null,
    }),
  )
const batch = fc.uniqueArray(row, { selector: ({ accountId }) => accountId, maxLength: accountIds.length })

test('rows are merged by the rule, and come back exactly as they were written', async () => {
  await using database = await openBalances()
  await fc.assert(
    fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 5 }), async (batches) => {
      const expected = new Map<string, BalanceRow>()
      await database.sql`delete from balances`
      for (const balances of batches) {
        mergeBalances(expected, balances)
        await apply(database.sql, freely, { balances, clients: [], deadLetters: [] })
      }
      const stored = await database.sql<BalanceRow[]>`
          select account_id as "accountId", client_id as "clientId", currency, balance_minor as "balanceMinor", version, opened,
            created_at as "createdAt", updated_at as "updatedAt"
          from balances`
      expect(
        new Map(
          stored.map((row) => [
            row.accountId,
            { ...row, createdAt: rfc3339(row.createdAt), updatedAt: rfc3339(row.updatedAt) },
          ]),
        ),
      ).toEqual(expected)
    }),
    { numRuns: 40 },
  )
})

const opening = (version: bigint): BalanceRow => ({
  accountId: 'eva',
  clientId: 'client',
  currency: 'BRL',
  balanceMinor: version * 100n,
  version,
  opened: true,
  createdAt: '2020-01-07T00:00:00.000Z',
  updatedAt: '2020-01-07T00:00:00.000Z',
})

test('a claim that was somebody else’s writes nothing', async () => {
  await using database = await openBalances()
  const client = { id: 'client', name: 'Eva', email: 'eva@email.com', createdAt: '2020-01-07T00:00:00.000Z' }
  const rows = (version: bigint) => ({ balances: [opening(version)], clients: [client], deadLetters: [] })
  expect(await apply(database.sql, markSeeded('seed'), rows(1n))).toEqual({ claimed: true, changed: 1 })
  expect(await apply(database.sql, markSeeded('seed'), rows(2n))).toEqual({ claimed: false, changed: 0 })
  const found = (await findBalances(database.sql, ['eva', 'nobody'])).get('eva')
  expect(found).toMatchObject({ version: 1n, balanceMinor: 100n, ownerName: 'Eva' })
})

test('a client is registered once, and the tables refuse what no projection makes', async () => {
  await using database = await openBalances()
  const client = (name: string) => ({ id: 'client', name, email: 'e', createdAt: '2020-01-07T00:00:00.000Z' })
  for (const name of ['Eva', 'Frank'])
    await apply(database.sql, freely, { balances: [], clients: [client(name)], deadLetters: [] })
  expect([...(await database.sql`select name from clients`)]).toEqual([{ name: 'Eva' }])

  const odd: Partial<BalanceRow>[] = [
    { version: -1n },
    { version: 0n, balanceMinor: 1n },
    { balanceMinor: 1_000_000_000_000_000n },
    { currency: 'brl' },
  ]
  for (const part of odd) {
    const applying = apply(database.sql, freely, {
      balances: [{ ...opening(1n), ...part }],
      clients: [],
      deadLetters: [],
    })
    await expect(applying).rejects.toThrow(/balances_(version|digits|currency)/)
  }
})
