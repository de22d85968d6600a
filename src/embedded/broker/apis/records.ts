/** Writing and reading records, and finding offsets by time. */
import { api, attempt, type Context, eachPartition, type PerTopic, throttleMs } from '../api.ts'
import { errorCodes, Refusal } from '../errors.ts'
import {
  array,
  bytes,
  int8,
  int16,
  int32,
  int64,
  nullableBytes,
  nullableString,
  optional,
  perTopic,
  since,
} from '../wire.ts'

const nothing: Buffer = Buffer.alloc(0)
const startOffset = since(5, int64, -1)

/**
 * acks -1 answers when the records are on disk, 1 when they are written, 0 never. One record batch per partition.
 * Nobody asks for version 3 any more, but librdkafka takes it as the sign that record batches of format 2 may be sent.
 */
export const produce = api('Produce', 0, [3, 7], {
  request: {
    transactionalId: optional(nullableString, null),
    acks: int16,
    timeoutMs: int32,
    topics: perTopic({ index: int32, records: nullableBytes }),
  },
  answer: {
    topics: perTopic({
      index: int32,
      errorCode: int16,
      baseOffset: optional(int64, -1),
      appendTimeMs: optional(int64, -1),
      startOffset,
    }),
    throttleMs,
  },
  async serve({ transactionalId, acks, topics }, context) {
    const appended = await eachPartition(context, topics, async (topic, { index, records }) => {
      if (acks < -1 || acks > 1) throw new Refusal('INVALID_REQUIRED_ACKS')
      if (transactionalId !== null) throw new Refusal('INVALID_REQUEST', 'transactions are not supported')
      const log = context.topics.partition(topic, index)
      const { baseOffset, durable } = log.append(records ?? nothing)
      if (acks === -1) await durable
      return { baseOffset, startOffset: log.startOffset }
    })
    return acks === 0 ? undefined : { topics: appended }
  },
})

/** Version 0 is librdkafka's sign that there are idempotent producers. */
export const initProducerId = api('InitProducerId', 22, [0, 1], {
  request: { transactionalId: nullableString, transactionTimeoutMs: int32 },
  answer: { errorCode: int16, producerId: optional(int64, -1), epoch: optional(int16, -1) },
  serve({ transactionalId }, context) {
    return attempt(context, () => {
      if (transactionalId !== null) throw new Refusal('INVALID_REQUEST', 'transactions are not supported')
      return { producerId: context.topics.newProducerId(), epoch: 0 }
    })
  },
})

/**
 * No fetch sessions are kept: session id 0 tells the client to name its partitions every time. Version 4 is for librdkafka, as 3 of Produce.
 */
export const fetch = api('Fetch', 1, [4, 11], {
  request: {
    replicaId: optional(int32, -1),
    waitMaxMs: int32,
    bytesMin: int32,
    bytesMax: int32,
    isolationLevel: optional(int8, 0),
    sessionId: since(7, int32, 0),
    sessionEpoch: since(7, int32, -1),
    topics: perTopic({ index: int32, leaderEpoch: since(9, int32, -1), offset: int64, startOffset, bytesMax: int32 }),
    forgotten: since(7, perTopic(int32), []),
    rackId: since(11, nullableString, ''),
  },
  answer: {
    errorCode: since(7, int16, 0),
    sessionId: since(7, int32, 0),
    topics: perTopic({
      index: int32,
      errorCode: int16,
      highWatermark: optional(int64, -1),
      lastStableOffset: optional(int64, -1),
      startOffset,
      abortedTransactions: optional(array({ producerId: int64, firstOffset: int64 }), []),
      preferredReplica: since(11, int32, -1),
      records: optional(bytes, nothing),
    }),
  },
  async serve(request, context) {
    if (request.sessionId !== 0) return { errorCode: errorCodes.FETCH_SESSION_ID_NOT_FOUND, topics: [] }
    return { topics: await readWhenThere(request, context) }
  },
})

type PartitionWanted = { index: number; offset: number; bytesMax: number }
type Wanted = { waitMaxMs: number; bytesMin: number; bytesMax: number; topics: PerTopic<PartitionWanted> }

/** What one answer may weigh, whatever the client allows: it is held in memory until the client has read it. */
const answerBytesMax = 32 << 20

/** Waits up to `waitMaxMs` for `bytesMin`; an error in any partition answers at once. */
async function readWhenThere(wanted: Wanted, context: Context) {
  const deadline = performance.now() + wanted.waitMaxMs
  for (;;) {
    const { topics, bytes, failed } = readAll(wanted, context)
    const waitMs = deadline - performance.now()
    if (failed || bytes >= wanted.bytesMin || waitMs <= 0) return topics
    if (!(await moreToRead(wanted, context, waitMs))) return topics
  }
}

/** In one go, so that nothing can become readable between the look at the logs and the wait for more. */
function readAll({ topics, bytesMax }: Wanted, context: Context) {
  let left = Math.min(bytesMax, answerBytesMax)
  let bytes = 0
  let failed = false
  const read = (topic: string, wanted: PartitionWanted) => {
    const { index } = wanted
    try {
      if (context.refusal) throw new Refusal(context.refusal)
      const log = context.topics.partition(topic, index)
      const { highWatermark, startOffset } = log
      // The first batch of the answer comes whatever its size, or a reader could never get past a large one.
      const room = Math.max(0, Math.min(left, wanted.bytesMax))
      let records = log.read(wanted.offset, room)
      if (bytes > 0 && records.length > room) records = nothing
      bytes += records.length
      left -= records.length
      return { index, errorCode: 0, highWatermark, lastStableOffset: highWatermark, startOffset, records }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      failed = true
      return { index, errorCode: errorCodes[error.code] }
    }
  }
  const answers = topics.map(({ name, partitions }) => ({ name, partitions: partitions.map((one) => read(name, one)) }))
  return { topics: answers, bytes, failed }
}

/** False when the time is up or the client is gone. */
async function moreToRead({ topics }: Wanted, { topics: logs, client }: Context, waitMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(resolve, waitMs, false)
  client.onClose = () => resolve(false)
  const stops = topics.flatMap(({ name, partitions }) => {
    return partitions.map(({ index }) => logs.partition(name, index).watch(() => resolve(true)))
  })
  const more = await promise
  clearTimeout(timer)
  client.onClose = undefined
  for (const stop of stops) stop()
  return more
}

const latest = -1
const earliest = -2

/** Timestamp -1 asks for the end of the log, -2 for its start, any other for the first record at or after it (offset -1: none is). */
export const listOffsets = api('ListOffsets', 2, [2, 3], {
  request: {
    replicaId: optional(int32, -1),
    isolationLevel: optional(int8, 0),
    topics: perTopic({ index: int32, timestamp: int64 }),
  },
  answer: { topics: perTopic({ index: int32, errorCode: int16, timestamp: int64, offset: optional(int64, -1) }) },
  async serve({ topics }, context) {
    const found = await eachPartition(context, topics, (topic, { index, timestamp }) => {
      const log = context.topics.partition(topic, index)
      if (timestamp === latest) return { timestamp: -1, offset: log.highWatermark }
      if (timestamp === earliest) return { timestamp: -1, offset: log.startOffset }
      return log.findTimestamp(timestamp) ?? { timestamp: -1, offset: -1 }
    })
    return { topics: found }
  },
})
