import { type Api, orRefusal, requireGroup } from '../api.ts'
import type { JoinAnswer, Protocol } from '../group.ts'

type Request = {
  groupId: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  memberId: string
  protocolType: string
  protocols: Protocol[]
}

/**
 *     JoinGroup Request v0-5 => group_id string · session_timeout_ms int32 · v1+ rebalance_timeout_ms int32 · member_id string ·
 *       v5+ group_instance_id nullable string · protocol_type string · [name string · metadata bytes]
 *     JoinGroup Response v0-5 => v2+ throttle_time_ms int32 · error_code int16 · generation_id int32 · protocol_name string ·
 *       leader string · member_id string · [member_id string · v5+ group_instance_id nullable string · metadata bytes]
 *
 * Static membership (group_instance_id) is read over: such a member is treated as any other.
 */
export const joinGroup: Api<Request, JoinAnswer> = {
  key: 11,
  name: 'JoinGroup',
  versions: [0, 5],

  parse(reader, version) {
    const groupId = reader.string()
    const sessionTimeoutMs = reader.int32()
    const rebalanceTimeoutMs = version >= 1 ? reader.int32() : sessionTimeoutMs
    const memberId = reader.string()
    if (version >= 5) reader.nullableString()
    const protocolType = reader.string()
    const protocols = reader.array(() => ({ name: reader.string(), metadata: reader.bytes() }))
    return { groupId, sessionTimeoutMs, rebalanceTimeoutMs, memberId, protocolType, protocols }
  },

  answer({ groupId, ...request }, context) {
    const { id: clientId, host: clientHost } = context.client
    return orRefusal(
      () =>
        requireGroup(context, groupId).join({
          ...request,
          memberIdRequired: context.version >= 4,
          clientId,
          clientHost,
        }),
      ({ code }) => ({
        errorCode: code,
        generation: -1,
        protocol: '',
        leader: '',
        memberId: request.memberId,
        members: [],
      }),
    )
  },

  write(writer, answer, version) {
    if (version >= 2) writer.int32(0)
    writer.int16(answer.errorCode).int32(answer.generation).string(answer.protocol)
    writer.string(answer.leader).string(answer.memberId)
    writer.array(answer.members, ({ memberId, metadata }) => {
      writer.string(memberId)
      if (version >= 5) writer.string(null)
      writer.bytes(metadata)
    })
  },
}
