/** How a client finds its way (versions, partitions, coordinators), and the topics it finds or makes. */
import {
  api,
  each,
  handle,
  nodeId,
  operationsSince,
  operationsUnasked,
  throttleMs,
  throttleSince,
} from '../api.ts'
import { errorCodes, Refusal } from '../errors.ts'
import { topicConfigDefaults } from '../topics.ts'
import {
  array,
  between,
  boolean,
  int8,
  int16,
  int32,
  nullableArray,
  nullableString,
  optional,
  since,
  string,
  uuid,
} from '../wire.ts'

export const apiVersions = api('ApiVersions', 18, [0, 3], {
  flexible: 3,
  negotiates: true,
  request: { clientName: since(3, string, ''), clientVersion: since(3, string, '') },
  response: {
    errorCode: int16,
    apis: array({ key: int16, lowest: int16, highest: int16 }),
    throttleMs: throttleSince(1),
  },
  serve(_, { apis, refusal = 'NONE' }) {
    const served = apis.map(({ key, versions: [lowest, highest] }) => ({ key, lowest, highest }))
    return { errorCode: errorCodes[refusal], apis: served }
  },
})

const noId = Buffer.alloc(16)
const partition = {
  errorCode: optional(int16, 0),
  index: int32,
  leaderId: int32,
  leaderEpoch: since(7, int32, -1),
  replicas: array(int32),
  inSync: array(int32),
  offline: since(5, array(int32), []),
}
const topic = {
  errorCode: int16,
  name: string,
  id: since(10, uuid, noId),
  isInternal: since(1, boolean, false),
  partitions: optional(array(partition), []),
  allowedOperations: operationsSince(8),
}
const broker = { id: int32, host: string, port: int32, rack: since(1, nullableString, null) }

const names = nullableArray({ id: since(10, uuid, noId), name: string })
/** Null asks for all topics. Version 0 has no null: there an empty list does. */
const namesOrAll: typeof names = {
  read(from) {
    const asked = names.read(from)
    return from.version === 0 && asked?.length === 0 ? null : asked
  },
  write: names.write,
}

export const metadata = api('Metadata', 3, [0, 11], {
  flexible: 9,
  request: {
    topics: namesOrAll,
    mayCreate: since(4, boolean, true),
    withClusterOperations: between(8, 10, boolean, false),
    withTopicOperations: since(8, boolean, false),
  },
  response: {
    throttleMs: throttleSince(3),
    brokers: array(broker),
    clusterId: since(2, nullableString, null),
    controllerId: since(1, int32, nodeId),
    topics: array(topic),
    allowedOperations: between(8, 10, int32, operationsUnasked),
  },
  async serve({ topics: named }, context) {
    const { host, port, topics, catalog } = context
    const asked = named ?? topics.names().map((name) => ({ name }))
    const here = { leaderId: nodeId, replicas: [nodeId], inSync: [nodeId] }
    const described = await each(context, asked, ({ name }) => {
      const topic = topics.require(name)
      const partitions = Array.from({ length: topic.partitions }, (_, index) => ({ index, ...here }))
      return { id: catalog.uuidOf(topic), partitions }
    })
    const brokers = [{ id: nodeId, host, port }]
    return { brokers, clusterId: catalog.clusterId, controllerId: nodeId, topics: described }
  },
})

const groupKey = 0

/** Of groups alone: there are no coordinators of transactions. */
export const findCoordinator = api('FindCoordinator', 10, [0, 3], {
  flexible: 3,
  request: { key: string, keyType: since(1, int8, groupKey) },
  response: {
    throttleMs: throttleSince(1),
    errorCode: int16,
    errorMessage: since(1, nullableString, null),
    nodeId: optional(int32, -1),
    host: optional(string, ''),
    port: optional(int32, -1),
  },
  serve: ({ keyType }, context) =>
    handle(context, () => {
      if (keyType !== groupKey) throw new Refusal('INVALID_REQUEST', 'transactions are not supported')
      return { nodeId, host: context.host, port: context.port }
    }),
})

const no = optional(boolean, false)
const setting = { name: string, value: nullableString, isReadOnly: no, source: int8, isSensitive: no }

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
    const created = await each(context, topics, (topic) => {
      const { name, replicationFactor, assignments, config } = topic
      if (assignments.length > 0)
        throw new Refusal('INVALID_REPLICA_ASSIGNMENT', 'one broker has all partitions')
      if (replicationFactor !== -1 && replicationFactor !== 1)
        throw new Refusal(
          'INVALID_REPLICATION_FACTOR',
          `replication factor ${replicationFactor}, but one broker`,
        )
      const partitions = topic.partitions === -1 ? 1 : topic.partitions
      const settings = config.map(({ name, value }) => ({ name, value: value ?? '', source: topicSource }))
      const values = Object.fromEntries(settings.map(({ name, value }) => [name, value]))
      context.topics.create(name, partitions, values, validateOnly)
      // Java's client reads the settings whenever it is given the number of partitions.
      return { partitions, replicationFactor: 1, settings }
    })
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
const entry = {
  ...setting,
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

const [setValue, deleteValue] = [0, 1]

/** Of topics alone: sets a value, or goes back to the default. */
export const incrementalAlterConfigs = api('IncrementalAlterConfigs', 44, [0, 1], {
  flexible: 1,
  request: {
    resources: array({
      type: int8,
      name: string,
      settings: array({ name: string, operation: int8, value: nullableString }),
    }),
    validateOnly: boolean,
  },
  response: {
    throttleMs,
    resources: array({ errorCode: int16, errorMessage: nullableString, type: int8, name: string }),
  },
  async serve({ resources, validateOnly }, context) {
    const altered = await each(context, resources, ({ type, name, settings }) => {
      if (type !== topicResource) throw new Refusal('INVALID_REQUEST', 'only topics are configured')
      const changes = settings.map(({ name: key, operation, value }) => {
        if (operation === deleteValue) return [key, null] as const
        if (operation === setValue && value !== null) return [key, value] as const
        throw new Refusal('INVALID_REQUEST', `${key} is set or deleted, nothing else`)
      })
      context.topics.configure(name, Object.fromEntries(changes), validateOnly)
      return {}
    })
    return { resources: altered }
  },
})
