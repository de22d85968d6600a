/** Writing and reading records, and finding offsets by time. */
import { api, eachPartition, handle, throttleMs, throttleSince } from '../api.ts'
import { errorCodes, Refusal } from '../errors.ts'
import type { PartitionLog } from '../log/partition-log.ts'
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
  string,
} from '../wire.ts'

const nothing: Buffer = Buffer.alloc(0)
const noTransactions = 'transactions are not supported'
const unknownOffset = optional(int64, -1)
const startOffset = since(5, int64, -1)

/**
 * Answers when the records are on disk, or never with acks 0. One record batch per partition, of
 * format 2: older ones are refused in all versions. Versions 3, and 4 of Fetch, are
 * librdkafka's signs that format 2 may be sent; 7, and 10 of Fetch, that batches may be compressed
 * with zstd; and where 0 is not served it compresses nothing at all and says nothing of it.
 */
export const produce = api('Produce', 0, [0, 9], {
  flexible: 9,
  request: {
    transactionalId: since(3, nullableString, null),
    acks: int16,
    timeoutMs: int32,
    topics: perTopic({ index: int32, records: nullableBytes }),
  },
  response: {
    topics: perTopic({
      index: int32,
      errorCode: int16,
      baseOffset: unknownOffset,
      appendTimeMs: since(2, int64, -1),
      startOffset,
      recordErrors: since(8, array({ index: int32, message: nullableString }), []),
      errorMessage: since(8, nullableString, null),
    }),
    throttleMs: throttleSince(1),
  },
  async serve({ transactionalId, acks, topics }, context) {
    const appended = await eachPartition(context, topics, async (topic, { index, records }) => {
      if (acks < -1 || acks > 1) throw new Refusal('INVALID_REQUIRED_ACKS')
      if (transactionalId !== null) throw new Refusal('INVALID_REQUEST', noTransactions)
      const log = context.topics.partition(topic, index)
      const { baseOffset, durable } = log.append(records ?? nothing)
      if (acks !== 0) await durable
      return { baseOffset, startOffset: log.startOffset }
    })
    return acks === 0 ? undefined : { topics: appended }
  },
})

/**
 * Version 0 is librdkafka's sign that there are idempotent producers. A producer that comes back with an id
 * that it has is given another one, which begins with sequence 0 just as a higher epoch would.
 */
export const initProducerId = api('InitProducerId', 22, [0, 4], {
  flexible: 2,
  request: {
    transactionalId: nullableString,
    transactionTimeoutMs: int32,
    producerId: since(3, int64, -1),
    epoch: since(3, int16, -1),
  },
  response: { throttleMs, errorCode: int16, producerId: unknownOffset, epoch: optional(int16, -1) },
  serve({ transactionalId }, context) {
    return handle(context, () => {
      if (transactionalId !== null) throw new Refusal('INVALID_REQUEST', noTransactions)
      return { producerId: context.catalog.newProducerId(), epoch: 0 }
    })
  },
})

/**
 * The size limit of a response, in addition to the client's: it is held in memory until the client has
 * read it.
 */
const answerBytesMax = 32 << 20

/**
 * Waits up to `waitMaxMs` for `bytesMin`; an error in any partition answers at once. No fetch
 * sessions are kept: session id 0 tells the client to name its partitions every time.
 */
