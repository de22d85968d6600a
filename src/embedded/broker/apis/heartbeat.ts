import { type Api, orRefusal, requireGroup } from '../api.ts'

type Request = { groupId: string; generation: number; memberId: string }

/**
 *     Heartbeat Request v0-3 => group_id string · generation_id int32 · member_id string · v3+ group_instance_id nullable string
 *     Heartbeat Response v0-3 => v1+ throttle_time_ms int32 · error_code int16
 */
export const heartbeat: Api<Request, number> = {
  key: 12,
  name: 'Heartbeat',
  versions: [0, 3],

  parse: (reader) => ({ groupId: reader.string(), generation: reader.int32(), memberId: reader.string() }),

  answer({ groupId, generation, memberId }, context) {
    return orRefusal(
      () => requireGroup(context, groupId).heartbeat(generation, memberId),
      ({ code }) => code,
    )
  },

  write(writer, errorCode, version) {
    if (version >= 1) writer.int32(0)
    writer.int16(errorCode)
  },
}
