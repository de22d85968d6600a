import { api, attempt } from '../api.ts'
import { errorCodes } from '../error-codes.ts'
import { joinRefused, syncRefused } from '../group.ts'

/** Being a member of a consumer group. Static membership (group_instance_id) is read over: such a member is treated as any other. */

/**
 *     JoinGroup Request v0-5 => group_id string · session_timeout_ms int32 · v1+ rebalance_timeout_ms int32 · member_id string ·
 *       v5+ group_instance_id nullable string · protocol_type string · [name string · metadata bytes]
 *     JoinGroup Response v0-5 => v2+ throttle_time_ms int32 · error_code int16 · generation_id int32 · protocol_name string ·
 *       leader string · member_id string · [member_id string · v5+ group_instance_id nullable string · metadata bytes]
 */
export const joinGroup = api('JoinGroup', [0, 5], async (request, answer, context) => {
  const { version, client } = context
  const groupId = request.string()
  const sessionTimeoutMs = request.int32()
  const rebalanceTimeoutMs = version >= 1 ? request.int32() : sessionTimeoutMs
  const memberId = request.string()
  if (version >= 5) request.nullableString()
  const protocolType = request.string()
  const protocols = request.array(() => ({ name: request.string(), metadata: request.bytes() }))

  const joined = await attempt(context, joinRefused(errorCodes.NONE, memberId), () => {
    const timeouts = { sessionTimeoutMs, rebalanceTimeoutMs }
    const who = { memberId, memberIdRequired: version >= 4, clientId: client.id, clientHost: client.host }
    return context.groups.open(groupId).join({ ...who, ...timeouts, protocolType, protocols })
  })
  if (version >= 2) answer.int32(0)
  answer.int16(joined.errorCode).int32(joined.generation).string(joined.protocol)
  answer.string(joined.leader).string(joined.memberId)
  return answer.array(joined.members, (member) => {
    answer.string(member.memberId)
    if (version >= 5) answer.string(null)
    answer.bytes(member.metadata)
  })
})

/**
 *     SyncGroup Request v0-3 => group_id string · generation_id int32 · member_id string · v3+ group_instance_id nullable string ·
 *       [member_id string · assignment bytes]
 *     SyncGroup Response v0-3 => v1+ throttle_time_ms int32 · error_code int16 · assignment bytes
 */
export const syncGroup = api('SyncGroup', [0, 3], async (request, answer, context) => {
  const { version } = context
  const groupId = request.string()
  const generation = request.int32()
  const memberId = request.string()
  if (version >= 3) request.nullableString()
  // Copied, because they outlive the request.
  const parts = request.array((): [string, Buffer] => [request.string(), Buffer.from(request.bytes())])

  const { errorCode, assignment } = await attempt(context, syncRefused(errorCodes.NONE), () => {
    return context.groups.open(groupId).sync(generation, memberId, new Map(parts))
  })
  if (version >= 1) answer.int32(0)
  return answer.int16(errorCode).bytes(assignment)
})

/**
 *     Heartbeat Request v0-3 => group_id string · generation_id int32 · member_id string · v3+ group_instance_id nullable string
 *     Heartbeat Response v0-3 => v1+ throttle_time_ms int32 · error_code int16
 */
export const heartbeat = api('Heartbeat', [0, 3], async (request, answer, context) => {
  const groupId = request.string()
  const generation = request.int32()
  const memberId = request.string()

  const { errorCode } = await attempt(context, {}, () => {
    return { errorCode: context.groups.open(groupId).heartbeat(generation, memberId) }
  })
  if (context.version >= 1) answer.int32(0)
  return answer.int16(errorCode)
})

/**
 *     LeaveGroup Request v0-2 => group_id string · member_id string
 *     LeaveGroup Request v3 => group_id string · [member_id string · group_instance_id nullable string]
 *     LeaveGroup Response v0-3 => v1+ throttle_time_ms int32 · error_code int16 ·
 *       v3+ [member_id string · group_instance_id nullable string · error_code int16]
 *
 * Before version 3 there is one member, and its error is the error.
 */
export const leaveGroup = api('LeaveGroup', [0, 3], async (request, answer, context) => {
  const { version } = context
  const groupId = request.string()
  const readMember = () => ({
    memberId: request.string(),
    instanceId: version >= 3 ? request.nullableString() : null,
  })
  const leaving = version >= 3 ? request.array(readMember) : [readMember()]

  const { errorCode, members } = await attempt(context, { members: [] }, () => {
    const group = context.groups.open(groupId)
    const members = leaving.map(({ memberId }) => ({ memberId, errorCode: group.leave(memberId) }))
    return version >= 3 ? { members } : { members, errorCode: members[0]?.errorCode }
  })
  if (version >= 1) answer.int32(0)
  answer.int16(errorCode)
  if (version < 3) return answer
  return answer.array(members, (member) => answer.string(member.memberId).string(null).int16(member.errorCode))
})
