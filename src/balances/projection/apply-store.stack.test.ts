import { expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { openDatabase } from '../../platform/postgres/database'
import { prepareDatabase } from '../../platform/postgres/migrate'
import { createLog } from '../../platform/telemetry/log'
import { backing } from '../../testing/backing'
import { isAtOdds, mergeBalances } from '../../testing/merge-rule'
import { findBalances } from '../queries/balances-store'
import { markSeeded } from '../seed/seeds-store'
import { applyProjection, type Claim, isConflict, isRepeated } from './apply-store'
import type { BalanceRow, EntryRow } from './types'

const log = createLog({ service: 'test', level: 'fatal', format: 'json' })

const migrations = join(import.meta.dir, '../../../migrations/balances')

async function openBalances() {
  const { url } = await (await backing()).createDatabase('balances', 'balances')
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
    currency: fc.oneof(
      { weight: 9, arbitrary: fc.constant('BRL') },
      { weight: 1, arbitrary: fc.constant('JPY') },
    ),
    balanceMinor: fc.bigInt({ min: -999_999_999_999_999_000n, max: 999_999_999_999_999_999n }),
    source: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(null, 'versioned' as const) },
      { weight: 1, arbitrary: fc.constant('versionless' as const) },
    ),
    heldMinor: fc.bigInt({ min: 0n, max: 999n }),
    status: fc.constantFrom('open', 'frozen'),
    overdraftLimitMinor: fc.constantFrom(null, 0n, 999_999_999_999_999n),
    openingLimitMinor: fc.constantFrom(null, 5n),
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
      heldMinor: row.balanceMinor < 0n ? 0n : row.heldMinor,
      clientId: row.opened ? row.clientId : null,
      openingLimitMinor: row.opened ? row.openingLimitMinor : null,
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
        const applying = applyProjection(database.sql, freely, {
          balances,
          entries: [],
          clients: [],
          deadLetters: [],
        })
        if (balances.some((row) => isAtOdds(expected.get(row.accountId), row)))
          expect(isConflict(await applying.catch((error) => error))).toBe(true)
        else {
          await applying
          mergeBalances(expected, balances)
        }
      }
      const stored = await database.sql<BalanceRow[]>`
          select account_id as "accountId", client_id as "clientId", currency,
            balance_minor as "balanceMinor", held_minor as "heldMinor", version, source, opened, status,
            overdraft_limit_minor as "overdraftLimitMinor", opening_limit_minor as "openingLimitMinor",
            created_at as "createdAt", updated_at as "updatedAt"
          from balances`
      expect(new Map(stored.map((row) => [row.accountId, row]))).toEqual(expected)
    }),
    { numRuns: 40 },
  )
})

const opening = (version: bigint): BalanceRow => ({
  accountId: 'eva',
  clientId: 'client',
  currency: 'BRL',
  balanceMinor: version * 100n,
  heldMinor: 0n,
  status: 'open',
  overdraftLimitMinor: null,
  openingLimitMinor: null,
  version,
  source: null,
  opened: true,
  createdAt: '2020-01-07T00:00:00.000Z',
  updatedAt: '2020-01-07T00:00:00.000Z',
})

test('a claim that was somebody else’s writes nothing', async () => {
  await using database = await openBalances()
  const client = { id: 'client', name: 'Eva', version: 1n }
  const rows = (version: bigint) => ({
    balances: [opening(version)],
    entries: [],
    clients: [client],
    deadLetters: [],
  })
  expect(await applyProjection(database.sql, markSeeded('seed'), rows(1n))).toEqual({
    claimed: true,
    changed: 1,
    recorded: 0,
  })
  expect(await applyProjection(database.sql, markSeeded('seed'), rows(2n))).toEqual({
    claimed: false,
    changed: 0,
    recorded: 0,
  })
  const found = (await findBalances(database.sql, ['eva', 'unknown'])).get('eva')
  expect(found).toMatchObject({ version: 1n, balanceMinor: 100n, ownerName: 'Eva' })
})

const entry = (version: bigint, extra: Partial<EntryRow> = {}): EntryRow => ({
  accountId: 'é"\\{},',
  version,
  amountMinor: -version,
  balanceMinor: 2n ** 49n,
  heldMinor: 7n,
  status: 'frozen',
  overdraftLimitMinor: 2n,
  transactionId: 'NULL',
  holdId: null,
  counterpartyId: 'b',
  actor: 'a "key"',
  effectiveAt: null,
  createdAt: '2020-01-07T00:00:00.000Z',
  ...extra,
})

