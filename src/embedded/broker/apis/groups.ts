/** Being a member of a consumer group, and looking at groups as an administrator does. */
import { randomUUID } from 'node:crypto'
import { api, attempt, each } from '../api.ts'
import { Refusal } from '../errors.ts'
import { array, bytes, int16, int32, nullableString, optional, since, string, until } from '../wire.ts'

/** Static membership: such a member is treated as any other. */
const instanceId = optional(nullableString, null)
const member = { groupId: string, generation: int32, memberId: string, instanceId }
const nothing: Buffer = Buffer.alloc(0)

export const joinGroup = api('JoinGroup', 11, [5, 5], {
  request: {
    groupId: string,
    sessionTimeoutMs: int32,
    rebalanceTimeoutMs: int32,
    memberId: string,
    instanceId,
    protocolType: string,
    protocols: array({ name: string, metadata: bytes }),
  },
  answer: {
    errorCode: int16,
    generation: optional(int32, -1),
    protocol: optional(string, ''),
    leader: optional(string, ''),
    memberId: string,
    members: optional(array({ memberId: string, instanceId, metadata: bytes }), []),
  },
  async serve(request, context) {
    const { client, groups } = context
    const memberId = request.memberId || `${client.id}-${randomUUID()}`
    const joined = await attempt(context, () => {
      const from = { clientId: client.id, clientHost: `/${client.socket.remoteAddress}` }
      return groups.open(request.groupId).join({ ...request, ...from, memberId, isNew: request.memberId === '' })
    })
    return { memberId, ...joined }
  },
})

export const syncGroup = api('SyncGroup', 14, [3, 3], {
  request: { ...member, assignments: array({ memberId: string, assignment: bytes }) },
  answer: { errorCode: int16, assignment: optional(bytes, nothing) },
  serve({ groupId, generation, memberId, assignments }, context) {
    return attempt(context, async () => {
      const parts = new Map(assignments.map((part) => [part.memberId, part.assignment]))
      return { assignment: await context.groups.open(groupId).sync(generation, memberId, parts) }
    })
  },
})

export const heartbeat = api('Heartbeat', 12, [3, 3], {
  request: member,
  answer: { errorCode: int16 },
  serve: ({ groupId, generation, memberId }, context) =>
    attempt(context, () => context.groups.open(groupId).heartbeat(generation, memberId)),
})

/** Before version 3, which is librdkafka's, there is one member, and its error is the error. */
export const leaveGroup = api('LeaveGroup', 13, [1, 3], {
  request: {
    groupId: string,
    memberId: until(2, nullableString, null),
    members: since(3, array({ memberId: string, instanceId }), []),
  },
  answer: {
    errorCode: optional(int16, 0),
    members: since(3, array({ memberId: string, instanceId, errorCode: int16 }), []),
  },
  async serve({ groupId, memberId, members }, context) {
    const left = await each(context, memberId === null ? members : [{ memberId, instanceId: null }], (leaving) => {
      context.groups.open(groupId).leave(leaving.memberId)
    })
    return { errorCode: memberId === null ? 0 : left[0]?.errorCode, members: left }
  },
})

export const listGroups = api('ListGroups', 16, [2, 2], {
  request: {},
  answer: { errorCode: int16, groups: optional(array({ groupId: string, protocolType: string }), []) },
  serve(_, context) {
    return attempt(context, () => {
      const known = new Map(context.offsets.groups().map((groupId) => [groupId, 'consumer']))
      for (const group of context.groups.occupied()) known.set(group.id, group.describe().protocolType)
      return { groups: [...known].map(([groupId, protocolType]) => ({ groupId, protocolType })) }
    })
  },
})

const emptyGroup = { state: 'Empty', protocolType: 'consumer' }
const memberShown = { memberId: string, clientId: string, clientHost: string, metadata: bytes, assignment: bytes }

export const describeGroups = api('DescribeGroups', 15, [2, 2], {
  request: { groups: array({ groupId: string }) },
  answer: {
    groups: array({
      errorCode: int16,
      groupId: string,
      state: optional(string, 'Dead'),
      protocolType: optional(string, ''),
      protocol: optional(string, ''),
      members: optional(array(memberShown), []),
    }),
  },
  async serve({ groups: asked }, context) {
    const groups = await each(context, asked, ({ groupId }) => {
      const group = context.groups.occupied().find(({ id }) => id === groupId)
      if (group) return group.describe()
      return context.offsets.groups().includes(groupId) ? emptyGroup : {}
    })
    return { groups }
  },
})

export const deleteGroups = api('DeleteGroups', 42, [1, 1], {
  request: { groups: array({ groupId: string }) },
  answer: { groups: array({ groupId: string, errorCode: int16 }) },
  async serve({ groups: asked }, context) {
    const groups = await each(context, asked, async ({ groupId }) => {
      if (context.groups.occupied().some(({ id }) => id === groupId)) throw new Refusal('NON_EMPTY_GROUP')
      if (!context.offsets.groups().includes(groupId)) throw new Refusal('GROUP_ID_NOT_FOUND')
      await context.offsets.deleteGroup(groupId)
    })
    return { groups }
  },
})
