import { type Api, orRefusal } from '../api.ts'
import { errorCodes, Refusal } from '../error-codes.ts'

type Request = { transactionalId: string | null }
type Answer = { errorCode: number; producerId: number; producerEpoch: number }

/**
 *     InitProducerId Request v0-1 => transactional_id nullable string · transaction_timeout_ms int32
 *     InitProducerId Response v0-1 => throttle_time_ms int32 · error_code int16 · producer_id int64 · producer_epoch int16
 */
export const initProducerId: Api<Request, Answer> = {
  key: 22,
  name: 'InitProducerId',
  versions: [0, 1],

  parse: (reader) => ({ transactionalId: reader.nullableString() }),

  answer({ transactionalId }, { topics, refusal }) {
    return orRefusal<Answer>(
      () => {
        if (refusal) throw new Refusal(refusal)
        if (transactionalId !== null)
          throw new Refusal('INVALID_REQUEST', 'transactions are not supported by this broker')
        return { errorCode: errorCodes.NONE, producerId: topics.nextProducerId(), producerEpoch: 0 }
      },
      ({ code }) => ({ errorCode: code, producerId: -1, producerEpoch: -1 }),
    )
  },

  write(writer, { errorCode, producerId, producerEpoch }) {
    writer.int32(0).int16(errorCode).int64(producerId).int16(producerEpoch)
  },
}
