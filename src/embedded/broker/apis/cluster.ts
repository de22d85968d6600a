import { type Api, api, attempt, nodeId } from '../api.ts'
import { errorCodes, Refusal } from '../error-codes.ts'
import type { Writer } from '../wire.ts'

/** How a client finds its way: what is served, where the partitions are, and who coordinates a group. */

/**
 *     ApiVersions Request v0-2 => (empty)
 *     ApiVersions Response v0-2 => error_code int16 · [api_key int16 · min_version int16 · max_version int16] · v1+ throttle_time_ms int32
 */
export const apiVersions = (apis: () => readonly Api[]): Api =>
  api('ApiVersions', [0, 2], (_, answer, { version }) => {
    writeApiVersions(answer, errorCodes.NONE, apis())
    return version >= 1 ? answer.int32(0) : answer
  })

/** Also answers a version that is too new, in the layout of version 0, from which every client learns what to ask instead (KIP-511). */
export function writeApiVersions(answer: Writer, errorCode: number, apis: readonly Api[]): Writer {
  return answer
    .int16(errorCode)
    .array(apis, ({ key, versions: [low, high] }) => answer.int16(key).int16(low).int16(high))
}

/**
 *     Metadata Request v0-6 => [topic string] (v0: empty means all; v1+: null means all) · v4+ allow_auto_topic_creation boolean
 *     Metadata Response v0-6 => v3+ throttle_time_ms int32 · [node_id int32 · host string · port int32 · v1+ rack nullable string] ·
 *       v2+ cluster_id nullable string · v1+ controller_id int32 ·
 *       [error_code int16 · name string · v1+ is_internal boolean ·
 *         [error_code int16 · partition_index int32 · leader_id int32 · replicas [int32] · isr [int32] · v5+ offline_replicas [int32]]]
 */
export const metadata = api('Metadata', [0, 6], async (request, answer, context) => {
  const { version, topics, partitionsDefault } = context
  const named = request.nullableArray(() => request.string())
  const mayCreate = context.autoCreateTopics && (version >= 4 ? request.boolean() : true)

  const all = named === null || (version === 0 && named.length === 0)
  const names = all ? topics.all().map(({ name }) => name) : named
  const described = names.map((name) =>
    attempt(context, { name, partitions: 0 }, () => {
      if (mayCreate && !topics.find(name)) topics.create({ name, partitions: partitionsDefault, config: {} })
      const topic = topics.find(name)
      if (!topic) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
      return { name, partitions: topic.partitions }
    }),
  )

  if (version >= 3) answer.int32(0)
  answer.int32(1).int32(nodeId).string(context.host).int32(context.port)
  if (version >= 1) answer.string(null)
  if (version >= 2) answer.string(topics.clusterId)
  if (version >= 1) answer.int32(nodeId)
  return answer.array(await Promise.all(described), ({ errorCode, name, partitions }) => {
    answer.int16(errorCode).string(name)
    if (version >= 1) answer.boolean(false)
    answer.array([...Array(partitions).keys()], (index) => {
      answer.int16(errorCodes.NONE).int32(index).int32(nodeId)
      answer.int32(1).int32(nodeId).int32(1).int32(nodeId)
      if (version >= 5) answer.int32(0)
    })
  })
})

/**
 *     FindCoordinator Request v0-2 => key string · v1+ key_type int8
 *     FindCoordinator Response v0-2 => v1+ throttle_time_ms int32 · error_code int16 · v1+ error_message nullable string ·
 *       node_id int32 · host string · port int32
 *
 * Key type 0 is a group. The coordinator of transactions (1) is where a transactional producer learns that there are none.
 */
export const findCoordinator = api('FindCoordinator', [0, 2], async (request, answer, context) => {
  const { version } = context
  request.string()
  const keyType = version >= 1 ? request.int8() : 0

  const found = await attempt(context, { id: -1, host: '', port: -1 }, () => {
    if (keyType !== 0) throw new Refusal('INVALID_REQUEST', 'transactions are not supported')
    return { id: nodeId, host: context.host, port: context.port }
  })
  if (version >= 1) answer.int32(0)
  answer.int16(found.errorCode)
  if (version >= 1) answer.string(found.errorMessage)
  return answer.int32(found.id).string(found.host).int32(found.port)
})
