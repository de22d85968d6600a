import { api, attempt, eachPartition, readTopics, requirePartition, writeTopics } from '../api.ts'
import type { Commit } from '../committed-offsets.ts'
import { errorCodes, Refusal } from '../error-codes.ts'

/** How far a group has read. */

const metadataMax = 4096

/**
 *     OffsetCommit Request v2-5 => group_id string · generation_id int32 · member_id string · v2-4 retention_time_ms int64 ·
 *       [name string · [partition int32 · committed_offset int64 · metadata nullable string]]
 *     OffsetCommit Response v2-5 => v3+ throttle_time_ms int32 · [name string · [partition int32 · error_code int16]]
 *
 * Answers when the commits are on disk.
 */
export const offsetCommit = api('OffsetCommit', [2, 5], async (request, answer, context) => {
  const { version } = context
  const groupId = request.string()
  const generation = request.int32()
  const memberId = request.string()
  if (version <= 4) request.int64()
  const topics = readTopics(request, () => ({
    partition: request.int32(),
    offset: request.int64(),
    metadata: request.nullableString(),
  }))

  const commits: Commit[] = []
  const checked = await eachPartition(topics, async (topic, position) => {
    const { errorCode } = await attempt(context, {}, () => {
      const groupError = context.groups.open(groupId).checkCommit(generation, memberId)
      if (groupError !== errorCodes.NONE) return { errorCode: groupError }
      if (Buffer.byteLength(position.metadata ?? '') > metadataMax) throw new Refusal('OFFSET_METADATA_TOO_LARGE')
      requirePartition(context, topic, position.partition)
      commits.push({ topic, ...position })
      return {}
    })
    return { partition: position.partition, errorCode }
  })
  const committed = await attempt({}, {}, async () => {
    await context.offsets.commit(groupId, commits)
    return {}
  })
  if (version >= 3) answer.int32(0)
  return writeTopics(answer, checked, ({ partition, errorCode }) => {
    answer.int32(partition).int16(errorCode || committed.errorCode)
  })
})

/**
 *     OffsetFetch Request v1-4 => group_id string · [name string · [partition int32]] (v2+: null means all)
 *     OffsetFetch Response v1-4 => v3+ throttle_time_ms int32 ·
 *       [name string · [partition int32 · committed_offset int64 · metadata nullable string · error_code int16]] · v2+ error_code int16
 *
 * Offset -1 where nothing was committed.
 */
export const offsetFetch = api('OffsetFetch', [1, 4], async (request, answer, context) => {
  const { version, offsets } = context
  const groupId = request.string()
  const named = request.nullableArray(() => {
    return { name: request.string(), partitions: request.array(() => request.int32()) }
  })

  const { errorCode, topics } = await attempt(context, { topics: named ?? [] }, () => {
    if (groupId === '') throw new Refusal('INVALID_GROUP_ID')
    const byTopic = Map.groupBy(offsets.all(groupId), ({ topic }) => topic)
    const all = [...byTopic].map(([name, commits]) => ({
      name,
      partitions: commits.map(({ partition }) => partition),
    }))
    return { topics: named ?? all }
  })
  if (version >= 3) answer.int32(0)
  answer.array(topics, ({ name, partitions }) => {
    answer.string(name).array(partitions, (partition) => {
      const commit = errorCode === errorCodes.NONE ? offsets.find(groupId, name, partition) : undefined
      answer.int32(partition).int64(commit?.offset ?? -1)
      answer.string(commit ? commit.metadata : '').int16(errorCode)
    })
  })
  return version >= 2 ? answer.int16(errorCode) : answer
})
