import { expect, test } from 'bun:test'
import { openDatabase } from '../../platform/postgres/database'
import { backing } from '../../testing/backing'
import { applyProjection } from '../projection/apply-store'
import type { BalanceRow } from '../projection/types'
import { type BalanceFilter, listBalances } from './balances-store'

const everything: BalanceFilter = {
  clientId: undefined,
  ownerName: undefined,
  currency: undefined,
  minMinor: undefined,
  maxMinor: undefined,
}

const row = (accountId: string, version: bigint, part: Partial<BalanceRow> = {}): BalanceRow => ({
  accountId,
  clientId: null,
  currency: 'BRL',
  balanceMinor: version,
  heldMinor: 0n,
  status: 'open',
  overdraftLimitMinor: null,
  openingLimitMinor: null,
  version,
  source: null,
  opened: true,
  createdAt: '2020-01-07T00:00:00.000Z',
  updatedAt: '2020-01-07T00:00:00.000Z',
  ...part,
})

async function openBalances() {
  const { url } = await (await backing()).createDatabase('balances', 'balances')
  const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'test' })
  const record = (...balances: BalanceRow[]) =>
    applyProjection(database.sql, (sql) => sql`select true`, {
      balances,
      entries: [],
      clients: [],
      deadLetters: [],
    })
  const idsOf = async (filter: Partial<BalanceFilter>) =>
    (await listBalances(database.sql, { ...everything, ...filter }, { after: undefined, limit: 99 })).map(
      (balance) => balance.accountId,
    )
  return { ...database, record, idsOf, [Symbol.asyncDispose]: () => database.close() }
}

test('a list filters by client, currency and balance', async () => {
  await using database = await openBalances()
  await database.record(
    row('a', 1n, { clientId: 'eva', balanceMinor: -500n }),
    row('b', 1n, { clientId: 'eva', balanceMinor: 0n }),
    row('c', 1n, { clientId: 'frank', balanceMinor: 500n }),
    row('d', 1n, { clientId: 'eva', currency: 'JPY', balanceMinor: 500n }),
  )
  const { idsOf } = database
  expect(await idsOf({})).toEqual(['a', 'b', 'c', 'd'])
  expect(await idsOf({ clientId: 'eva' })).toEqual(['a', 'b', 'd'])
  expect(await idsOf({ currency: 'BRL', minMinor: 0n })).toEqual(['b', 'c'])
  expect(await idsOf({ currency: 'BRL', maxMinor: 0n })).toEqual(['a', 'b'])
  expect(await idsOf({ clientId: 'eva', currency: 'BRL', minMinor: -500n, maxMinor: -500n })).toEqual(['a'])
})

test('every account is on exactly one page under concurrent updates', async () => {
  await using database = await openBalances()
  const ids = Array.from({ length: 23 }, (_, index) => `account ${String.fromCharCode(97 + index)}`)
  await database.record(...ids.map((id) => row(id, 1n)))
  const seen: string[] = []
  for (let version = 2n; ; version++) {
    const page = await listBalances(database.sql, everything, { after: seen.at(-1), limit: 4 })
    if (page.length === 0) break
    seen.push(...page.map((balance) => balance.accountId))
    await database.record(...ids.map((id) => row(id, version)), row(`account a${version}`, 1n))
  }
  expect(seen.filter((id) => ids.includes(id))).toEqual(ids)
  expect(new Set(seen).size).toBe(seen.length)
})

test('pages of a range have all its accounts in order, whether few of them match or many', async () => {
  await using database = await openBalances()
  await database.sql`
    insert into balances (account_id, currency, balance_minor, version, opened, created_at, updated_at)
    select md5(number::text), case when number % 7 = 0 then 'JPY' else 'BRL' end,
      case when number % 2500 = 0 then -number else number end, 1, true, now(), now()
    from generate_series(1, 12000) as number`
  await database.sql`vacuum analyze balances`
  // After the index has summarized what was there.
  await database.record(row('a new one', 1n, { balanceMinor: -1n }), row('zz', 1n, { balanceMinor: 12_001n }))
  const all = await listBalances(database.sql, everything, { after: undefined, limit: 20_000 })
  const ranges = [
    { maxMinor: -1n },
    { minMinor: -2500n, maxMinor: -1n },
    { minMinor: 11_990n },
    { minMinor: 11_000n, maxMinor: 11_100n },
    { minMinor: 3000n },
    { minMinor: 0n, maxMinor: 500n },
    { minMinor: 50_000n },
  ]
  for (const range of ranges) {
    const filter = { ...everything, currency: 'BRL', ...range }
    const { minMinor = -99_999n, maxMinor = 99_999n }: Partial<BalanceFilter> = range
    const matching = all.filter(
      ({ currency, balanceMinor }) =>
        currency === 'BRL' && balanceMinor >= minMinor && balanceMinor <= maxMinor,
    )
    const found: typeof all = []
    for (;;) {
      const page = await listBalances(database.sql, filter, { after: found.at(-1)?.accountId, limit: 500 })
      found.push(...page)
      if (page.length < 500) break
    }
    expect(found).toEqual(matching)
  }
})

