/** How far a group has read. */
import { api, attempt, eachPartition } from '../api.ts'
import type { Commit } from '../committed-offsets.ts'
import { Refusal } from '../errors.ts'
import { array, int16, int32, int64, nullableArray, nullableString, perTopic, string } from '../wire.ts'

const metadataMax = 4096

/** Answers when the commits are on disk. */
export const offsetCommit = api('OffsetCommit', 8, [5, 5], {
  request: {
    groupId: string,
    generation: int32,
    memberId: string,
    topics: perTopic({ partition: int32, offset: int64, metadata: nullableString }),
  },
  answer: { topics: perTopic({ partition: int32, errorCode: int16 }) },
  async serve({ groupId, generation, memberId, topics }, context) {
    const commits: Commit[] = []
    const checked = await eachPartition(context, topics, (topic, position) => {
      context.groups.open(groupId).checkCommit(generation, memberId)
      if (Buffer.byteLength(position.metadata ?? '') > metadataMax) throw new Refusal('OFFSET_METADATA_TOO_LARGE')
      context.topics.partition(topic, position.partition)
      commits.push({ topic, ...position })
    })
    const committed = await attempt({}, () => context.offsets.commit(groupId, commits))
    const outcome = ({ partition, errorCode }: (typeof checked)[number]['partitions'][number]) => {
      return { partition, errorCode: errorCode || committed.errorCode }
    }
    return { topics: checked.map(({ name, partitions }) => ({ name, partitions: partitions.map(outcome) })) }
  },
})

/** Without topics it is about all of the group. Offset -1 where nothing was committed. */
export const offsetFetch = api('OffsetFetch', 9, [4, 4], {
  request: { groupId: string, topics: nullableArray({ name: string, partitions: array(int32) }) },
  answer: {
    topics: perTopic({ partition: int32, offset: int64, metadata: nullableString, errorCode: int16 }),
    errorCode: int16,
  },
  async serve({ groupId, topics }, context) {
    const { errorCode } = await attempt(context, () => {
      if (groupId === '') throw new Refusal('INVALID_GROUP_ID')
    })
    const find = (name: string, partition: number) => {
      const commit = errorCode === 0 ? context.offsets.find(groupId, name, partition) : undefined
      return { partition, offset: commit?.offset ?? -1, metadata: commit ? commit.metadata : '', errorCode }
    }
    const asked = topics ?? context.offsets.committed(groupId)
    const found = asked.map(({ name, partitions }) => ({ name, partitions: partitions.map((one) => find(name, one)) }))
    return { topics: found, errorCode }
  },
})
