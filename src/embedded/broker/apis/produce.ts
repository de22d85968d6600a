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
import { errorCodes, Refusal } from '../error-codes.ts'

type PartitionData = { index: number; records: Buffer | null }
type Request = { transactionalId: string | null; acks: number; topics: PerTopic<PartitionData> }
type PartitionAnswer = { index: number; errorCode: number; baseOffset: number; startOffset: number }

/**
 *     Produce Request v3-7 => transactional_id nullable string · acks int16 · timeout_ms int32 ·
 *       [name string · [index int32 · records nullable bytes]]
 *     Produce Response v3-7 => [name string · [index int32 · error_code int16 · base_offset int64 · log_append_time_ms int64 ·
 *       v5+ log_start_offset int64]] · throttle_time_ms int32
 *
 * acks -1 answers when the records are on disk, 1 when they are written, 0 never. One record batch per partition.
 */
export const produce: Api<Request, PerTopic<PartitionAnswer>> = {
  key: 0,
  name: 'Produce',
  versions: [3, 7],

  parse(reader) {
    const transactionalId = reader.nullableString()
    const acks = reader.int16()
    reader.int32()
    const topics = readTopics(reader, () => ({ index: reader.int32(), records: reader.nullableBytes() }))
    return { transactionalId, acks, topics }
  },

  async answer(request, context) {
    // Everything is appended before anything is waited for, so that all partitions share one fsync round.
    const answer = await answerTopics(request.topics, (topic, partition) => append(request, topic, partition, context))
    return request.acks === 0 ? undefined : answer
  },

  write(writer, topics, version) {
    writeTopics(writer, topics, ({ index, errorCode, baseOffset, startOffset }) => {
      writer.int32(index).int16(errorCode).int64(baseOffset).int64(-1)
      if (version >= 5) writer.int64(startOffset)
    })
    writer.int32(0)
  },
}

function append(
  request: Request,
  topic: string,
  { index, records }: PartitionData,
  context: Context,
): Promise<PartitionAnswer> {
  return orRefusal(
    () => {
      if (request.acks < -1 || request.acks > 1) throw new Refusal('INVALID_REQUIRED_ACKS')
      if (request.transactionalId !== null)
        throw new Refusal('INVALID_REQUEST', 'transactions are not supported by this broker')
      const log = requirePartition(context, topic, index)
      const { baseOffset, durable } = log.append(records ?? Buffer.alloc(0))
      const answer = { index, errorCode: errorCodes.NONE, baseOffset, startOffset: log.startOffset }
      if (request.acks !== -1) return answer
      return durable.then(
        () => answer,
        (error) => Promise.reject(new Refusal('KAFKA_STORAGE_ERROR', String(error))),
      )
    },
    (refusal) => ({ index, errorCode: refusal.code, baseOffset: -1, startOffset: -1 }),
  )
}
