import { type Api, type Context, nodeId } from '../api.ts'
import { errorCodes, Refusal } from '../error-codes.ts'

type Request = { topics: string[] | null; allowAutoCreate: boolean }
type Answer = {
  host: string
  port: number
  clusterId: string
  topics: { errorCode: number; name: string; partitions: number }[]
}

/**
 *     Metadata Request v0-6 => [topic string] (v0: empty means all; v1+: null means all) · v4+ allow_auto_topic_creation boolean
 *     Metadata Response v0-6 => v3+ throttle_time_ms int32 · [node_id int32 · host string · port int32 · v1+ rack nullable string] ·
 *       v2+ cluster_id nullable string · v1+ controller_id int32 ·
 *       [error_code int16 · name string · v1+ is_internal boolean ·
 *         [error_code int16 · partition_index int32 · leader_id int32 · replicas [int32] · isr [int32] · v5+ offline_replicas [int32]]]
 */
export const metadata: Api<Request, Answer> = {
  key: 3,
  name: 'Metadata',
  versions: [0, 6],

  parse(reader, version) {
    const topics = reader.nullableArray(() => reader.string())
    return {
      topics: version === 0 && topics?.length === 0 ? null : topics,
      allowAutoCreate: version >= 4 ? reader.boolean() : true,
    }
  },

  answer({ topics, allowAutoCreate }, context) {
    const names = topics ?? context.topics.all().map(({ name }) => name)
    return {
      host: context.host,
      port: context.port,
      clusterId: context.topics.clusterId,
      topics: names.map((name) => ({ name, ...describe(name, allowAutoCreate, context) })),
    }
  },

  write(writer, { host, port, clusterId, topics }, version) {
    if (version >= 3) writer.int32(0)
    writer.array([nodeId], (id) => {
      writer.int32(id).string(host).int32(port)
      if (version >= 1) writer.string(null)
    })
    if (version >= 2) writer.string(clusterId)
    if (version >= 1) writer.int32(nodeId)
    writer.array(topics, (topic) => {
      writer.int16(topic.errorCode).string(topic.name)
      if (version >= 1) writer.boolean(false)
      writer.array([...Array(topic.partitions).keys()], (index) => {
        writer.int16(errorCodes.NONE).int32(index).int32(nodeId)
        writer.array([nodeId], (id) => writer.int32(id)).array([nodeId], (id) => writer.int32(id))
        if (version >= 5) writer.array([], () => {})
      })
    })
  },
}

function describe(name: string, allowAutoCreate: boolean, context: Context): { errorCode: number; partitions: number } {
  if (context.refusal) return { errorCode: errorCodes[context.refusal], partitions: 0 }
  try {
    if (!context.topics.find(name) && allowAutoCreate && context.autoCreateTopics) {
      context.topics.create({ name, partitions: context.partitionsDefault, config: {} })
    }
  } catch (error) {
    if (error instanceof Refusal) return { errorCode: error.code, partitions: 0 }
    throw error
  }
  const topic = context.topics.find(name)
  if (!topic) return { errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION, partitions: 0 }
  return { errorCode: errorCodes.NONE, partitions: topic.partitions.length }
}
