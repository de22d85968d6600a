/**
 * The AsyncAPI 3.0 document of a service, derived from the event definitions, and the page for people
 * beside it.
 */
import { version } from '../../../package.json'
import type { EventDefinition } from '../events/define-event'
import { events, type Topic } from '../events/events'
import { describeEvents, exampleRecord, headerMeanings, optionalHeaders } from './markdown'

/** A topic, and the consumer group that reads it. */
export type Use = { topic: Topic; groupId?: string }

export type AsyncApiOptions = {
  service: string
  action: 'send' | 'receive'
  uses: readonly Use[]
  kafka: {
    brokers: readonly string[]
    clientId: string
    topicPrefix: string
    partitions: number
    ssl: boolean
    sasl: { mechanism: keyof typeof securityTypes } | undefined
  }
}

/** By the path at which a service serves them. */
export const eventDocuments = (options: AsyncApiOptions) => ({
  '/asyncapi': () => {
    const asyncApi = '[`/asyncapi.json`](/asyncapi.json)'
    return describeEvents({ topicPrefix: options.kafka.topicPrefix, asyncApi })
  },
  '/asyncapi.json': () => asyncApi(options),
})

const eventsOf = (topic: Topic): EventDefinition[] =>
  Object.values(events).filter((event) => event.topic === topic)

const promises = {
  send: 'At least once, in order per key. A redelivered or republished event carries the same `ce_id`.',
  receive: 'Idempotent: redeliveries have no effect. Records without key and headers are read, too.',
} as const

const securityTypes = {
  plain: 'plain',
  'scram-sha-256': 'scramSha256',
  'scram-sha-512': 'scramSha512',
} as const

export function asyncApi({ service, action, uses, kafka }: AsyncApiOptions) {
  const { brokers, ssl, sasl, topicPrefix, partitions, clientId } = kafka
  const security = sasl && { security: [{ type: securityTypes[sasl.mechanism] }] }
  const server = { protocol: ssl ? 'kafka-secure' : 'kafka', ...security }

  const channelOf = ({ topic }: Use) => ({
    address: topicPrefix + topic,
    description: 'A new topic is created with this number of partitions; an existing one keeps its own.',
    messages: Object.fromEntries(eventsOf(topic).map((event) => [event.name, messageOf(event, action)])),
    bindings: bind({ topic: topicPrefix + topic, partitions }),
  })
  const operationOf = ({ topic, groupId }: Use) => ({
    action,
    channel: { $ref: `#/channels/${topic}` },
    description: promises[action],
    messages: eventsOf(topic).map(({ name }) => ({ $ref: `#/channels/${topic}/messages/${name}` })),
    bindings: bind({ clientId: only(clientId), ...(groupId && { groupId: only(groupId) }) }),
  })
  return {
    asyncapi: '3.0.0',
    info: { title: `Saldo: events of ${service}`, version, license: { name: 'MIT' } },
    servers: Object.fromEntries(brokers.map((host, index) => [`broker-${index + 1}`, { host, ...server }])),
    channels: Object.fromEntries(uses.map((use) => [use.topic, channelOf(use)])),
    operations: Object.fromEntries(uses.map((use) => [`${action}-${use.topic}`, operationOf(use)])),
  }
}

function messageOf(event: EventDefinition, action: AsyncApiOptions['action']) {
  const { headers, value } = exampleRecord(event)
  const { name } = event
  return {
    name,
    title: event.type,
    summary: event.description,
    tags: [{ name: event.kind }],
    contentType: headers['content-type'],
    correlationId: { location: '$message.header#/traceparent', description: headerMeanings.traceparent },
    headers: headersOf(headers, action),
    payload: {
      type: 'object',
      required: ['Name', 'Payload'],
      properties: { Name: only(name), Payload: event.payload },
    },
    bindings: bind({ key: { type: 'string', description: `\`${event.key}\` of the payload` } }),
    examples: [{ name, headers, payload: value }],
  }
}

/** None is required of received records, since the course's have none. */
function headersOf(headers: Record<string, string | undefined>, action: AsyncApiOptions['action']) {
  const properties = Object.entries(headerMeanings).map(([name, description]) => {
    const isConstant = /^(ce_(specversion|source|type)|content-type)$/.test(name)
    return [name, { ...(isConstant ? only(headers[name]) : { type: 'string' }), description }]
  })
  const required = Object.keys(headerMeanings).filter((name) => !optionalHeaders.some((one) => one === name))
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(action === 'send' && { required }),
  }
}

const bind = (fields: object) => ({ kafka: { ...fields, bindingVersion: '0.5.0' } })
const only = (value: string | undefined) => ({ type: 'string', const: value })
