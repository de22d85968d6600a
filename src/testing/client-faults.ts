/**
 * Transfers by the client through proxies that cut connections. Each has to be in the ledger once, and no
 * read may be older than the transfer before it.
 */
import type { Sql } from 'postgres'
import { SaldoClient } from '../client/index.ts'
import { startCuttingProxy } from './cutting-proxy'
import { findFaults } from './ledger-faults'

export type FaultRun = {
  /** Ports of both services, and the database of the wallet. */
  wallet: { port: number }
  balances: { port: number }
  sql: Sql
  transfers: number
  /** At the same time. */
  lanes: number
  /** Of the requests whose connection is cut. */
  share: number
  random: () => number
}

export type FaultReport = {
  requests: number
  cuts: Record<string, number>
  reads: number
  /** What must not be, in words. */
  faults: string[]
}

const accountsCount = 20
const fundsOfAccount = '100000'

type Paid = { reference: string; id: string }
type Read = { account: string; version: number; balance: string; atLeast: number }

export async function runFaults({
  sql,
  transfers,
  lanes,
  share,
  random,
  ...ports
}: FaultRun): Promise<FaultReport> {
  await using wallet = await startCuttingProxy(ports.wallet, { share, random })
  await using balances = await startCuttingProxy(ports.balances, { share, random })
  const options = {
    wallet: `http://127.0.0.1:${wallet.port}`,
    balances: `http://127.0.0.1:${balances.port}`,
    decimals: 'string',
  } as const
  const saldo = new SaldoClient(options)
  const accounts = await fundAccounts(saldo)
  const paid: Paid[] = []
  const reads: Read[] = []
  const accountAt = (index: number) => accounts[index % accountsCount] as string

  async function payOnce(number: number): Promise<void> {
    const from = Math.floor(random() * accountsCount)
    const to = from + 1 + Math.floor(random() * (accountsCount - 1))
    const reference = `transfer ${number}`
    const amount = (1 + Math.floor(random() * 1000)) / 100
    const transfer = { account_id_from: accountAt(from), account_id_to: accountAt(to), amount, reference }
    const { id, ...written } = await saldo.transfer(transfer)
    paid.push({ reference, id })
    // Also by a client that has the token alone, as another process would.
    const reader = number % 20 === 0 ? new SaldoClient({ ...options, token: saldo.token }) : saldo
    const { account_id, version, balance } = await reader.balance(transfer.account_id_from)
    const atLeast = written.version_account_id_from
    reads.push({ account: account_id, version, balance: balance ?? '', atLeast })
  }
  let next = 0
  const lane = async () => {
    while (next < transfers) await payOnce(next++)
  }
  await Promise.all(Array.from({ length: lanes }, lane))

  return {
    requests: wallet.requests + balances.requests,
    cuts: Object.fromEntries(
      Object.entries(wallet.cuts).map(([moment, count]) => [
        moment,
        count + balances.cuts[moment as keyof typeof balances.cuts],
      ]),
    ),
    reads: reads.length,
    faults: [
      ...(await findFaults(sql)),
      ...(await findTransferFaults(sql, paid, transfers)),
      ...(await findReadFaults(sql, reads)),
    ],
  }
}

async function fundAccounts(saldo: SaldoClient<string>): Promise<string[]> {
  const client = await saldo.registerClient({ name: 'Ada', email: 'ada@example.com' })
  const opening = Array.from({ length: accountsCount }, async () => {
    const { id } = await saldo.openAccount({ client_id: client.id })
    await saldo.deposit(id, { amount: fundsOfAccount })
    return id
  })
  return Promise.all(opening)
}

/** Each once in the ledger, under the id that was answered, and no other movement. */
async function findTransferFaults(sql: Sql, paid: readonly Paid[], transfers: number): Promise<string[]> {
  const rows = await sql<{ reference: string; ids: string[] }[]>`
    select reference, array_agg(id::text) as ids from transactions where kind = 'transfer' group by reference`
  const [others] = await sql<{ clients: number; accounts: number; deposits: number }[]>`
    select (select count(*)::int from clients) as clients,
      (select count(*)::int from accounts where client_id is not null) as accounts,
      (select count(*)::int from transactions where kind = 'deposit') as deposits`
  const written = new Map(rows.map(({ reference, ids }) => [reference, ids]))
  const found = { transfers: written.size, acknowledged: paid.length, ...others }
  const expected = {
    transfers,
    acknowledged: transfers,
    clients: 1,
    accounts: accountsCount,
    deposits: accountsCount,
  }
  return [
    ...(Bun.deepEquals(found, expected)
      ? []
      : [`${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`]),
    ...paid.flatMap(({ reference, id }) => {
      const ids = written.get(reference) ?? []
      if (ids.length === 1 && ids[0] === id) return []
      return [`${reference} was acknowledged as ${id}, and is ${ids.join(', ') || 'not'} in the ledger`]
    }),
  ]
}

/** Each at least as new as the transfer before it, and as the ledger was at that version. */
async function findReadFaults(sql: Sql, reads: readonly Read[]): Promise<string[]> {
  const rows = await sql<{ entry: string }[]>`
    select concat_ws(' ', account_id::text, version, (balance_minor / 100.0)::numeric(20, 2)) as entry
    from entries`
  const entries = new Set(rows.map(({ entry }) => entry))
  return reads.flatMap(({ account, version, balance, atLeast }) => {
    const entry = `${account} ${version} ${withCents(balance)}`
    return [
      ...(version >= atLeast ? [] : [`${entry} was read after version ${atLeast} was written`]),
      ...(entries.has(entry) ? [] : [`${entry} was read, and never was in the ledger`]),
    ]
  })
}

function withCents(amount: string): string {
  const [units = '', cents = ''] = amount.split('.')
  return `${units}.${cents.padEnd(2, '0')}`
}
