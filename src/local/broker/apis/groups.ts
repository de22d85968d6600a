/** Being a member of a consumer group, how far it has read, and what an administrator sees of it. */
import { api, type Context, each, eachPartition, handle, operationsSince, throttleSince } from '../api.ts'
import type { Commit } from '../catalog.ts'
import { Refusal } from '../errors.ts'
import type { Group } from '../group.ts'
import {
  array,
  boolean,
  bytes,
  int16,
  int32,
  int64,
  nullableArray,
  nullableString,
  optional,
  perTopic,
  since,
  string,
  until,
} from '../wire.ts'

const text = optional(string, '')
/** A member that comes back under the instance id that its client says takes the place it had. */
const instanceSince = (version: number) => since(version, nullableString, null)
const protocols = array({ name: string, metadata: bytes })
const round = {
  generation: optional(int32, -1),
  protocolType: instanceSince(7),
  protocol: optional(nullableString, ''),
  leader: text,
}
const candidate = { memberId: string, instanceId: instanceSince(5), metadata: bytes }

/** A member is in the group as soon as it asks, also in versions in which a broker may have it ask twice. */
export const joinGroup = api('JoinGroup', 11, [0, 7], {
  flexible: 6,
  request: {
    groupId: string,
    sessionTimeoutMs: int32,
    rebalanceTimeoutMs: since(1, int32, -1),
    memberId: string,
    instanceId: instanceSince(5),
    protocolType: string,
    protocols,
  },
  response: {
    throttleMs: throttleSince(2),
    errorCode: int16,
    ...round,
    memberId: text,
    members: optional(array(candidate), []),
  },
  async serve(request, context) {
    const { client } = context
    const { protocolType, sessionTimeoutMs } = request
    // Version 0 has one time for both.
    const rebalanceTimeoutMs = request.rebalanceTimeoutMs < 0 ? sessionTimeoutMs : request.rebalanceTimeoutMs
    const from = { clientId: client.id, clientHost: `/${client.address}`, rebalanceTimeoutMs }
    const gone = (leave: () => void) => {
      client.onClose = leave
    }
    const joined = await handle(context, async () => {
      const answer = await context.groups.open(request.groupId).join({ ...request, ...from }, gone)
      return { protocolType, ...answer }
    })
    client.onClose = undefined
    return joined
  },
})

const member = { groupId: string, generation: int32, memberId: string, instanceId: instanceSince(3) }

export const syncGroup = api('SyncGroup', 14, [0, 5], {
  flexible: 4,
  request: {
    ...member,
    protocolType: instanceSince(5),
    protocol: instanceSince(5),
    assignments: array({ memberId: string, assignment: bytes }),
  },
  response: {
    throttleMs: throttleSince(1),
    errorCode: int16,
    protocolType: instanceSince(5),
    protocol: instanceSince(5),
    assignment: optional(bytes, Buffer.alloc(0)),
  },
  async serve({ groupId, generation, memberId, protocolType, protocol, assignments }, context) {
    const parts = new Map(assignments.map((part) => [part.memberId, part.assignment]))
    return handle(context, async () => {
      const { assignment } = await context.groups.open(groupId).sync(generation, memberId, parts)
      return { assignment, protocolType, protocol }
    })
  },
})

export const heartbeat = api('Heartbeat', 12, [0, 4], {
  flexible: 4,
  request: member,
  response: { throttleMs: throttleSince(1), errorCode: int16 },
  serve: ({ groupId, generation, memberId }, context) =>
    handle(context, () => context.groups.open(groupId).heartbeat(generation, memberId)),
})

const leaving = { memberId: string, instanceId: optional(nullableString, null) }

/** One member up to version 2, from then on any number. */
export const leaveGroup = api('LeaveGroup', 13, [0, 4], {
  flexible: 4,
  request: { groupId: string, memberId: until(2, string, ''), members: since(3, array(leaving), []) },
  response: {
    throttleMs: throttleSince(1),
    errorCode: int16,
    members: since(3, array({ ...leaving, errorCode: int16 }), []),
  },
  async serve({ groupId, memberId, members }, context) {
    if (members.length === 0) return handle(context, () => void context.groups.open(groupId).leave(memberId))
    const { errorCode } = await handle(context, () => void context.groups.open(groupId))
    const left = await each(context, members, (one) => void context.groups.open(groupId).leaveAs(one))
    return { errorCode, members: left }
  },
})

