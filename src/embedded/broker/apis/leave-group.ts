import { type Api, orRefusal, requireGroup } from '../api.ts'
import { errorCodes } from '../error-codes.ts'

type Request = { groupId: string; memberIds: string[] }
type Answer = { errorCode: number; members: { memberId: string; errorCode: number }[] }

/**
 *     LeaveGroup Request v0-2 => group_id string · member_id string
 *     LeaveGroup Request v3 => group_id string · [member_id string · group_instance_id nullable string]
 *     LeaveGroup Response v0-3 => v1+ throttle_time_ms int32 · error_code int16 ·
 *       v3+ [member_id string · group_instance_id nullable string · error_code int16]
 */
export const leaveGroup: Api<Request, Answer> = {
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 3],

  parse(reader, version) {
    const groupId = reader.string()
    if (version < 3) return { groupId, memberIds: [reader.string()] }
    const memberIds = reader.array(() => {
      const memberId = reader.string()
      reader.nullableString()
      return memberId
    })
    return { groupId, memberIds }
  },

  answer({ groupId, memberIds }, context) {
    return orRefusal<Answer>(
      () => {
        const group = requireGroup(context, groupId)
        const members = memberIds.map((memberId) => ({ memberId, errorCode: group.leave(memberId) }))
        // Before version 3 there is one member, and its error is the error.
        const errorCode = context.version < 3 ? (members[0]?.errorCode ?? errorCodes.NONE) : errorCodes.NONE
        return { errorCode, members }
      },
      ({ code }) => ({ errorCode: code, members: [] }),
    )
  },

  write(writer, { errorCode, members }, version) {
    if (version >= 1) writer.int32(0)
    writer.int16(errorCode)
    if (version >= 3)
      writer.array(members, (member) => writer.string(member.memberId).string(null).int16(member.errorCode))
  },
}
