import { api, attempt } from '../api.ts'
import { Refusal } from '../error-codes.ts'

/** Groups as an administrator sees them: those with members, and those that have committed. */

/**
 *     ListGroups Request v0-2 => (empty)
 *     ListGroups Response v0-2 => v1+ throttle_time_ms int32 · error_code int16 · [group_id string · protocol_type string]
 */
export const listGroups = api('ListGroups', [0, 2], async (_, answer, context) => {
  const { errorCode, groups } = await attempt(context, { groups: [] }, () => {
    const known = new Map(context.offsets.groups().map((groupId) => [groupId, 'consumer']))
    for (const group of context.groups.occupied()) known.set(group.id, group.describe().protocolType)
    return { groups: [...known] }
  })
  if (context.version >= 1) answer.int32(0)
  return answer.int16(errorCode).array(groups, ([groupId, type]) => answer.string(groupId).string(type))
})

/**
 *     DescribeGroups Request v0-2 => [group_id string]
 *     DescribeGroups Response v0-2 => v1+ throttle_time_ms int32 · [error_code int16 · group_id string · group_state string ·
 *       protocol_type string · protocol_data string ·
 *       [member_id string · client_id string · client_host string · member_metadata bytes · member_assignment bytes]]
 */
export const describeGroups = api('DescribeGroups', [0, 2], async (request, answer, context) => {
  const groupIds = request.array(() => request.string())

  const described = groupIds.map((groupId) => {
    const dead = { groupId, state: 'Dead', protocolType: '', protocol: '', members: [] }
    return attempt(context, dead, () => {
      const group = context.groups.occupied().find(({ id }) => id === groupId)
      if (group) return { groupId, ...group.describe() }
      return context.offsets.groups().includes(groupId) ? { ...dead, state: 'Empty', protocolType: 'consumer' } : dead
    })
  })
  if (context.version >= 1) answer.int32(0)
  return answer.array(await Promise.all(described), (group) => {
    answer.int16(group.errorCode).string(group.groupId).string(group.state)
    answer.string(group.protocolType).string(group.protocol)
    answer.array(group.members, ({ memberId, clientId, clientHost, metadata, assignment }) => {
      answer.string(memberId).string(clientId).string(clientHost).bytes(metadata).bytes(assignment)
    })
  })
})

/**
 *     DeleteGroups Request v0-1 => [group_id string]
 *     DeleteGroups Response v0-1 => throttle_time_ms int32 · [group_id string · error_code int16]
 */
export const deleteGroups = api('DeleteGroups', [0, 1], async (request, answer, context) => {
  const groupIds = request.array(() => request.string())

  const deleted = groupIds.map((groupId) =>
    attempt(context, { groupId }, async () => {
      if (context.groups.occupied().some(({ id }) => id === groupId)) throw new Refusal('NON_EMPTY_GROUP')
      if (!context.offsets.groups().includes(groupId)) throw new Refusal('GROUP_ID_NOT_FOUND')
      await context.offsets.deleteGroup(groupId)
      return { groupId }
    }),
  )
  return answer
    .int32(0)
    .array(await Promise.all(deleted), ({ groupId, errorCode }) => answer.string(groupId).int16(errorCode))
})
