import { type Api, orRefusal, requireGroup } from '../api.ts'
import type { SyncAnswer } from '../group.ts'

type Request = { groupId: string; generation: number; memberId: string; assignments: Map<string, Buffer> }

/**
 *     SyncGroup Request v0-3 => group_id string · generation_id int32 · member_id string · v3+ group_instance_id nullable string ·
 *       [member_id string · assignment bytes]
 *     SyncGroup Response v0-3 => v1+ throttle_time_ms int32 · error_code int16 · assignment bytes
 */
export const syncGroup: Api<Request, SyncAnswer> = {
  key: 14,
  name: 'SyncGroup',
  versions: [0, 3],

  parse(reader, version) {
    const groupId = reader.string()
    const generation = reader.int32()
    const memberId = reader.string()
    if (version >= 3) reader.nullableString()
    // Copied, because they outlive the request.
    const assignments = reader.array((): [string, Buffer] => [reader.string(), Buffer.from(reader.bytes())])
    return { groupId, generation, memberId, assignments: new Map(assignments) }
  },

  answer({ groupId, generation, memberId, assignments }, context) {
    return orRefusal(
      () => requireGroup(context, groupId).sync(generation, memberId, assignments),
      ({ code }) => ({ errorCode: code, assignment: Buffer.alloc(0) }),
    )
  },

  write(writer, { errorCode, assignment }, version) {
    if (version >= 1) writer.int32(0)
    writer.int16(errorCode).bytes(assignment)
  },
}
