/** How far a group has read. */
import { api, eachPartition, handle, throttleSince } from '../api.ts'
import type { Commit } from '../committed-offsets.ts'
import { Refusal } from '../errors.ts'
import {
  array,
  boolean,
  int16,
  int32,
  int64,
  nullableArray,
  nullableString,
  perTopic,
  since,
  string,
  until,
} from '../wire.ts'

/** Of leaders there is one, and it is never another. */
const leaderEpochSince = (version: number) => since(version, int32, -1)

/** Answers when the commits are on disk. */
export const offsetCommit = api('OffsetCommit', 8, [2, 8], {
  flexible: 8,
  request: {
    groupId: string,
    generation: int32,
    memberId: string,
    instanceId: since(7, nullableString, null),
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
    const { errorCode } = await handle({}, () => void context.offsets.commit(groupId, commits))
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
    const committed = errorCode === 0 ? context.offsets.committed(groupId) : []
    const find = (topic: string, partition: number) => {
      const commit = committed.find((one) => one.topic === topic && one.partition === partition)
      return { partition, offset: commit?.offset ?? -1, metadata: commit ? commit.metadata : '', errorCode }
    }
    const byTopic = [...Map.groupBy(committed, ({ topic }) => topic)]
    const all = byTopic.map(([name, commits]) => ({
      name,
      partitions: commits.map(({ partition }) => partition),
    }))
    const found = (topics ?? all).map(({ name, partitions }) => {
      return { name, partitions: partitions.map((partition) => find(name, partition)) }
    })
    return { topics: found, errorCode }
  },
})