export const fetch = api('Fetch', 1, [4, 12], {
  flexible: 12,
  request: {
    replicaId: optional(int32, -1),
    waitMaxMs: int32,
    bytesMin: int32,
    bytesMax: int32,
    isolationLevel: optional(int8, 0),
    sessionId: since(7, int32, 0),
    sessionEpoch: since(7, int32, -1),
    topics: perTopic({
      index: int32,
      leaderEpoch: since(9, int32, -1),
      offset: int64,
      fetchedEpoch: since(12, int32, -1),
      startOffset,
      bytesMax: int32,
    }),
    forgotten: since(7, perTopic(int32), []),
    rack: since(11, string, ''),
  },
  response: {
    throttleMs,
    errorCode: since(7, int16, 0),
    sessionId: since(7, int32, 0),
    topics: perTopic({
      index: int32,
      errorCode: int16,
      highWatermark: unknownOffset,
      lastStableOffset: unknownOffset,
      startOffset,
      aborted: optional(array({ producerId: int64, firstOffset: int64 }), []),
      preferredReplica: since(11, int32, -1),
      records: optional(bytes, nothing),
    }),
  },
  async serve(request, context) {
    if (request.sessionId !== 0) return { errorCode: errorCodes.FETCH_SESSION_ID_NOT_FOUND, topics: [] }
    const deadline = performance.now() + request.waitMaxMs
    for (;;) {
      let held = 0
      const more = Promise.withResolvers<boolean>()
      const wake = () => more.resolve(true)
      context.client.onClose = () => more.resolve(false)
      const watched: PartitionLog[] = []
      const topics = await eachPartition(context, request.topics, (topic, { index, offset, bytesMax }) => {
        const log = context.topics.partition(topic, index)
        // Watched from the moment it is looked at, so that nothing can become readable unnoticed.
        watched.push(log)
        log.watchers.add(wake)
        const { highWatermark, startOffset } = log
        // The first batch of the answer comes at any size, or a reader could never get past a large one.
        const room = Math.max(0, Math.min(bytesMax, request.bytesMax - held, answerBytesMax - held))
        let records = log.read(offset, room)
        if (held > 0 && records.length > room) records = nothing
        held += records.length
        return { highWatermark, lastStableOffset: highWatermark, startOffset, records }
      })
      const failed = topics.some(({ partitions }) => partitions.some(({ errorCode }) => errorCode !== 0))
      const waitMs = deadline - performance.now()
      const isEnough = failed || held >= request.bytesMin || waitMs <= 0
      const timer = isEnough ? undefined : setTimeout(more.resolve, waitMs, false)
      const goesOn = !isEnough && (await more.promise)
      clearTimeout(timer)
      context.client.onClose = undefined
      for (const log of watched) log.watchers.delete(wake)
      if (!goesOn) return { topics }
    }
  },
})

const latest = -1
const earliest = -2

/**
 * Timestamp -1 asks for the end of the log, -2 for its start, any other for the first record at or
 * after it (offset -1: none is).
 */
export const listOffsets = api('ListOffsets', 2, [1, 6], {
  flexible: 6,
  request: {
    replicaId: optional(int32, -1),
    isolationLevel: since(2, int8, 0),
    topics: perTopic({ index: int32, leaderEpoch: since(4, int32, -1), timestamp: int64 }),
  },
  response: {
    throttleMs: throttleSince(2),
    topics: perTopic({
      index: int32,
      errorCode: int16,
      timestamp: int64,
      offset: unknownOffset,
      leaderEpoch: since(4, int32, -1),
    }),
  },
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

const toEnd = -1

/**
 * Deletes the records before an offset; -1 is the end of the log. Refused where the cleanup policy does not
 * delete, as in Apache Kafka.
 */
export const deleteRecords = api('DeleteRecords', 21, [0, 2], {
  flexible: 2,
  request: { topics: perTopic({ index: int32, offset: int64 }), timeoutMs: int32 },
  response: {
    throttleMs,
    topics: perTopic({ index: int32, lowWatermark: unknownOffset, errorCode: int16 }),
  },
  async serve({ topics }, context) {
    const deleted = await eachPartition(context, topics, (topic, { index, offset }) => {
      const log = context.topics.partition(topic, index)
      if (!context.topics.isDeleting(topic)) throw new Refusal('POLICY_VIOLATION')
      log.deleteBefore(offset === toEnd ? log.highWatermark : offset)
      return { lowWatermark: log.startOffset }
    })
    return { topics: deleted }
  },
})
