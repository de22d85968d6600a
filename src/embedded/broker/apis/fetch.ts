import { api, type Context, type PerTopic, readTopics, requirePartition, writeTopics } from '../api.ts'
import { errorCodes, Refusal } from '../error-codes.ts'

type PartitionWanted = { index: number; offset: number; bytesMax: number }
type Wanted = { waitMaxMs: number; bytesMin: number; bytesMax: number; topics: PerTopic<PartitionWanted> }

/** What one answer may weigh, whatever the client allows: it is held in memory until the client has read it. */
const answerBytesMax = 32 << 20
const nothing = Buffer.alloc(0)

/**
 *     Fetch Request v4-11 => replica_id int32 · max_wait_ms int32 · min_bytes int32 · max_bytes int32 · isolation_level int8 ·
 *       v7+ session_id int32 · v7+ session_epoch int32 ·
 *       [topic string · [partition int32 · v9+ current_leader_epoch int32 · fetch_offset int64 · v5+ log_start_offset int64 ·
 *         partition_max_bytes int32]] ·
 *       v7+ forgotten_topics [topic string · [partition int32]] · v11+ rack_id string
 *     Fetch Response v4-11 => throttle_time_ms int32 · v7+ error_code int16 · v7+ session_id int32 ·
 *       [topic string · [partition int32 · error_code int16 · high_watermark int64 · last_stable_offset int64 ·
 *         v5+ log_start_offset int64 · aborted_transactions nullable [..] · v11+ preferred_read_replica int32 · records bytes]]
 *
 * No fetch sessions are kept: session id 0 tells the client to name its partitions every time.
 */
export const fetch = api('Fetch', [4, 11], async (request, answer, context) => {
  const { version } = context
  request.int32()
  const limits = { waitMaxMs: request.int32(), bytesMin: request.int32(), bytesMax: request.int32() }
  request.int8()
  const sessionId = version >= 7 ? request.int32() : 0
  if (version >= 7) request.int32()
  const topics = readTopics(request, () => {
    const index = request.int32()
    if (version >= 9) request.int32()
    const offset = request.int64()
    if (version >= 5) request.int64()
    return { index, offset, bytesMax: request.int32() }
  })

  const known = sessionId === 0
  const read = known ? await readWhenThere({ ...limits, topics }, context) : []
  answer.int32(0)
  if (version >= 7) answer.int16(known ? errorCodes.NONE : errorCodes.FETCH_SESSION_ID_NOT_FOUND).int32(0)
  return writeTopics(answer, read, ({ index, errorCode, highWatermark, startOffset, records }) => {
    answer.int32(index).int16(errorCode).int64(highWatermark).int64(highWatermark)
    if (version >= 5) answer.int64(startOffset)
    answer.int32(-1)
    if (version >= 11) answer.int32(-1)
    answer.bytes(records)
  })
})

/** Waits up to `waitMaxMs` for `bytesMin`; an error in any partition answers at once. */
export async function readWhenThere(wanted: Wanted, context: Context) {
  const deadline = performance.now() + wanted.waitMaxMs
  for (;;) {
    const read = readAll(wanted, context)
    const waitMs = deadline - performance.now()
    if (read.failed || read.bytes >= wanted.bytesMin || waitMs <= 0) return read.topics
    if (!(await moreToRead(wanted, context, waitMs))) return read.topics
  }
}

/** In one go, so that nothing can become readable between the look at the logs and the wait for more. */
function readAll(wanted: Wanted, context: Context) {
  let bytes = 0
  let failed = false
  const bytesMax = Math.min(wanted.bytesMax, answerBytesMax)
  const read = (topic: string, { index, offset, bytesMax: partitionBytesMax }: PartitionWanted) => {
    try {
      if (context.refusal) throw new Refusal(context.refusal)
      const log = requirePartition(context, topic, index)
      const { highWatermark, startOffset } = log
      // The first batch of the answer comes whatever its size, or a reader could never get past a large one.
      const room = Math.min(bytesMax - bytes, partitionBytesMax)
      const records = bytes === 0 || room > 0 ? log.read(offset, Math.max(0, room)) : nothing
      const fits = bytes === 0 || records.length <= room
      if (fits) bytes += records.length
      return { index, errorCode: errorCodes.NONE, highWatermark, startOffset, records: fits ? records : nothing }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      failed = true
      return { index, errorCode: error.code, highWatermark: -1, startOffset: -1, records: nothing }
    }
  }
  const topics = wanted.topics.map(({ name, partitions }) => {
    return { name, partitions: partitions.map((partition) => read(name, partition)) }
  })
  return { topics, bytes, failed }
}

/** False when the time is up or the client is gone. */
function moreToRead(wanted: Wanted, context: Context, waitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (more: boolean) => {
      clearTimeout(timer)
      for (const stop of stops) stop?.()
      resolve(more)
    }
    const timer = setTimeout(settle, waitMs, false)
    const logs = wanted.topics.flatMap(({ name, partitions }) => {
      return partitions.map(({ index }) => context.topics.find(name)?.log(index))
    })
    const stops = [context.client.onClose(() => settle(false)), ...logs.map((log) => log?.watch(() => settle(true)))]
  })
}
