import type { AnyApi, Api } from '../api.ts'
import { errorCodes } from '../error-codes.ts'

type Answer = { errorCode: number; apis: Pick<AnyApi, 'key' | 'versions'>[] }

/**
 *     ApiVersions Request v0-2 => (empty)
 *     ApiVersions Response v0-2 => error_code int16 · [api_key int16 · min_version int16 · max_version int16] · v1+ throttle_time_ms int32
 */
export function apiVersions(apis: () => readonly AnyApi[]): Api<null, Answer> {
  return {
    key: 18,
    name: 'ApiVersions',
    versions: [0, 2],
    parse: () => null,
    answer: () => ({ errorCode: errorCodes.NONE, apis: [...apis()] }),
    write: writeApiVersions,
  }
}

/** Also answers a version that is too new, in the layout of version 0, from which every client learns what to ask instead (KIP-511). */
export const writeApiVersions: Api<null, Answer>['write'] = (writer, { errorCode, apis }, version) => {
  writer.int16(errorCode).array(apis, ({ key, versions: [low, high] }) => writer.int16(key).int16(low).int16(high))
  if (version >= 1) writer.int32(0)
}
