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
      partitions: array({
        errorCode: optional(int16, 0),
        index: int32,
        leaderId: int32,
        replicas: array(int32),
        inSync: array(int32),
        offline: since(5, array(int32), []),
      }),
    }),
  },
  async serve({ topics: named }, context) {
    const { host, port, topics } = context
    const asked = named ?? topics.names().map((name) => ({ name }))
    const described = await each(context, asked, { count: 0 }, ({ name }) => ({
      count: topics.require(name).partitions,
    }))
    const partition = (index: number) => ({ index, leaderId: nodeId, replicas: [nodeId], inSync: [nodeId] })
    return {
      brokers: [{ id: nodeId, host, port }],
      clusterId: topics.clusterId,
      controllerId: nodeId,
      topics: described.map(({ errorCode, name, count }) => {
        return { errorCode, name, partitions: Array.from({ length: count }, (_, index) => partition(index)) }
      }),
    }
  },
})

/** Key type 0 is a group. The coordinator of transactions (1) is where a transactional producer learns that there are none. */
export const findCoordinator = api('FindCoordinator', 10, [0, 2], {
  request: { key: string, keyType: since(1, int8, 0) },
  answer: {
    throttleMs: since(1, int32, 0),
    errorCode: int16,
    errorMessage: since(1, nullableString, null),
    nodeId: int32,
    host: string,
    port: int32,
  },
  serve({ keyType }, context) {
    return attempt(context, { nodeId: -1, host: '', port: -1 }, () => {
      if (keyType !== 0) throw new Refusal('INVALID_REQUEST', 'transactions are not supported')
      return { nodeId, host: context.host, port: context.port }
    })
  },
})
