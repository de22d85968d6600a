import { type Api, answerTopics, orRefusal, type PerTopic, requireGroup, writeTopics } from '../api.ts'
import type { Commit } from '../committed-offsets.ts'
import { errorCodes } from '../error-codes.ts'

type Position = { index: number; offset: number; metadata: string | null }
type Request = { groupId: string; topics: PerTopic<number> | null }
type Answer = { errorCode: number; topics: PerTopic<Position> }

const nothing = { offset: -1, metadata: '' }

/**
 *     OffsetFetch Request v1-4 => group_id string · [name string · [partition int32]] (v2+: null means all)
 *     OffsetFetch Response v1-4 => v3+ throttle_time_ms int32 ·
 *       [name string · [partition int32 · committed_offset int64 · metadata nullable string · error_code int16]] · v2+ error_code int16
 *
 * Offset -1 where nothing was committed.
 */
export const offsetFetch: Api<Request, Answer> = {
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 4],

  parse: (reader) => ({
    groupId: reader.string(),
    topics: reader.nullableArray(() => ({ name: reader.string(), partitions: reader.array(() => reader.int32()) })),
  }),

  answer({ groupId, topics }, context) {
    return orRefusal<Answer>(
      async () => {
        requireGroup(context, groupId)
        const wanted = topics ?? committedPartitions(context.offsets.all(groupId))
        const found = await answerTopics(wanted, (topic, index): Position => {
          const { offset, metadata } = context.offsets.find(groupId, topic, index) ?? nothing
          return { index, offset, metadata }
        })
        return { errorCode: errorCodes.NONE, topics: found }
      },
      async ({ code }) => ({
        errorCode: code,
        topics: await answerTopics(topics ?? [], (_, index): Position => ({ index, ...nothing })),
      }),
    )
  },

  write(writer, { errorCode, topics }, version) {
    if (version >= 3) writer.int32(0)
    writeTopics(writer, topics, ({ index, offset, metadata }) => {
      writer.int32(index).int64(offset).string(metadata).int16(errorCode)
    })
    if (version >= 2) writer.int16(errorCode)
  },
}

function committedPartitions(commits: Commit[]): PerTopic<number> {
  const byTopic = Map.groupBy(commits, ({ topic }) => topic)
  return [...byTopic].map(([name, group]) => ({ name, partitions: group.map(({ partition }) => partition) }))
}
