import { api, attempt } from '../api.ts'
import { Refusal } from '../error-codes.ts'
import { topicConfigDefaults } from '../topics.ts'

/** Making, removing and describing topics. A topic is on disk before its creation is answered. */

/**
 *     CreateTopics Request v2-4 => [name string · num_partitions int32 · replication_factor int16 ·
 *       [partition_index int32 · broker_ids [int32]] · [name string · value nullable string]] · timeout_ms int32 · validate_only boolean
 *     CreateTopics Response v2-4 => throttle_time_ms int32 · [name string · error_code int16 · error_message nullable string]
 *
 * -1 partitions or replicas ask for the default.
 */
export const createTopics = api('CreateTopics', [2, 4], async (request, answer, context) => {
  const wanted = request.array(() => ({
    name: request.string(),
    partitions: request.int32(),
    replicationFactor: request.int16(),
    assignments: request.array(() => [request.int32(), request.array(() => request.int32())]),
    config: Object.fromEntries(request.array(() => [request.string(), request.nullableString() ?? ''])),
  }))
  request.int32()
  const validateOnly = request.boolean()

  const created = wanted.map(({ name, partitions, replicationFactor, assignments, config }) =>
    attempt(context, { name }, () => {
      if (assignments.length > 0) throw new Refusal('INVALID_REPLICA_ASSIGNMENT', 'one broker has all partitions')
      if (replicationFactor !== -1 && replicationFactor !== 1)
        throw new Refusal('INVALID_REPLICATION_FACTOR', `replication factor ${replicationFactor}, but one broker`)
      const count = partitions === -1 ? context.partitionsDefault : partitions
      context.topics.create({ name, partitions: count, config, validateOnly })
      return { name }
    }),
  )
  return answer
    .int32(0)
    .array(await Promise.all(created), (topic) =>
      answer.string(topic.name).int16(topic.errorCode).string(topic.errorMessage),
    )
})

/**
 *     DeleteTopics Request v0-3 => [name string] · timeout_ms int32
 *     DeleteTopics Response v0-3 => v1+ throttle_time_ms int32 · [name string · error_code int16]
 *
 * What groups committed about the topic goes with it, so that a new one of the same name starts afresh.
 */
export const deleteTopics = api('DeleteTopics', [0, 3], async (request, answer, context) => {
  const names = request.array(() => request.string())

  const deleted = names.map((name) =>
    attempt(context, { name }, async () => {
      if (!context.topics.find(name)) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
      await context.offsets.deleteTopic(name)
      await context.topics.delete(name)
      return { name }
    }),
  )
  if (context.version >= 1) answer.int32(0)
  return answer.array(await Promise.all(deleted), ({ name, errorCode }) => answer.string(name).int16(errorCode))
})

const topicResource = 2
const topicSource = 1
const defaultSource = 5

/**
 *     DescribeConfigs Request v1-2 => [resource_type int8 · resource_name string · nullable [config_name string]] ·
 *       include_synonyms boolean
 *     DescribeConfigs Response v1-2 => throttle_time_ms int32 · [error_code int16 · error_message nullable string ·
 *       resource_type int8 · resource_name string · [name string · value nullable string · read_only boolean ·
 *         config_source int8 · is_sensitive boolean · synonyms [..]]]
 *
 * Of topics alone.
 */
export const describeConfigs = api('DescribeConfigs', [1, 2], async (request, answer, context) => {
  const resources = request.array(() => {
    const [type, name] = [request.int8(), request.string()]
    return { type, name, keys: request.nullableArray(() => request.string()) }
  })

  const described = resources.map(({ type, name, keys }) =>
    attempt(context, { type, name, entries: [] as [string, string][] }, () => {
      if (type !== topicResource) throw new Refusal('INVALID_REQUEST', 'only topics are described')
      const topic = context.topics.find(name)
      if (!topic) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
      return {
        type,
        name,
        entries: Object.entries(topic.config).filter(([key]) => !keys?.length || keys.includes(key)),
      }
    }),
  )
  return answer.int32(0).array(await Promise.all(described), ({ errorCode, errorMessage, type, name, entries }) => {
    answer.int16(errorCode).string(errorMessage).int8(type).string(name)
    answer.array(entries, ([key, value]) => {
      const source = value === topicConfigDefaults[key] ? defaultSource : topicSource
      answer.string(key).string(value).boolean(false).int8(source).boolean(false).int32(0)
    })
  })
})