test('a list filters by how the name of the owner begins, in any case', async () => {
  await using database = await openBalances()
  const names: [id: string, name: string | null][] = [
    ['1', 'Eva'],
    ['2', 'EVA Lima'],
    ['3', 'evan'],
    ['4', 'Éva'],
    ['5', 'Ev%a'],
    ['6', 'Maria Eva'],
    // Erased.
    ['7', null],
    // Longer than an index allows.
    ['8', `eva ${'ã'.repeat(5000)}`],
    ['9', 'Ev_a\u{10ffff}b'],
  ]
  await applyProjection(database.sql, (sql) => sql`select true`, {
    balances: [
      ...names.map(([id]) => row(`account ${id}`, 1n, { clientId: id })),
      row('account 91', 1n, { clientId: '1', currency: 'JPY', balanceMinor: 7n }),
      row('of nobody', 1n),
      row('of an unknown one', 1n, { clientId: 'unknown' }),
    ],
    entries: [],
    clients: names.map(([id, name]) => ({ id, name, version: 1n })),
    deadLetters: [],
  })
  const of = async (ownerName: string, filter: Partial<BalanceFilter> = {}) =>
    (await database.idsOf({ ownerName, ...filter })).map((id) => id.replace('account ', ''))
  expect(await of('Eva')).toEqual(['1', '2', '3', '8', '91'])
  expect(await of('eVA ')).toEqual(['2', '8'])
  expect(await of('éV')).toEqual(['4'])
  expect(await of('ev%')).toEqual(['5'])
  expect(await of('ev_')).toEqual(['9'])
  expect(await of('maria')).toEqual(['6'])
  expect(await of(`eva ${'Ã'.repeat(96)}`)).toEqual(['8'])
  expect(await of('nobody')).toEqual([])
  expect(await of('eva', { clientId: '1' })).toEqual(['1', '91'])
  expect(await of('eva', { clientId: '6' })).toEqual([])
  expect(await of('eva', { currency: 'JPY' })).toEqual(['91'])
  expect(await of('eva', { currency: 'JPY', minMinor: 8n })).toEqual([])
  const pages: string[] = []
  for (;;) {
    const filter = { ...everything, ownerName: 'EVA' }
    const page = await listBalances(database.sql, filter, { after: pages.at(-1), limit: 2 })
    pages.push(...page.map(({ accountId }) => accountId))
    expect(page.every(({ ownerName }) => ownerName?.toLowerCase().startsWith('eva'))).toBe(true)
    if (page.length < 2) break
  }
  expect(pages.map((id) => id.replace('account ', ''))).toEqual(['1', '2', '3', '8', '91'])
})

test('pages of a name that very many owners have are in order, too', async () => {
  await using database = await openBalances()
  await database.sql`
    insert into clients (id, name)
    select md5(number::text), case when number % 10 = 0 then 'Ada' else 'Eva ' || number end
    from generate_series(1, 8000) as number`
  await database.sql`
    insert into balances
      (account_id, client_id, currency, balance_minor, version, opened, created_at, updated_at)
    select md5('account' || id), id, 'BRL', 1, 1, true, now(), now() from clients`
  await database.sql`vacuum analyze balances, clients`
  const all = await listBalances(database.sql, everything, { after: undefined, limit: 9000 })
  for (const ownerName of ['eva', 'ada', 'eva 1', 'E']) {
    const matching = all.filter((one) => one.ownerName?.toLowerCase().startsWith(ownerName.toLowerCase()))
    const found: typeof all = []
    for (;;) {
      const page = { after: found.at(-1)?.accountId, limit: 2000 }
      const rows = await listBalances(database.sql, { ...everything, ownerName }, page)
      found.push(...rows)
      if (rows.length < page.limit) break
    }
    expect(found).toEqual(matching)
  }
})
