/** Dead letters: listed, published to their topics, and deleted once reprocessed. */
import type { RecordHeader } from '../../platform/kafka/record-set'
import type { Database } from '../../platform/postgres/database'
import { advisoryLocks } from '../../platform/postgres/locks'
import { keysOf, rowStatements, selectList } from '../../platform/postgres/rows'
import type { Statements } from '../../platform/postgres/statements'
import { deadLetters } from '../db/schema'
import type { Claim } from '../projection/apply-store'
import { storable } from '../projection/storable'
import type { DeadLetterReason } from '../projection/types'

/** `headers` are as they came. */
export type DeadLetter = Omit<typeof deadLetters.$inferSelect, 'clusterId' | 'headers'> & {
  headers: RecordHeader[]
}

const sentRows = rowStatements(deadLetters, ['id', 'attempts'])

const columns = selectList(deadLetters, keysOf(deadLetters, ['clusterId']))
/** What may be large is left out. */
const contextOf = selectList(
  deadLetters,
  keysOf(deadLetters, ['clusterId', 'detail', 'key', 'value', 'headers']),
)

/** How much of a letter a list shows, in bytes. Headers, as stored, are shown in full or not at all. */
const shownMax = { key: 256, value: 1024, headers: 2048, detail: 500 }

/** What a list omits: full lengths, and whether headers are missing. Undefined when complete. */
export type Cut = { keyBytes: number | null; valueBytes: number | null; headers: boolean }
export type ListedLetter = DeadLetter & { cut?: Cut | undefined }

type DeadLetterRow = Omit<DeadLetter, 'headers'> & { headers: StoredHeaders }
type StoredHeaders = [name: string, value: string | null][] | Record<string, string>

const headersFrom = (stored: StoredHeaders): RecordHeader[] =>
  Array.isArray(stored)
    ? stored.map(([name, value]) => [
        Buffer.from(name, 'base64'),
        value === null ? null : Buffer.from(value, 'base64'),
      ])
    : Object.entries(stored).map(([name, value]) => [Buffer.from(name), Buffer.from(value)])

const toLetter = (row: DeadLetterRow): DeadLetter => ({ ...row, headers: headersFrom(row.headers) })

export type DeadLetterFilter = { cause: string | undefined; topic: string | undefined }

const matching = (sql: Statements, { cause, topic }: DeadLetterFilter) => sql`
  ${cause === undefined ? sql`` : sql`and cause = ${cause}`}
  ${topic === undefined ? sql`` : sql`and topic = ${topic}`}`

/** Newest first. Long contents are cut in the database. */
export async function listDeadLetters(
  sql: Statements,
  filter: DeadLetterFilter,
  { before, limit }: { before: bigint | undefined; limit: number },
): Promise<ListedLetter[]> {
  type Lengths = { keyBytes: number | null; valueBytes: number | null; headersBytes: number }
  const rows = await sql<(DeadLetterRow & Lengths)[]>`
    select ${contextOf(sql)},
      left(detail, ${shownMax.detail}) as detail, substring(key for ${shownMax.key}) as key,
      substring(value for ${shownMax.value}) as value,
      case when octet_length(headers::text) <= ${shownMax.headers} then headers else '[]' end as headers,
      octet_length(key) as "keyBytes", octet_length(value) as "valueBytes",
      octet_length(headers::text) as "headersBytes"
    from dead_letters
    where true
      ${before === undefined ? sql`` : sql`and id < ${String(before)}::bigint`} ${matching(sql, filter)}
    order by id desc limit ${limit}`
  return rows.map(({ keyBytes, valueBytes, headersBytes, ...row }) => {
    const headers = headersBytes > shownMax.headers
    const isCut = headers || (keyBytes ?? 0) > shownMax.key || (valueBytes ?? 0) > shownMax.value
    return { ...toLetter(row), cut: isCut ? { keyBytes, valueBytes, headers } : undefined }
  })
}

