/** Compares the shadow with the live tables. */
import type { Database } from '../../platform/postgres/database'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import type { Offsets } from '../projection/offsets'
import type { Divergence } from './rebuild-store'

/** The topics that are read. The tables may have offsets of others. */
export type Source = { clusterId: string; topics: readonly string[] }

type BothOffsets = { shadow: Offsets; live: Offsets }

/**
 * Applied offsets of shadow and live tables in one query. The live ones come first, as in the swap,
 * so that the two cannot deadlock.
 */
export async function readOffsets(sql: Statements, { clusterId, topics }: Source): Promise<BothOffsets> {
  const rows = await sql<{ partition: string; shadow: bigint | null; live: bigint | null }[]>`
    select topic || '/' || partition as partition, shadow.next_offset as shadow, live.next_offset as live
    from (select * from public.consumed_offsets where cluster_id = ${clusterId}) as live
    full join (select * from shadow.consumed_offsets where cluster_id = ${clusterId}) as shadow
      using (topic, partition)
    where topic = any(${arrayOf(topics)}::text[])`
  const of = (side: 'shadow' | 'live') => new Map(rows.map((row) => [row.partition, row[side] ?? 0n]))
  return { shadow: of('shadow'), live: of('live') }
}

/** Those of the shadow alone. It is filled from one cluster, unless that is replaced: the newest counts. */
export async function readShadowOffsets(sql: Statements): Promise<Offsets> {
  const rows = await sql<{ partition: string; next: bigint }[]>`
    select distinct on (topic, partition) topic || '/' || partition as partition, next_offset as next
    from shadow.consumed_offsets order by topic, partition, updated_at desc`
  return new Map(rows.map(({ partition, next }) => [partition, next]))
}

/** Offsets in a topic that was recreated are of the former one, and mean nothing. */
export const isLiveAhead = ({ shadow, live }: BothOffsets, recreated: readonly string[]): boolean =>
  [...live].some(
    ([partition, next]) => next > (shadow.get(partition) ?? 0n) && !recreated.includes(partition),
  )

export const divergingAccounts = (sql: Statements) => sql`
  select live.account_id from public.balances as live
  left join shadow.balances as shadow using (account_id)
  where shadow.account_id is null or shadow.version < live.version or live.opened > shadow.opened
    or (live.opening_limit_minor is not null
      and shadow.opening_limit_minor is distinct from live.opening_limit_minor)
    or (shadow.version = live.version
      and (
        shadow.balance_minor, shadow.held_minor, shadow.currency, shadow.status, shadow.overdraft_limit_minor
      ) is distinct from (
        live.balance_minor, live.held_minor, live.currency, live.status, live.overdraft_limit_minor
      ))`

const divergingEntries = (sql: Statements) => sql`
  select live.account_id, version from public.entries as live
  left join shadow.entries as shadow using (account_id, version)
  where shadow.account_id is null
    or (shadow.balance_minor, shadow.held_minor, shadow.status, shadow.overdraft_limit_minor)
      is distinct from (live.balance_minor, live.held_minor, live.status, live.overdraft_limit_minor)
    or (live.amount_minor is not null and shadow.amount_minor is distinct from live.amount_minor)
    or (live.transaction_id is not null and shadow.transaction_id is distinct from live.transaction_id)
    or (live.actor is not null and shadow.actor is distinct from live.actor)`

const divergingClients = (sql: Statements) => sql`
  select from public.clients as live
  left join shadow.clients as shadow using (id)
  where shadow.id is null or shadow.version < live.version
    or (shadow.version = live.version and shadow.name is distinct from live.name)`

const countAll = (sql: Statements, table: string) => sql`(select count(*)::integer from ${sql(table)})`

const countMissing = (sql: Statements, table: string, key: string) => sql`(
  select count(*)::integer from public.${sql(table)} as live
  where not exists (select from shadow.${sql(table)} as shadow where shadow.${sql(key)} = live.${sql(key)})
)`

/**
 * Compares in one snapshot. Undefined while the live tables are ahead somewhere, since a difference
 * would mean nothing. Rows that only the shadow has are no divergence.
 */
export function compareShadow(
  sql: Database['sql'],
  source: Source,
  recreated: readonly string[],
): Promise<Divergence | undefined> {
  return sql.begin('isolation level repeatable read read only', async (tx) => {
    await tx`set local statement_timeout = 0`
    if (isLiveAhead(await readOffsets(tx, source), recreated)) return undefined
    const [row] = await tx<
      (Omit<Divergence, 'examples'> & { accountExamples: string[] | null; entryExamples: string[] | null })[]
    >`
      with accounts as (${divergingAccounts(tx)}), entries as (${divergingEntries(tx)})
      select ${countAll(tx, 'accounts')} as accounts, ${countAll(tx, 'entries')} as entries,
        (select count(*)::integer from (${divergingClients(tx)}) as diverging) as clients,
        ${countAll(tx, 'shadow.balances')} - ${countAll(tx, 'public.balances')}
          + ${countMissing(tx, 'balances', 'account_id')} as "accountsAdded",
        ${countAll(tx, 'shadow.entries')} - ${countAll(tx, 'public.entries')}
          + ${countAll(tx, 'entries')} as "entriesAdded",
        (select json_agg('account ' || account_id)
          from (select * from accounts order by 1 limit 10) as sample) as "accountExamples",
        (select json_agg('account ' || account_id || ' version ' || version)
          from (select * from entries order by 1, 2 limit 10) as sample) as "entryExamples"`
    if (!row) throw new Error('an aggregate query returned no row')
    const { accountExamples, entryExamples, ...counts } = row
    return { ...counts, examples: [...(accountExamples ?? []), ...(entryExamples ?? [])] }
  }) as Promise<Divergence | undefined>
}
