import { api, attempt, eachPartition, readTopics, requirePartition, writeTopics } from '../api.ts'
import { Refusal } from '../error-codes.ts'

/**
 *     Produce Request v3-7 => transactional_id nullable string · acks int16 · timeout_ms int32 ·
 *       [name string · [index int32 · records nullable bytes]]
 *     Produce Response v3-7 => [name string · [index int32 · error_code int16 · base_offset int64 · log_append_time_ms int64 ·
 *       v5+ log_start_offset int64]] · throttle_time_ms int32
 *
 * acks -1 answers when the records are on disk, 1 when they are written, 0 never. One record batch per partition.
 */
export const produce = api('Produce', [3, 7], async (request, answer, context) => {
  const transactionalId = request.nullableString()
  const acks = request.int16()
  request.int32()
  const topics = readTopics(request, () => ({ index: request.int32(), records: request.nullableBytes() }))

  // Everything is appended before anything is waited for, so that all partitions share one fsync round.
  const appended = await eachPartition(topics, async (topic, { index, records }) => {
    const outcome = await attempt(context, { baseOffset: -1, startOffset: -1 }, async () => {
      if (acks < -1 || acks > 1) throw new Refusal('INVALID_REQUIRED_ACKS')
      if (transactionalId !== null) throw new Refusal('INVALID_REQUEST', 'transactions are not supported')
      const log = requirePartition(context, topic, index)
      const { baseOffset, durable } = log.append(records ?? Buffer.alloc(0))
      if (acks === -1) await durable
      return { baseOffset, startOffset: log.startOffset }
    })
    return { index, ...outcome }
  })
  if (acks === 0) return undefined
  return writeTopics(answer, appended, ({ index, errorCode, baseOffset, startOffset }) => {
    answer.int32(index).int16(errorCode).int64(baseOffset).int64(-1)
    if (context.version >= 5) answer.int64(startOffset)
  }).int32(0)
})

/**
 *     InitProducerId Request v0-1 => transactional_id nullable string · transaction_timeout_ms int32
 *     InitProducerId Response v0-1 => throttle_time_ms int32 · error_code int16 · producer_id int64 · producer_epoch int16
 */
export const initProducerId = api('InitProducerId', [0, 1], async (request, answer, context) => {
  const transactionalId = request.nullableString()
  const refused = { producerId: -1, epoch: -1 }
  const { errorCode, producerId, epoch } = await attempt(context, refused, () => {
    if (transactionalId !== null) throw new Refusal('INVALID_REQUEST', 'transactions are not supported')
    return { producerId: context.topics.nextProducerId(), epoch: 0 }
  })
  return answer.int32(0).int16(errorCode).int64(producerId).int16(epoch)
})
