/** Records as publishers, subscriptions and readers share them. */
import { createHash } from 'node:crypto'
import type { Fetched, FetchedRecord as IncomingRecord } from './fetch-response'
import type { RecordContents } from './record-writer'

/** Texts and bytes in any mixture. A list of headers may repeat names, and has those without a value. */
export type OutgoingRecord = RecordContents & { topic: string }

export type { FetchedRecord as IncomingRecord } from './fetch-response'

/**
 * Records of one partition in offset order; none where the log holds only control records and aborted
 * ones.
 */
export type IncomingBatch = {
  topic: string
  partition: number
  /** The requested offset. The first record may lie beyond it, after records that are not delivered. */
  fetchedFrom: bigint
  /** The offset after the last record; `fetchedFrom` when nothing came. */
  next: bigint
  /** One past the newest record of the partition when the batch was fetched. */
  highWatermark: bigint
  /** All that was fetched of the partition since then, by `performance.now`, is of one log. */
  watchedSinceMs: number
  records: IncomingRecord[]
}

/** Identifies a record by its time, key, value and headers. */
export function checksumOf({ timestampMs, key, value, headers }: IncomingRecord): string {
  const hash = createHash('sha256').update(`${timestampMs}`)
  for (const part of [key, value, ...headers.flat()])
    hash.update(`,${part?.length ?? 'null'}:`).update(part ?? '')
  return hash.digest('hex')
}

export function toIncomingBatch(fetched: Fetched): IncomingBatch {
  const { topic, partition, messages } = fetched
  const fetchedFrom = BigInt(fetched.fetchedOffset)
  const [message] = messages
  return {
    topic,
    partition,
    fetchedFrom,
    next: message ? BigInt(message.offset) + 1n : fetchedFrom,
    highWatermark: BigInt(fetched.highWatermark),
    watchedSinceMs: message?.watchedSinceMs ?? Number.POSITIVE_INFINITY,
    records: message?.records ?? [],
  }
}
