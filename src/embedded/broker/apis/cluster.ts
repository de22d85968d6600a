/** How a client finds its way: what is served, where the partitions are, and who coordinates a group. */
import { api, attempt, each, nodeId, throttleMs } from '../api.ts'
import { errorCodes } from '../errors.ts'
import { array, boolean, int16, int32, nullableArray, nullableString, optional, since, string } from '../wire.ts'

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

const no = optional(boolean, false)
const partition = {
  errorCode: optional(int16, 0),
  index: int32,
  leaderId: int32,
  replicas: array(int32),
  inSync: array(int32),
}
const topic = { errorCode: int16, name: string, isInternal: no, partitions: optional(array(partition), []) }

/** Without names it is about all topics. */
export const metadata = api('Metadata', 3, [4, 4], {
  request: { topics: nullableArray({ name: string }), mayCreate: boolean },
  answer: {
    throttleMs,
    brokers: array({ id: int32, host: string, port: int32, rack: optional(nullableString, null) }),
    clusterId: nullableString,
    controllerId: int32,
    topics: array(topic),
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

/** Of groups alone: who asks for a coordinator of transactions needs a later version, and learns so that there are none. */
export const findCoordinator = api('FindCoordinator', 10, [0, 0], {
  request: { groupId: string },
  answer: { errorCode: int16, nodeId: optional(int32, -1), host: optional(string, ''), port: optional(int32, -1) },
  serve: (_, context) => attempt(context, () => ({ nodeId, host: context.host, port: context.port })),
})
