import { expect, test } from 'bun:test'
import { openDatabase } from '../../platform/postgres/database'
import { backing } from '../../testing/backing'
import { applyProjection } from '../projection/apply-store'
import type { BalanceRow } from '../projection/types'
import { type BalanceFilter, listBalances } from './balances-store'

const everything: BalanceFilter = {
  clientId: undefined,
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
