/**
 * Records that were kept aside: shown, told to the dead-letter topics, and taken away once they
 * have taken effect.
 */

import type { RecordHeader } from '../../platform/kafka/record-set'
import type { Database } from '../../platform/postgres/database'
import { advisoryLocks } from '../../platform/postgres/locks'
import { arrayOf, rfc3339, type Statements } from '../../platform/postgres/statements'
import { type Claim, storable } from '../projection/apply-store'
import type { DeadLetterReason } from '../projection/project'

/** Times are RFC 3339, UTC. */
export type DeadLetter = {
  id: bigint
  topic: string
  partition: number
  recordOffset: bigint
  /** Where the letter stands for a whole batch that cannot be read: its last offset. */
  lastOffset: bigint | null
  cause: string
  detail: string
  key: Buffer | null
  value: Buffer | null
  /** As they came. */
  headers: RecordHeader[]
  recordAt: string | null
  /** When it failed first. */
  recordedAt: string
  attempts: number
  /** When the dead-letter topic was told of the last attempt. */
  sentAt: string | null
}

const told = (sql: Statements) => sql`
  select id, topic, partition, record_offset as "recordOffset", last_offset as "lastOffset", cause, detail, key, value, headers,
    record_at as "recordAt", recorded_at as "recordedAt", attempts, sent_at as "sentAt"
  from dead_letters`

/** How much of a letter is shown in a list, in bytes. Of its headers, as they are stored, all or nothing. */
const shownMax = { key: 256, value: 1024, headers: 2048, detail: 500 }

/**
 * What a list leaves out: the lengths of the whole, and whether headers are missing. Undefined
 * where it is all there.
 */
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

const withTimes = (row: DeadLetterRow): DeadLetter => ({
  ...row,
  headers: headersFrom(row.headers),
  recordAt: row.recordAt && rfc3339(row.recordAt),
  recordedAt: rfc3339(row.recordedAt),
  sentAt: row.sentAt && rfc3339(row.sentAt),
})

export type DeadLetterFilter = { cause: string | undefined; topic: string | undefined }

const matching = (sql: Statements, { cause, topic }: DeadLetterFilter) => sql`
  ${cause === undefined ? sql`` : sql`and cause = ${cause}`}
  ${topic === undefined ? sql`` : sql`and topic = ${topic}`}`

/** Newest first, and each short: what is long is cut before it leaves the database. */
export async function listDeadLetters(
  sql: Statements,
  filter: DeadLetterFilter,
  { before, limit }: { before: bigint | undefined; limit: number },
): Promise<ListedLetter[]> {
  type Lengths = { keyBytes: number | null; valueBytes: number | null; headersBytes: number }
  const rows = await sql<(DeadLetterRow & Lengths)[]>`
    select id, topic, partition, record_offset as "recordOffset", last_offset as "lastOffset", cause,
      left(detail, ${shownMax.detail}) as detail, substring(key for ${shownMax.key}) as key,
      substring(value for ${shownMax.value}) as value,
      case when octet_length(headers::text) <= ${shownMax.headers} then headers else '[]' end as headers,
      octet_length(key) as "keyBytes", octet_length(value) as "valueBytes", octet_length(headers::text) as "headersBytes",
      record_at as "recordAt", recorded_at as "recordedAt", attempts, sent_at as "sentAt"
    from dead_letters
    where true ${before === undefined ? sql`` : sql`and id < ${String(before)}::bigint`} ${matching(sql, filter)}
    order by id desc limit ${limit}`
  return rows.map(({ keyBytes, valueBytes, headersBytes, ...row }) => {
    const headers = headersBytes > shownMax.headers
    const isCut = headers || (keyBytes ?? 0) > shownMax.key || (valueBytes ?? 0) > shownMax.value
    return { ...withTimes(row), cut: isCut ? { keyBytes, valueBytes, headers } : undefined }
  })
}

/** In the order in which they failed. Without what they hold, since many may be asked for. */
export async function listDeadLetterIds(
  sql: Statements,
  filter: DeadLetterFilter,
  { after, limit }: { after: bigint; limit: number },
): Promise<bigint[]> {
  const rows = await sql<{ id: bigint }[]>`
    select id from dead_letters where id > ${String(after)}::bigint ${matching(sql, filter)} order by id limit ${limit}`
  return rows.map(({ id }) => id)
}

export async function findDeadLetter(sql: Statements, id: bigint): Promise<DeadLetter | undefined> {
  const rows = await sql<DeadLetterRow[]>`${told(sql)} where id = ${String(id)}::bigint`
  return rows.map(withTimes)[0]
}

/** Letters of one cause and topic. `exampleId` is the newest. */
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
  const rows = await sql<DeadLetterGroup[]>`
    select cause, topic, count(*)::integer as count, min(recorded_at) as "firstAt", max(recorded_at) as "lastAt", max(id) as "exampleId"
    from dead_letters group by cause, topic order by count(*) desc, cause, topic`
  return rows.map((row) => ({ ...row, firstAt: rfc3339(row.firstAt), lastAt: rfc3339(row.lastAt) }))
}

export async function countDeadLetters(sql: Statements): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::integer as count from dead_letters`
  return row?.count ?? 0
}

/** Claims the right to apply a letter: it is given once, and the letter is gone with it. */
export const claimDeadLetter =
  (id: bigint): Claim =>
  (sql) =>
    sql`delete from dead_letters where id = ${String(id)}::bigint returning true`

/** Notes that a letter failed once more, which the dead-letter topic is to be told. False when it is gone. */
export async function noteFailure(
  sql: Statements,
  id: bigint,
  { cause, detail }: DeadLetterReason,
): Promise<boolean> {
  const { count } = await sql`
    update dead_letters set cause = ${cause}, detail = ${storable(detail)}, attempts = attempts + 1, sent_at = null
    where id = ${String(id)}::bigint`
  return count > 0
}

/**
 * Hands the oldest unsent letters to `send`, which answers with those that it has sent, and notes
 * that. Of all processes one does so at a time: to the others it looks as if nothing was to be
 * sent. No letter is locked meanwhile; one that fails again while it is sent is sent again.
 */
export const sendUnsent = (
  sql: Database['sql'],
  { limit, bytesMax }: { limit: number; bytesMax: number },
  send: (letters: DeadLetter[]) => Promise<DeadLetter[]>,
): Promise<number> =>
  sql.begin(async (tx) => {
    const [lock] = await tx<
      { taken: boolean }[]
    >`select pg_try_advisory_xact_lock(${advisoryLocks.deadLetterPublisher}) as taken`
    if (!lock?.taken) return 0
    // As many as fit, and one in any case: what they hold is looked at before it is read.
    const rows = await tx<DeadLetterRow[]>`${told(tx)}
      where id in (
        select id from (
          select id, sum(bytes) over (order by id) - bytes as before from (
            select id, coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0) + octet_length(headers::text) as bytes
            from dead_letters where sent_at is null order by id limit ${limit}
          ) as unsent
        ) as measured
        where before < ${bytesMax}
      )
      order by id`
    if (rows.length === 0) return 0
    const sent = await send(rows.map(withTimes))
    await tx`
      update dead_letters set sent_at = now()
      from unnest(
        ${arrayOf(sent.map((letter) => letter.id))}::bigint[],
        ${arrayOf(sent.map((letter) => letter.attempts))}::integer[]
      ) as told (id, attempts)
      where dead_letters.id = told.id and dead_letters.attempts = told.attempts`
    return sent.length
  })
