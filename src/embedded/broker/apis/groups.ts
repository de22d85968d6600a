/** Being a member of a consumer group, and looking at groups as an administrator does. */
import { api, attempt, type Context, each, throttleMs } from '../api.ts'
import type { Group } from '../group.ts'
import { array, bytes, int16, int32, optional, string } from '../wire.ts'

const text = optional(string, '')
const timeouts = { sessionTimeoutMs: int32, rebalanceTimeoutMs: int32 }
const protocols = array({ name: string, metadata: bytes })
const round = { generation: optional(int32, -1), protocol: text, leader: text, memberId: text }
const candidate = { memberId: string, metadata: bytes }

export const joinGroup = api('JoinGroup', 11, [2, 2], {
  request: { groupId: string, ...timeouts, memberId: string, protocolType: string, protocols },
  answer: { throttleMs, errorCode: int16, ...round, members: optional(array(candidate), []) },
  async serve(request, context) {
    const { client } = context
    const from = { clientId: client.id, clientHost: `/${client.socket.remoteAddress}` }
    const gone = (leave: () => void) => {
      client.onClose = leave
    }
    const joined = await attempt(context, () =>
      context.groups.open(request.groupId).join({ ...request, ...from }, gone),
    )
    client.onClose = undefined
    return joined
  },
})

const member = { groupId: string, generation: int32, memberId: string }

export const syncGroup = api('SyncGroup', 14, [1, 1], {
  request: { ...member, assignments: array({ memberId: string, assignment: bytes }) },
  answer: { throttleMs, errorCode: int16, assignment: optional(bytes, Buffer.alloc(0)) },
  serve({ groupId, generation, memberId, assignments }, context) {
    const parts = new Map(assignments.map((part) => [part.memberId, part.assignment]))
    return attempt(context, () => context.groups.open(groupId).sync(generation, memberId, parts))
  },
})

export const heartbeat = api('Heartbeat', 12, [1, 1], {
  request: member,
  answer: { throttleMs, errorCode: int16 },
  serve: ({ groupId, generation, memberId }, context) =>
    attempt(context, () => context.groups.open(groupId).heartbeat(generation, memberId)),
})

export const leaveGroup = api('LeaveGroup', 13, [1, 1], {
  request: { groupId: string, memberId: string },
  answer: { throttleMs, errorCode: int16 },
  serve: ({ groupId, memberId }, context) =>
    attempt(context, () => {
      context.groups.open(groupId).leave(memberId)
    }),
})

const memberShown = { memberId: string, clientId: string, clientHost: string, metadata: bytes, assignment: bytes }
const shown = { errorCode: int16, groupId: string, state: optional(string, 'Dead'), protocolType: text, protocol: text }
const empty = { state: 'Empty', protocolType: 'consumer', protocol: '', members: [] } as const

/** All groups there are: those that have members, and those that only have commits. */
function described({ groups, offsets }: Context) {
  const all = new Map<string, ReturnType<Group['describe']> | typeof empty>()
  for (const groupId of offsets.groups()) all.set(groupId, empty)
  for (const group of groups.occupied()) all.set(group.id, group.describe())
  return all
}

export const listGroups = api('ListGroups', 16, [1, 1], {
  request: {},
  answer: { throttleMs, errorCode: int16, groups: optional(array({ groupId: string, protocolType: string }), []) },
  serve: (_, context) =>
    attempt(context, () => ({ groups: [...described(context)].map(([groupId, group]) => ({ groupId, ...group })) })),
})

export const describeGroups = api('DescribeGroups', 15, [1, 1], {
  request: { groups: array({ groupId: string }) },
  answer: { throttleMs, groups: array({ ...shown, members: optional(array(memberShown), []) }) },
  serve: async ({ groups }, context) => ({
    groups: await each(context, groups, ({ groupId }) => described(context).get(groupId)),
  }),
})
