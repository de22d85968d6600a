import { type Api, type Context, nodeId } from '../api.ts'
import { errorCodes, Refusal } from '../error-codes.ts'
import type { TopicConfig } from '../topics.ts'

type TopicWanted = {
  name: string
  partitions: number
  replicationFactor: number
  assignments: { partition: number; brokers: number[] }[]
  config: TopicConfig
}
type Request = { topics: TopicWanted[]; validateOnly: boolean }
type Answer = { name: string; errorCode: number; errorMessage: string | null }[]

/**
 *     CreateTopics Request v2-4 => [name string · num_partitions int32 · replication_factor int16 ·
 *       [partition_index int32 · broker_ids [int32]] · [name string · value nullable string]] · timeout_ms int32 · validate_only boolean
 *     CreateTopics Response v2-4 => throttle_time_ms int32 · [name string · error_code int16 · error_message nullable string]
 *
 * -1 partitions or replicas ask for the default. A topic is on disk before it is answered.
 */
export const createTopics: Api<Request, Answer> = {
  key: 19,
  name: 'CreateTopics',
  versions: [2, 4],

  parse(reader) {
    const topics = reader.array(() => ({
      name: reader.string(),
      partitions: reader.int32(),
      replicationFactor: reader.int16(),
      assignments: reader.array(() => ({ partition: reader.int32(), brokers: reader.array(() => reader.int32()) })),
      config: Object.fromEntries(reader.array(() => [reader.string(), reader.nullableString() ?? ''])),
    }))
    reader.int32()
    return { topics, validateOnly: reader.boolean() }
  },

  answer: ({ topics, validateOnly }, context) =>
    topics.map((topic) => {
      try {
        create(topic, validateOnly, context)
        return { name: topic.name, errorCode: errorCodes.NONE, errorMessage: null }
      } catch (error) {
        if (error instanceof Refusal) return { name: topic.name, errorCode: error.code, errorMessage: error.message }
        throw error
      }
    }),

  write(writer, topics) {
    writer.int32(0)
    writer.array(topics, ({ name, errorCode, errorMessage }) =>
      writer.string(name).int16(errorCode).string(errorMessage),
    )
  },
}

function create(topic: TopicWanted, validateOnly: boolean, context: Context): void {
  const { name, assignments, config } = topic
  if (context.refusal) throw new Refusal(context.refusal)
  if (assignments.length > 0 && topic.partitions !== -1)
    throw new Refusal('INVALID_REQUEST', 'both partitions and assignments given')
  if (assignments.some(({ brokers }) => brokers.length !== 1 || brokers[0] !== nodeId)) {
    throw new Refusal('INVALID_REPLICA_ASSIGNMENT', `every partition is on broker ${nodeId} alone`)
  }
  if (assignments.length === 0 && topic.replicationFactor !== -1 && topic.replicationFactor !== 1) {
    throw new Refusal(
      'INVALID_REPLICATION_FACTOR',
      `replication factor ${topic.replicationFactor}, but there is one broker`,
    )
  }
  const wanted = topic.partitions === -1 ? context.partitionsDefault : topic.partitions
  context.topics.create({ name, partitions: assignments.length || wanted, config, validateOnly })
}