/** In the order in which they failed. Ids only, since there may be many. */
export async function listDeadLetterIds(
  sql: Statements,
  filter: DeadLetterFilter,
  { after, limit }: { after: bigint; limit: number },
): Promise<bigint[]> {
  const rows = await sql<{ id: bigint }[]>`
    select id from dead_letters where id > ${String(after)}::bigint ${matching(sql, filter)}
    order by id limit ${limit}`
  return rows.map(({ id }) => id)
}

export async function findDeadLetter(sql: Statements, id: bigint): Promise<DeadLetter | undefined> {
  const rows = await sql<DeadLetterRow[]>`
    select ${columns(sql)} from dead_letters where id = ${String(id)}::bigint`
  return rows.map(toLetter)[0]
}

/** Letters with the same cause and topic. `exampleId` is the newest. */
export type DeadLetterGroup = {
  cause: string
  topic: string
  count: number
  firstAt: string
  lastAt: string
  exampleId: bigint
}

/** The largest first. */
export async function groupDeadLetters(sql: Statements): Promise<DeadLetterGroup[]> {
  return sql<DeadLetterGroup[]>`
    select cause, topic, count(*)::integer as count, min(recorded_at) as "firstAt",
      max(recorded_at) as "lastAt", max(id) as "exampleId"
    from dead_letters group by cause, topic order by count(*) desc, cause, topic`
}

export async function countDeadLetters(sql: Statements): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::integer as count from dead_letters`
  return row?.count ?? 0
}

/** Letters are counted up to here: there may be very many. */
const countedMax = 10_000

/** How many there are (`countedMax + 1` means more), and the age of the first that failed. */
export async function measureDeadLetters(sql: Statements): Promise<{ count: number; oldestAgeMs: number }> {
  const [row] = await sql<{ count: number; oldestAgeMs: number }[]>`
    select
      (select count(*)::integer from (select from dead_letters limit ${countedMax + 1}) as counted) as count,
      coalesce(
        (select extract(epoch from now() - recorded_at) * 1000 from dead_letters order by id limit 1), 0
      )::float8 as "oldestAgeMs"`
  return row ?? { count: 0, oldestAgeMs: 0 }
}

/** Claims a letter for the statement that applies it: it is deleted with the claim. */
export const claimDeadLetter =
  (id: bigint): Claim =>
  (sql) =>
    sql`delete from dead_letters where id = ${String(id)}::bigint returning true`

/** Records another failure, which is then published. False when the letter is gone. */
export async function recordFailure(
  sql: Statements,
  id: bigint,
  { cause, detail }: DeadLetterReason,
): Promise<boolean> {
  const { count } = await sql`
    update dead_letters
    set cause = ${cause}, detail = ${storable(detail)}, attempts = attempts + 1, sent_at = null
    where id = ${String(id)}::bigint`
  return count > 0
}

/**
 * Passes the oldest unsent letters to `publish`, and marks those it returns as sent. One process at a
 * time: for the others nothing is unsent. Letters are not locked: one that fails again meanwhile
 * stays unsent.
 */
export const publishUnsent = (
  sql: Database['sql'],
  { limit, bytesMax }: { limit: number; bytesMax: number },
  publish: (letters: DeadLetter[]) => Promise<DeadLetter[]>,
): Promise<number> =>
  sql.begin(async (tx) => {
    const [lock] = await tx<{ acquired: boolean }[]>`
      select pg_try_advisory_xact_lock(${advisoryLocks.deadLetterPublisher}) as acquired`
    if (!lock?.acquired) return 0
    // As many as fit, at least one. Lengths are compared before contents are read.
    const rows = await tx<DeadLetterRow[]>`
      select ${columns(tx)} from dead_letters
      where id in (
        select id from (
          select id, sum(bytes) over (order by id) - bytes as before from (
            select id, coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)
              + octet_length(headers::text) as bytes
            from dead_letters where sent_at is null order by id limit ${limit}
          ) as unsent
        ) as measured
        where before < ${bytesMax}
      )
      order by id`
    if (rows.length === 0) return 0
    const sent = await publish(rows.map(toLetter))
    await tx`
      update dead_letters set sent_at = now()
      from ${sentRows.unnest(tx, sent)}
      where dead_letters.id = incoming.id and dead_letters.attempts = incoming.attempts`
    return sent.length
  })
