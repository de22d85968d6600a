import { type Api, nodeId } from '../api.ts'
import { errorCodes } from '../error-codes.ts'

type Request = { key: string; keyType: number }
type Answer = { errorCode: number; errorMessage: string | null; nodeId: number; host: string; port: number }

const groupKey = 0

/**
 *     FindCoordinator Request v0-2 => key string · v1+ key_type int8
 *     FindCoordinator Response v0-2 => v1+ throttle_time_ms int32 · error_code int16 · v1+ error_message nullable string ·
 *       node_id int32 · host string · port int32
 *
 * The coordinator of transactions (key type 1) is where a transactional producer learns that there are none.
 */
export const findCoordinator: Api<Request, Answer> = {
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 2],

  parse: (reader, version) => ({ key: reader.string(), keyType: version >= 1 ? reader.int8() : groupKey }),

  answer({ keyType }, { host, port, refusal }) {
    if (refusal) return { errorCode: errorCodes[refusal], errorMessage: refusal, nodeId: -1, host: '', port: -1 }
    if (keyType !== groupKey) {
      const errorMessage = 'transactions are not supported by this broker'
      return { errorCode: errorCodes.INVALID_REQUEST, errorMessage, nodeId: -1, host: '', port: -1 }
    }
    return { errorCode: errorCodes.NONE, errorMessage: null, nodeId, host, port }
  },

  write(writer, answer, version) {
    if (version >= 1) writer.int32(0)
    writer.int16(answer.errorCode)
    if (version >= 1) writer.string(answer.errorMessage)
    writer.int32(answer.nodeId).string(answer.host).int32(answer.port)
  },
}