test('an entry is inserted once: the first one wins, and is read back as it was written', async () => {
  await using database = await openBalances()
  const record = (...entries: EntryRow[]) =>
    applyProjection(database.sql, freely, { balances: [], entries, clients: [], deadLetters: [] })
  const partial = {
    amountMinor: null,
    transactionId: null,
    counterpartyId: null,
    effectiveAt: '2019-12-31T23:00:00.000Z',
  }
  await record(entry(2n), entry(2n, { balanceMinor: 1n }), entry(1n, partial))
  await record(entry(3n), entry(1n), entry(2n, { transactionId: 'another' }))
  const stored = await database.sql<EntryRow[]>`
    select account_id as "accountId", version, amount_minor as "amountMinor",
      balance_minor as "balanceMinor", held_minor as "heldMinor", transaction_id as "transactionId",
      hold_id as "holdId", counterparty_id as "counterpartyId", effective_at as "effectiveAt",
      created_at as "createdAt", status, overdraft_limit_minor as "overdraftLimitMinor", actor
    from entries order by version`
  expect([...stored]).toEqual([entry(1n, partial), entry(2n), entry(3n)])
})

test('entries that are expected to be new are refused as a whole when one is not', async () => {
  await using database = await openBalances()
  const record = (entries: EntryRow[], options = {}) =>
    applyProjection(database.sql, freely, { balances: [], entries, clients: [], deadLetters: [] }, options)
  const areNew = { areNew: true }
  expect(await record([entry(1n), entry(2n)], areNew)).toMatchObject({ recorded: 2 })
  const refused = await record([entry(3n), entry(2n)], areNew).catch((error) => error)
  expect(isRepeated(refused)).toBe(true)
  expect(await record([entry(3n), entry(2n)])).toMatchObject({ recorded: 1 })
  expect([...(await database.sql`select size, versions from changes order by xid`)]).toEqual([
    { size: 2, versions: '{1,2}' },
    { size: 1, versions: '{3}' },
  ])
})

test('a database of the version before keeps its balances, and gets its entries from now on', async () => {
  const { url } = await (await backing()).createDatabase('balances')
  const before = mkdtempSync(join(tmpdir(), 'saldo-migrations-'))
  cpSync(migrations, before, { recursive: true })
  const journal = await Bun.file(join(before, 'meta/_journal.json')).json()
  await Bun.write(
    join(before, 'meta/_journal.json'),
    JSON.stringify({ ...journal, entries: journal.entries.slice(0, 1) }),
  )
  const { signal } = new AbortController()
  await prepareDatabase({ url, folder: before, migrate: true, log, signal })
  const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'test' })
  await database.sql`insert into balances values ('eva', 'client', 'BRL', 500, 5, true, now(), now())`
  await prepareDatabase({ url, folder: migrations, migrate: true, log, signal })

  const rows = {
    balances: [opening(6n)],
    entries: [entry(6n, { accountId: 'eva' })],
    clients: [],
    deadLetters: [],
  }
  expect(await applyProjection(database.sql, freely, rows)).toEqual({
    claimed: true,
    changed: 1,
    recorded: 1,
  })
  expect((await findBalances(database.sql, ['eva'])).get('eva')).toMatchObject({ version: 6n, heldMinor: 0n })
  expect([...(await database.sql`select version from entries`)]).toEqual([{ version: 6n }])
  await database.close()
  rmSync(before, { recursive: true })
})

test('old accounts get the source of their last movement, those of the seed none', async () => {
  const { url } = await (await backing()).createDatabase('balances')
  const before = mkdtempSync(join(tmpdir(), 'saldo-migrations-'))
  cpSync(migrations, before, { recursive: true })
  const journal = await Bun.file(join(before, 'meta/_journal.json')).json()
  const older = journal.entries.filter(({ tag }: { tag: string }) => tag < '0008')
  await Bun.write(join(before, 'meta/_journal.json'), JSON.stringify({ ...journal, entries: older }))
  const { signal } = new AbortController()
  await prepareDatabase({ url, folder: before, migrate: true, log, signal })
  const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'test' })
  await database.sql`insert into applied_seeds values ('seed', now() - interval '1 hour')`
  const accounts = [
    { id: 'opened', version: 0, at: null, transactionId: null },
    { id: 'seeded', version: 1, at: '2024-01-27T00:00:00Z', transactionId: 't' },
    { id: 'wallet', version: 2, at: new Date().toISOString(), transactionId: 't' },
    { id: 'course', version: 3, at: new Date().toISOString(), transactionId: null },
  ]
  for (const { id, version, at, transactionId } of accounts) {
    await database.sql`
      insert into balances (account_id, currency, balance_minor, version, opened, created_at, updated_at)
      values (${id}, 'BRL', 0, ${version}, false, now(), now())`
    if (at)
      await database.sql`
        insert into entries (account_id, version, balance_minor, held_minor, created_at, transaction_id)
        values (${id}, ${version}, 0, 0, ${at}, ${transactionId})`
  }
  await prepareDatabase({ url, folder: migrations, migrate: true, log, signal })
  expect(Object.fromEntries(await database.sql`select account_id, source from balances`.values())).toEqual({
    opened: null,
    seeded: null,
    wallet: 'versioned',
    course: 'versionless',
  })
  await database.close()
  rmSync(before, { recursive: true })
})

