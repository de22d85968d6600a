/**
 * Funded accounts for benchmarks, and a check that their ledger balances.
 */
import postgres from 'postgres'
import { openDatabase } from '../../platform/postgres/database'
import type { Log } from '../../platform/telemetry/log'
import type { CommandRequest } from '../../wallet/ledger/decide-request'
import { execute } from '../../wallet/ledger/execute'
import { createOptimisticState } from '../../wallet/ledger/optimistic-state'
import { steadyClock } from '../wallets'

export const accountsMax = 10_000

const idPrefix = '00000000-0000-7000-8000-'
/** Decimal without leading zeros, so that pgbench can compute it. */
const firstNumber = 100_000_000_000

export const accountId = (number: number): string => `${idPrefix}${firstNumber + number}`

export const world = '00000000-0000-0000-0000-00000042524c'

/**
 * Inserts the accounts by SQL and funds each with a regular deposit. Leaves the outbox empty.
 */
export async function seedAccounts(url: string, log: Log): Promise<void> {
  const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'bench' })
  try {
    const { sql } = database
    await sql`
      insert into accounts (id, client_id, currency, overdraft_limit_minor, created_at, updated_at)
      select ${world}::uuid, null::uuid, 'BRL', null::bigint, now(), now()
      union all
      select (${idPrefix}::text || (${firstNumber}::bigint + number))::uuid, null, 'BRL', 0, now(), now()
      from generate_series(1, ${accountsMax}::int) as number`
    const ledger = {
      database,
      log,
      clock: steadyClock(),
      onAppended: () => {},
      optimistic: createOptimisticState(),
    }
    for (let first = 1; first <= accountsMax; first += 500) {
      const deposits = Array.from({ length: 500 }, (_, index) => depositTo(accountId(first + index)))
      for (const result of await execute(ledger, deposits))
        if (
          result instanceof Error ||
          result.kind !== 'executed' ||
          result.results[0]?.kind !== 'transaction'
        )
          throw new Error('a deposit was refused')
    }
    await sql`truncate outbox`
    await sql`vacuum analyze`
  } finally {
    await database.close()
  }
}

const depositTo = (id: string): CommandRequest => ({
  commands: [
    {
      type: 'transfer',
      id: Bun.randomUUIDv7(),
      kind: 'deposit',
      accountIdFrom: world,
      accountIdTo: id,
      amountMinor: 100_000_000n,
      currency: 'BRL',
      reference: null,
      metadata: null,
      effectiveAt: null,
    },
  ],
  atomic: true,
  traceparent: null,
  idempotencyKey: null,
})

/**
 * Throws unless all balances add up to zero and each account matches its entries. Returns the number
 * of transactions.
 */
export async function checkLedger(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ transactions: number; total: string; wrong: number }[]>`
    select
      (select count(*)::int from transactions) as transactions,
      (select sum(balance_minor)::text from accounts) as total,
      (
        select count(*)::int
        from accounts
        left join (
          select account_id, count(*) as entries, min(version) as first, max(version) as last,
            sum(amount_minor) as balance
          from entries group by account_id
        ) as history on history.account_id = accounts.id
        where (version, version, balance_minor, 1) is distinct from (entries, last, balance, first)
      ) as wrong`
  if (row?.total !== '0' || row.wrong > 0)
    throw new Error(`the ledger does not balance: ${JSON.stringify(row)}`)
  return row.transactions
}

export const connect = (url: string): postgres.Sql => postgres(url, { max: 1, onnotice: () => {} })
