/** https://kafka.apache.org/protocol#The_Messages_Fetch, versions 4 to 11. */
import { partitionName } from './offsets'
import {
  type BatchFault,
  type FetchedRange,
  limits,
  type RawBatch,
  type RawRecord,
  readRecordSet,
} from './record-set'

/** Where it is set, the record stands for a batch that cannot be read, and `value` is that batch. */
export type FetchedRecord = RawRecord & { unreadable?: BatchFault & { lastOffset: bigint } }

/**
 * All that was fetched of a partition, in one message: the library takes its time for each, and cannot get
 * past batches without any.
 */
export type FetchedMessage = {
  /** Where the batches end, also without records. */
  offset: string
  isControlRecord: false
  records: FetchedRecord[]
  /** Since when all that was fetched of the partition is of one log: see `PartitionWatch`. */
  watchedSinceMs: number
}

/** As the library returns it. */
export type Fetched = {
  topic: string
  partition: number
  fetchedOffset: string
  highWatermark: string
  messages: FetchedMessage[]
}

/** Of each partition in the request, by name. `watched` is called with whether there is an error for it. */
type Asked = {
  fetchOffsets: ReadonlyMap<string, bigint>
  watched: (partition: string, isError: boolean) => FetchedMessage['watchedSinceMs']
}

export function decodeFetch(answer: Buffer, version: number, { fetchOffsets, watched }: Asked) {
  const reader = new ResponseReader(answer)
  const budget = { left: limits.inflatedBytes }
  const throttleMs = reader.int32()
  const errorCode = version >= 7 ? reader.int16() : 0
  const sessionId = version >= 7 ? reader.int32() : 0
  const responses = reader.array(() => {
    const topicName = reader.string()
    const partitions = reader.array(() => {
      const partition = reader.int32()
      const partitionError = reader.int16()
      const highWatermark = reader.int64()
      const lastStableOffset = reader.int64()
      const logStartOffset = version >= 5 ? reader.int64() : -1n
      const aborted = reader.array(() => ({ producerId: reader.int64(), firstOffset: reader.int64() }))
      const preferredReadReplica = version >= 11 ? reader.int32() : -1
      const records = reader.bytes()
      const name = partitionName(topicName, partition)
      const watchedSinceMs = watched(name, partitionError !== 0)
      const range = { from: fetchOffsets.get(name) ?? 0n, end: highWatermark }
      return {
        partition,
        errorCode: partitionError,
        highWatermark: String(highWatermark),
        lastStableOffset: String(lastStableOffset),
        lastStartOffset: String(logStartOffset),
        // Left out here.
        abortedTransactions: [],
        preferredReadReplica,
        messages: messagesOf(records, range, new Aborted(aborted), budget).map((message) => ({
          ...message,
          watchedSinceMs,
        })),
      }
    })
    return { topicName, partitions }
  })
  // From version 8 on, throttling is left to clients: the broker responds at once.
  return {
    throttleTime: version >= 8 ? 0 : throttleMs,
    clientSideThrottleTime: throttleMs,
    errorCode,
    sessionId,
    responses,
  }
}

/**
 * At least one batch of each partition, more while the response is within the budget: the rest is
 * fetched again.
 */
function messagesOf(
  bytes: Buffer,
  range: FetchedRange,
  aborted: Aborted,
  budget: { left: number },
): Omit<FetchedMessage, 'watchedSinceMs'>[] {
  const records: FetchedRecord[] = []
  let last: bigint | undefined
  for (const batch of readRecordSet(bytes, range)) {
    last = batch.last
    if (batch.fault) records.push(substituteOf(batch, batch.fault))
    else if (!aborted.leavesOut(batch))
      // A batch may begin before the offset that was asked for.
      for (const record of batch.records) if (record.offset >= range.from) records.push(record)
    budget.left -= batch.bytes
    if (budget.left <= 0) break
  }
  return last === undefined ? [] : [{ offset: String(last), isControlRecord: false, records }]
}

function substituteOf(
  { first, last, timestampMs }: RawBatch,
  { bytes: value, ...reason }: NonNullable<RawBatch['fault']>,
): FetchedRecord {
  const unreadable = { ...reason, lastOffset: last }
  return { offset: first, key: null, value, headers: [], timestampMs, unreadable }
}

type AbortedTransaction = { producerId: bigint; firstOffset: bigint }

/** Which batches of a partition are of transactions that were aborted. Asked once for each, in order. */
class Aborted {
  /** The last one first. */
  readonly #ahead: AbortedTransaction[]
  readonly #producers = new Set<bigint>()

  constructor(transactions: AbortedTransaction[]) {
    this.#ahead = transactions.sort((one, other) => Number(other.firstOffset - one.firstOffset))
  }

  /** Markers are no records, either. */
  leavesOut({ last, producerId, isTransactional, isControl, records }: RawBatch): boolean {
    for (let next = this.#ahead.at(-1); next && next.firstOffset <= last; next = this.#ahead.at(-1)) {
      this.#producers.add(next.producerId)
      this.#ahead.pop()
    }
    if (!isControl) return isTransactional && this.#producers.has(producerId)
    if (records.some(({ key }) => key?.equals(abortMarker))) this.#producers.delete(producerId)
    return true
  }
}

/** Version 0, type 0. */
const abortMarker = Buffer.alloc(4)

/** Throws beyond the end. */
class ResponseReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int16 = (): number => this.#bytes.readInt16BE(this.#pass(2))
  int32 = (): number => this.#bytes.readInt32BE(this.#pass(4))
  int64 = (): bigint => this.#bytes.readBigInt64BE(this.#pass(8))

  string(): string {
    const length = this.int16()
    const start = this.#pass(length)
    return this.#bytes.toString('utf8', start, start + length)
  }

  /** Empty for null. */
  bytes(): Buffer {
    const length = Math.max(0, this.int32())
    const start = this.#pass(length)
    return this.#bytes.subarray(start, start + length)
  }

  /** Empty for null. */
  array<T>(read: () => T): T[] {
    const count = this.int32()
    const items: T[] = []
    for (let index = 0; index < count; index++) items.push(read())
    return items
  }

  /** Where the next `length` bytes begin, which are then behind us. */
  #pass(length: number): number {
    const start = this.#at
    if (length < 0 || start + length > this.#bytes.length) throw new Error('the response is too short')
    this.#at += length
    return start
  }
}
