import { type Api, orRefusal, requireGroup } from '../api.ts'
import { errorCodes } from '../error-codes.ts'

type Request = { groupId: string; topics: { name: string; partitions: number[] }[] | null }
type Answer = {
  errorCode: number
  topics: { name: string; partitions: { index: number; offset: number; metadata: string | null }[] }[]
}

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
      () => {
        requireGroup(context, groupId)
        const wanted = topics ?? committedPartitions(context.offsets.all(groupId))
        return {
          errorCode: errorCodes.NONE,
          topics: wanted.map(({ name, partitions }) => ({
            name,
            partitions: partitions.map((index) => {
              const committed = context.offsets.find(groupId, name, index)
              return { index, offset: committed?.offset ?? -1, metadata: committed ? committed.metadata : '' }
            }),
          })),
        }
      },
      ({ code }) => ({
        errorCode: code,
        topics: (topics ?? []).map(({ name, partitions }) => ({
          name,
          partitions: partitions.map((index) => ({ index, offset: -1, metadata: '' })),
        })),
      }),
    )
  },

  write(writer, { errorCode, topics }, version) {
    if (version >= 3) writer.int32(0)
    writer.array(topics, ({ name, partitions }) => {
      writer.string(name).array(partitions, ({ index, offset, metadata }) => {
        writer.int32(index).int64(offset).string(metadata).int16(errorCode)
      })
    })
    if (version >= 2) writer.int16(errorCode)
  },
}

function committedPartitions(
  commits: { topic: string; partition: number }[],
): { name: string; partitions: number[] }[] {
  const byTopic = Map.groupBy(commits, ({ topic }) => topic)
  return [...byTopic].map(([name, group]) => ({ name, partitions: group.map(({ partition }) => partition) }))
}
