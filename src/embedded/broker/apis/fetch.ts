import { type Api, type Context, type PerTopic, readTopics, requirePartition, writeTopics } from '../api.ts'
import { errorCodes, Refusal } from '../error-codes.ts'

type PartitionWanted = { index: number; offset: number; bytesMax: number }
type Request = {
  waitMaxMs: number
  bytesMin: number
  bytesMax: number
  sessionId: number
  topics: PerTopic<PartitionWanted>
}
type PartitionAnswer = { index: number; errorCode: number; highWatermark: number; startOffset: number; records: Buffer }
type Answer = { errorCode: number; topics: PerTopic<PartitionAnswer> }

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
 * Waits up to max_wait_ms for min_bytes; an error in any partition answers at once. No fetch sessions are kept: session id 0 tells
 * the client to name its partitions every time.
 */
export const fetch: Api<Request, Answer> = {
  key: 1,
  name: 'Fetch',
  versions: [4, 11],

  parse(reader, version) {
    reader.int32()
    const waitMaxMs = reader.int32()
    const bytesMin = reader.int32()
    const bytesMax = reader.int32()
    reader.int8()
    const sessionId = version >= 7 ? reader.int32() : 0
    if (version >= 7) reader.int32()
    const topics = readTopics(reader, () => {
      const index = reader.int32()
      if (version >= 9) reader.int32()
      const offset = reader.int64()
      if (version >= 5) reader.int64()
      return { index, offset, bytesMax: reader.int32() }
    })
    return { waitMaxMs, bytesMin, bytesMax, sessionId, topics }
  },

  async answer(request, context) {
    if (request.sessionId !== 0) return { errorCode: errorCodes.FETCH_SESSION_ID_NOT_FOUND, topics: [] }
    const deadline = performance.now() + request.waitMaxMs
    for (;;) {
      const read = readAll(request, context)
      const waitMs = deadline - performance.now()
      if (read.failed || read.bytes >= request.bytesMin || waitMs <= 0)
        return { errorCode: errorCodes.NONE, topics: read.topics }
      if (!(await moreToRead(request, context, waitMs))) return { errorCode: errorCodes.NONE, topics: read.topics }
    }
  },

  write(writer, { errorCode, topics }, version) {
    writer.int32(0)
    if (version >= 7) writer.int16(errorCode).int32(0)
    writeTopics(writer, topics, (partition) => {
      writer.int32(partition.index).int16(partition.errorCode)
      writer.int64(partition.highWatermark).int64(partition.highWatermark)
      if (version >= 5) writer.int64(partition.startOffset)
      writer.array(null, () => {})
      if (version >= 11) writer.int32(-1)
      writer.bytes(partition.records)
    })
  },
}

function readAll(request: Request, context: Context) {
  let bytes = 0
  let failed = false
  const bytesMax = Math.min(request.bytesMax, answerBytesMax)
  const topics = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ index, offset, bytesMax: partitionBytesMax }): PartitionAnswer => {
      try {
        const log = requirePartition(context, name, index)
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
    }),
  }))
  return { topics, bytes, failed }
}

/** False when the time is up or the client is gone. */
function moreToRead(request: Request, context: Context, waitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (more: boolean) => {
      clearTimeout(timer)
      for (const stop of stops) stop()
      resolve(more)
    }
    const timer = setTimeout(() => settle(false), waitMs)
    const stops = [context.client.onClose(() => settle(false))]
    for (const { name, partitions } of request.topics) {
      const logs = context.topics.find(name)?.partitions
      for (const { index } of partitions) {
        const stop = logs?.[index]?.watch(() => settle(true))
        if (stop) stops.push(stop)
      }
    }
  })
}
