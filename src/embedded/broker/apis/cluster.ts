/** How a client finds its way: what is served, where the partitions are, and who coordinates a group. */
import { api, attempt, each, nodeId } from '../api.ts'
import { errorCodes, Refusal } from '../errors.ts'
import { array, boolean, int8, int16, int32, nullableArray, nullableString, optional, since, string } from '../wire.ts'

export const apiVersions = api('ApiVersions', 18, [0, 2], {
  request: {},
  answer: {
    errorCode: int16,
    apis: array({ key: int16, lowest: int16, highest: int16 }),
    throttleMs: since(1, int32, 0),
  },
  serve(_, { apis, refusal = 'NONE' }) {
    const served = apis.map(({ key, versions: [lowest, highest] }) => ({ key, lowest, highest }))
    return { errorCode: errorCodes[refusal], apis: served }
  },
})

const partition = {
  errorCode: optional(int16, 0),
  index: int32,
  leaderId: int32,
  replicas: array(int32),
  inSync: array(int32),
  offline: since(5, array(int32), []),
}

/** Without names it is about all topics. */
export const metadata = api('Metadata', 3, [4, 6], {
  request: { topics: nullableArray({ name: string }), mayCreate: boolean },
  answer: {
    brokers: array({ id: int32, host: string, port: int32, rack: optional(nullableString, null) }),
    clusterId: nullableString,
    controllerId: int32,
    topics: array({
      errorCode: int16,
      name: string,
      isInternal: optional(boolean, false),
      partitions: optional(array(partition), []),
    }),
  },
  async serve({ topics: named }, context) {
    const { host, port, topics } = context
    const asked = named ?? topics.names().map((name) => ({ name }))
    const here = { leaderId: nodeId, replicas: [nodeId], inSync: [nodeId] }
    const described = await each(context, asked, ({ name }) => {
      const { partitions } = topics.require(name)
      return { partitions: Array.from({ length: partitions }, (_, index) => ({ index, ...here })) }
    })
    const brokers = [{ id: nodeId, host, port }]
    return { brokers, clusterId: topics.clusterId, controllerId: nodeId, topics: described }
  },
})

/** Key type 0 is a group. The coordinator of transactions (1) is where a transactional producer learns that there are none. */
export const findCoordinator = api('FindCoordinator', 10, [0, 2], {
  request: { key: string, keyType: since(1, int8, 0) },
  answer: {
    throttleMs: since(1, int32, 0),
    errorCode: int16,
    errorMessage: since(1, nullableString, null),
    nodeId: optional(int32, -1),
    host: optional(string, ''),
    port: optional(int32, -1),
  },
  serve({ keyType }, context) {
    return attempt(context, () => {
      if (keyType !== 0) throw new Refusal('INVALID_REQUEST', 'transactions are not supported')
      return { nodeId, host: context.host, port: context.port }
    })
  },
})
