import {
  type Api,
  answerTopics,
  type Context,
  orRefusal,
  type PerTopic,
  readTopics,
  requirePartition,
  writeTopics,
} from '../api.ts'
import { errorCodes } from '../error-codes.ts'

type Wanted = { index: number; timestamp: number }
type Found = { index: number; errorCode: number; timestamp: number; offset: number }

const latest = -1
const earliest = -2

/**
 *     ListOffsets Request v1-3 => replica_id int32 · v2+ isolation_level int8 · [name string · [partition int32 · timestamp int64]]
 *     ListOffsets Response v1-3 => v2+ throttle_time_ms int32 ·
 *       [name string · [partition int32 · error_code int16 · timestamp int64 · offset int64]]
 *
 * Timestamp -1 asks for the end of the log, -2 for its start, any other for the first record at or after it (offset -1: none is).
 */
export const listOffsets: Api<PerTopic<Wanted>, PerTopic<Found>> = {
  key: 2,
  name: 'ListOffsets',
  versions: [1, 3],

  parse(reader, version) {
    reader.int32()
    if (version >= 2) reader.int8()
    return readTopics(reader, () => ({ index: reader.int32(), timestamp: reader.int64() }))
  },

  answer: (topics, context) => answerTopics(topics, (topic, wanted) => find(topic, wanted, context)),

  write(writer, topics, version) {
    if (version >= 2) writer.int32(0)
    writeTopics(writer, topics, ({ index, errorCode, timestamp, offset }) => {
      writer.int32(index).int16(errorCode).int64(timestamp).int64(offset)
    })
  },
}

function find(topic: string, { index, timestamp }: Wanted, context: Context): Promise<Found> {
  return orRefusal<Found>(
    () => {
      const log = requirePartition(context, topic, index)
      const errorCode = errorCodes.NONE
      if (timestamp === latest) return { index, errorCode, timestamp: -1, offset: log.highWatermark }
      if (timestamp === earliest) return { index, errorCode, timestamp: -1, offset: log.startOffset }
      return { index, errorCode, ...(log.findTimestamp(timestamp) ?? { timestamp: -1, offset: -1 }) }
    },
    ({ code }) => ({ index, errorCode: code, timestamp: -1, offset: -1 }),
  )
}
