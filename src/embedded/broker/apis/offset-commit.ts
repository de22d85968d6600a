import { type Api, answerTopics, orRefusal, type PerTopic, readTopics, requireGroup, writeTopics } from '../api.ts'
import type { Commit } from '../committed-offsets.ts'
import { errorCodes } from '../error-codes.ts'

type Position = { index: number; offset: number; metadata: string | null }
type Request = { groupId: string; generation: number; memberId: string; topics: PerTopic<Position> }
type Result = { index: number; errorCode: number }

const metadataMax = 4096

/**
 *     OffsetCommit Request v2-5 => group_id string · generation_id int32 · member_id string · v2-4 retention_time_ms int64 ·
 *       [name string · [partition int32 · committed_offset int64 · metadata nullable string]]
 *     OffsetCommit Response v2-5 => v3+ throttle_time_ms int32 · [name string · [partition int32 · error_code int16]]
 *
 * Answers when the commits are on disk.
 */
export const offsetCommit: Api<Request, PerTopic<Result>> = {
  key: 8,
  name: 'OffsetCommit',
  versions: [2, 5],

  parse(reader, version) {
    const groupId = reader.string()
    const generation = reader.int32()
    const memberId = reader.string()
    if (version <= 4) reader.int64()
    const topics = readTopics(reader, () => ({
      index: reader.int32(),
      offset: reader.int64(),
      metadata: reader.nullableString(),
    }))
    return { groupId, generation, memberId, topics }
  },

  async answer({ groupId, generation, memberId, topics }, context) {
    const groupError = await orRefusal<number>(
      () => requireGroup(context, groupId).checkCommit(generation, memberId),
      ({ code }) => code,
    )
    const commits: Commit[] = []
    const checked = await answerTopics(topics, (topic, { index, offset, metadata }): Result => {
      if (groupError !== errorCodes.NONE) return { index, errorCode: groupError }
      if (Buffer.byteLength(metadata ?? '') > metadataMax)
        return { index, errorCode: errorCodes.OFFSET_METADATA_TOO_LARGE }
      if (!context.topics.find(topic)?.partitions[index])
        return { index, errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION }
      commits.push({ topic, partition: index, offset, metadata })
      return { index, errorCode: errorCodes.NONE }
    })
    try {
      await context.offsets.commit(groupId, commits)
      return checked
    } catch {
      return answerTopics(topics, (_, { index }) => ({ index, errorCode: errorCodes.KAFKA_STORAGE_ERROR }))
    }
  },

  write(writer, topics, version) {
    if (version >= 3) writer.int32(0)
    writeTopics(writer, topics, ({ index, errorCode }) => writer.int32(index).int16(errorCode))
  },
}
