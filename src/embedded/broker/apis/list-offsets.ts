import { api, attempt, eachPartition, readTopics, requirePartition, writeTopics } from '../api.ts'

const latest = -1
const earliest = -2
const none = { timestamp: -1, offset: -1 }

/**
 *     ListOffsets Request v1-3 => replica_id int32 · v2+ isolation_level int8 · [name string · [partition int32 · timestamp int64]]
 *     ListOffsets Response v1-3 => v2+ throttle_time_ms int32 ·
 *       [name string · [partition int32 · error_code int16 · timestamp int64 · offset int64]]
 *
 * Timestamp -1 asks for the end of the log, -2 for its start, any other for the first record at or after it (offset -1: none is).
 */
export const listOffsets = api('ListOffsets', [1, 3], async (request, answer, context) => {
  request.int32()
  if (context.version >= 2) request.int8()
  const topics = readTopics(request, () => ({ index: request.int32(), timestamp: request.int64() }))

  const found = await eachPartition(topics, async (topic, { index, timestamp }) => {
    const outcome = await attempt(context, none, () => {
      const log = requirePartition(context, topic, index)
      if (timestamp === latest) return { timestamp: -1, offset: log.highWatermark }
      if (timestamp === earliest) return { timestamp: -1, offset: log.startOffset }
      return log.findTimestamp(timestamp) ?? none
    })
    return { index, ...outcome }
  })
  if (context.version >= 2) answer.int32(0)
  return writeTopics(answer, found, ({ index, errorCode, timestamp, offset }) => {
    answer.int32(index).int16(errorCode).int64(timestamp).int64(offset)
  })
})