const memberShown = {
  memberId: string,
  instanceId: instanceSince(4),
  clientId: string,
  clientHost: string,
  metadata: bytes,
  assignment: bytes,
}
const shown = {
  errorCode: int16,
  groupId: string,
  state: optional(string, 'Dead'),
  protocolType: text,
  protocol: text,
}
const empty = { state: 'Empty', protocolType: 'consumer', protocol: '', members: [] } as const

/** All groups there are: those that have members, and those that only have commits. */
function described({ groups, catalog }: Context) {
  const all = new Map<string, ReturnType<Group['describe']> | typeof empty>()
  for (const groupId of catalog.committedGroups()) all.set(groupId, empty)
  for (const group of groups.occupied()) all.set(group.id, group.describe())
  return all
}

export const listGroups = api('ListGroups', 16, [0, 4], {
  flexible: 3,
  request: { states: since(4, array(string), []) },
  response: {
    throttleMs: throttleSince(1),
    errorCode: int16,
    groups: optional(array({ groupId: string, protocolType: string, state: since(4, string, '') }), []),
  },
  serve: ({ states }, context) =>
    handle(context, () => {
      const groups = [...described(context)].map(([groupId, group]) => ({ groupId, ...group }))
      return { groups: groups.filter(({ state }) => states.length === 0 || states.includes(state)) }
    }),
})

export const describeGroups = api('DescribeGroups', 15, [0, 5], {
  flexible: 5,
  request: { groups: array(string), withOperations: since(3, boolean, false) },
  response: {
    throttleMs: throttleSince(1),
    groups: array({
      ...shown,
      members: optional(array(memberShown), []),
      allowedOperations: operationsSince(3),
    }),
  },
  serve: async ({ groups }, context) => {
    const asked = groups.map((groupId) => ({ groupId }))
    return { groups: await each(context, asked, ({ groupId }) => described(context).get(groupId)) }
  },
})

/** Of leaders there is one, and it is never another. */
const leaderEpochSince = (version: number) => since(version, int32, -1)

/** Answers when the commits are on disk. */
export const offsetCommit = api('OffsetCommit', 8, [2, 8], {
  flexible: 8,
  request: {
    groupId: string,
    generation: int32,
    memberId: string,
    instanceId: instanceSince(7),
    /** Commits are kept for as long as their topic. */
    retentionMs: until(4, int64, -1),
    topics: perTopic({
      partition: int32,
      offset: int64,
      leaderEpoch: leaderEpochSince(6),
      metadata: nullableString,
    }),
  },
  response: { throttleMs: throttleSince(3), topics: perTopic({ partition: int32, errorCode: int16 }) },
  async serve({ groupId, generation, memberId, topics }, context) {
    const commits: Commit[] = []
    const checked = await eachPartition(context, topics, (topic, position) => {
      context.groups.open(groupId).checkCommit(generation, memberId)
      const { partition, offset, metadata } = position
      context.topics.partition(topic, partition)
      commits.push({ topic, partition, offset, metadata })
    })
    const { errorCode } = await handle<object>({}, () => context.catalog.commit(groupId, commits))
    for (const { partitions } of checked)
      for (const partition of partitions) partition.errorCode ||= errorCode
    return { topics: checked }
  },
})

/** Without topics it is about all of the group. Offset -1 where nothing was committed. */
export const offsetFetch = api('OffsetFetch', 9, [1, 7], {
  flexible: 6,
  request: {
    groupId: string,
    topics: nullableArray({ name: string, partitions: array(int32) }),
    stable: since(7, boolean, false),
  },
  response: {
    throttleMs: throttleSince(3),
    topics: perTopic({
      partition: int32,
      offset: int64,
      leaderEpoch: leaderEpochSince(5),
      metadata: nullableString,
      errorCode: int16,
    }),
    errorCode: since(2, int16, 0),
  },
  async serve({ groupId, topics }, context) {
    const { errorCode } = await handle(context, () => {
      if (groupId === '') throw new Refusal('INVALID_GROUP_ID')
    })
    const committed = errorCode === 0 ? context.catalog.committed(groupId) : []
    const find = (topic: string, partition: number) => {
      const commit = committed.find((one) => one.topic === topic && one.partition === partition)
      return { partition, offset: commit?.offset ?? -1, metadata: commit ? commit.metadata : '', errorCode }
    }
    const byTopic = [...Map.groupBy(committed, ({ topic }) => topic)]
    const all = byTopic.map(([name, commits]) => ({ name, partitions: commits.map((one) => one.partition) }))
    const found = (topics ?? all).map(({ name, partitions }) => {
      return { name, partitions: partitions.map((partition) => find(name, partition)) }
    })
    return { topics: found, errorCode }
  },
})
