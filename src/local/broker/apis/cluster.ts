/** How a client finds its way: what is served, where the partitions are, and who coordinates a group. */
import { api, each, handle, nodeId, throttleSince } from '../api.ts'
import { errorCodes, Refusal } from '../errors.ts'
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
  until,
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
/** Says that what a client may do was not asked for. */
const unasked = -(2 ** 31)
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
  allowedOperations: since(8, int32, unasked),
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
    withClusterOperations: since(8, until(10, boolean, false), false),
    withTopicOperations: since(8, boolean, false),
  },
  response: {
    throttleMs: throttleSince(3),
    brokers: array(broker),
    clusterId: since(2, nullableString, null),
    controllerId: since(1, int32, nodeId),
    topics: array(topic),
    allowedOperations: since(8, until(10, int32, unasked), unasked),
  },
  async serve({ topics: named }, context) {
    const { host, port, topics } = context
    const asked = named ?? topics.names().map((name) => ({ name }))
    const here = { leaderId: nodeId, replicas: [nodeId], inSync: [nodeId] }
    const described = await each(context, asked, ({ name }) => {
      const { partitions, uuid } = topics.require(name)
      return { id: uuid, partitions: Array.from({ length: partitions }, (_, index) => ({ index, ...here })) }
    })
    const brokers = [{ id: nodeId, host, port }]
    return { brokers, clusterId: topics.clusterId, controllerId: nodeId, topics: described }
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