test('the migration puts UUIDs in lower case and leaves other ids as they are', async () => {
  const { url } = await (await backing()).createDatabase('balances')
  const before = mkdtempSync(join(tmpdir(), 'saldo-migrations-'))
  cpSync(migrations, before, { recursive: true })
  const journal = await Bun.file(join(before, 'meta/_journal.json')).json()
  const older = journal.entries.filter(({ tag }: { tag: string }) => tag < '0006')
  await Bun.write(join(before, 'meta/_journal.json'), JSON.stringify({ ...journal, entries: older }))
  const { signal } = new AbortController()
  await prepareDatabase({ url, folder: before, migrate: true, log, signal })
  const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'test' })
  const [alone, twin] = ['d6a41403-bbd0-11ee-8a24-0242ac120003', 'd6a41504-bbd0-11ee-8a24-0242ac120003']
  const ids = [alone.toUpperCase(), twin, twin.toUpperCase(), 'EVA']
  for (const id of ids) {
    await database.sql`
      insert into balances
        (account_id, client_id, currency, balance_minor, version, opened, created_at, updated_at)
      values (${id}, ${alone.toUpperCase()}, 'BRL', 1, 1, true, now(), now())`
    await database.sql`
      insert into entries (account_id, version, balance_minor, held_minor, created_at)
      values (${id}, 1, 1, 0, now())`
    await database.sql`insert into clients values (${id}, 'Eva', 'e', now())`
  }
  await prepareDatabase({ url, folder: migrations, migrate: true, log, signal })

  const expected = [alone, twin, twin.toUpperCase(), 'EVA'].sort()
  const found = async (rows: PromiseLike<object[]>) => (await rows).map((row) => Object.values(row)[0]).sort()
  expect(await found(database.sql`select account_id from balances`)).toEqual(expected)
  expect(await found(database.sql`select account_id from entries`)).toEqual(expected)
  expect(await found(database.sql`select id from clients`)).toEqual(expected)
  expect(await found(database.sql`select distinct client_id from balances`)).toEqual([alone])
  await database.close()
  rmSync(before, { recursive: true })
})

test('the newest version of a client stays, and the tables refuse what no projection makes', async () => {
  await using database = await openBalances()
  const nameAfter = async (name: string | null, version: bigint) => {
    const clients = [{ id: 'client', name, version }]
    await applyProjection(database.sql, freely, { balances: [], entries: [], clients, deadLetters: [] })
    return (await database.sql`select name from clients`)[0]?.name
  }
  expect(await nameAfter('Eva Maria', 2n)).toBe('Eva Maria')
  expect(await nameAfter('Eva', 1n)).toBe('Eva Maria')
  expect(await nameAfter('Frank', 2n)).toBe('Eva Maria')
  // An erasure wins over any version.
  for (const [name, version] of [
    [null, 3n],
    ['Eva', 1n],
    ['Eva', 4n],
    [null, 5n],
  ] as const)
    expect(await nameAfter(name, version)).toBeNull()

  const odd: Partial<BalanceRow>[] = [
    { version: -1n },
    { version: 0n, balanceMinor: 1n },
    { balanceMinor: 1_000_000_000_000_000_000n },
    { source: 'unknown' as never },
    { currency: 'brl' },
    { heldMinor: -1n },
    { balanceMinor: -999_999_999_999_999_999n, heldMinor: 1n },
  ]
  for (const part of odd) {
    const applying = applyProjection(database.sql, freely, {
      balances: [{ ...opening(1n), ...part }],
      entries: [],
      clients: [],
      deadLetters: [],
    })
    await expect(applying).rejects.toThrow(/balances_(version|digits|available|currency|source)/)
  }
})
