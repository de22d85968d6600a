/** Making, removing and describing topics. A topic is on disk before its creation is answered. */
import { api, each, throttleMs } from '../api.ts'
import { Refusal } from '../errors.ts'
import { topicConfigDefaults } from '../topics.ts'
import {
  array,
  boolean,
  int8,
  int16,
  int32,
  nullableArray,
  nullableString,
  optional,
  since,
  string,
} from '../wire.ts'

const setting = {
  name: string,
  value: nullableString,
  isReadOnly: boolean,
  source: int8,
  isSensitive: boolean,
}

/** -1 partitions or replicas ask for the default, which is one. */
export const createTopics = api('CreateTopics', 19, [2, 5], {
  flexible: 5,
  request: {
    topics: array({
      name: string,
      partitions: int32,
      replicationFactor: int16,
      assignments: optional(array({ partition: int32, replicas: array(int32) }), []),
      config: optional(array({ name: string, value: nullableString }), []),
    }),
    timeoutMs: int32,
    validateOnly: boolean,
  },
  response: {
    throttleMs,
    topics: array({
      name: string,
      errorCode: int16,
      errorMessage: nullableString,
      partitions: since(5, int32, -1),
      replicationFactor: since(5, int16, -1),
      settings: since(5, nullableArray(setting), null),
    }),
  },
  async serve({ topics, validateOnly }, context) {
    const created = await each(
      context,
      topics,
      ({ name, partitions, replicationFactor, assignments, config }) => {
        if (assignments.length > 0)
          throw new Refusal('INVALID_REPLICA_ASSIGNMENT', 'one broker has all partitions')
        if (replicationFactor !== -1 && replicationFactor !== 1)
          throw new Refusal(
            'INVALID_REPLICATION_FACTOR',
            `replication factor ${replicationFactor}, but one broker`,
          )
        const settings = Object.fromEntries(config.map(({ name, value }) => [name, value ?? '']))
        context.topics.create(name, partitions === -1 ? 1 : partitions, settings, validateOnly)
        // Java's client reads the settings whenever it is given the number of partitions.
        const given = Object.entries(settings).map(([key, value]) => ({
          name: key,
          value,
          isReadOnly: false,
          source: topicSource,
          isSensitive: false,
        }))
        return { partitions: partitions === -1 ? 1 : partitions, replicationFactor: 1, settings: given }
      },
    )
    return { topics: created }
  },
})

/** What groups committed about the topic goes with it, so that a new one of the same name starts afresh. */
export const deleteTopics = api('DeleteTopics', 20, [1, 4], {
  flexible: 4,
  request: { names: array(string), timeoutMs: int32 },
  response: { throttleMs, topics: array({ name: string, errorCode: int16 }) },
  async serve({ names }, context) {
    const topics = names.map((name) => ({ name }))
    return { topics: await each(context, topics, ({ name }) => void context.topics.delete(name)) }
  },
})

const topicResource = 2
const topicSource = 1
const defaultSource = 5
const no = optional(boolean, false)
const entry = {
  name: string,
  value: string,
  isReadOnly: no,
  source: int8,
  isSensitive: no,
  synonyms: optional(array({ name: string, value: nullableString, source: int8 }), []),
  type: since(3, int8, 0),
  documentation: since(3, nullableString, null),
}

/** Of topics alone. Without keys it is about all settings. */
export const describeConfigs = api('DescribeConfigs', 32, [1, 4], {
  flexible: 4,
  request: {
    resources: array({ type: int8, name: string, keys: nullableArray(string) }),
    withSynonyms: boolean,
    withDocumentation: since(3, boolean, false),
  },
  response: {
    throttleMs,
    resources: array({
      errorCode: int16,
      errorMessage: nullableString,
      type: int8,
      name: string,
      entries: optional(array(entry), []),
    }),
  },
  async serve({ resources }, context) {
    const described = await each(context, resources, ({ type, name, keys }) => {
      if (type !== topicResource) throw new Refusal('INVALID_REQUEST', 'only topics are described')
      const settings = Object.entries(context.topics.require(name).config)
      const asked = settings.filter(([key]) => !keys?.length || keys.includes(key))
      const entries = asked.map(([key, value]) => {
        return { name: key, value, source: value === topicConfigDefaults[key] ? defaultSource : topicSource }
      })
      return { entries }
    })
    return { resources: described }
  },
})
