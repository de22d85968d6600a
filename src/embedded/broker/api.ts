import type { CommittedOffsets } from './committed-offsets.ts'
import { type ErrorName, Refusal } from './error-codes.ts'
import type { Group } from './group.ts'
import type { Groups } from './groups.ts'
import type { PartitionLog } from './log/partition-log.ts'
import type { Topics } from './topics.ts'
import type { Reader, Writer } from './wire.ts'

/** The only node is number 1, leads every partition and coordinates every group. */
export const nodeId = 1

/** What the requests act on. */
export type Node = {
  /** The address clients are told to come back to. */
  readonly host: string
  readonly port: number
  readonly partitionsDefault: number
  readonly autoCreateTopics: boolean
  readonly topics: Topics
  readonly groups: Groups
  readonly offsets: CommittedOffsets
}

/** What a request may know of its connection. */
export type Client = {
  readonly id: string
  readonly host: string
  /** Calls back when the connection is gone, so that nothing waits for an answer nobody reads. Answers with the way to stop it. */
  onClose(callback: () => void): () => void
}

export type Context = Node & {
  readonly version: number
  readonly client: Client
  /** Fault on demand: every partition and group this request asks for answers with this error. */
  readonly refusal?: ErrorName
}

/** One request of the Kafka protocol, served in versions that are not flexible (no tagged fields, no compact strings). */
export type Api<Request, Answer> = {
  key: number
  name: ApiName
  /** Lowest and highest version served. */
  versions: readonly [number, number]
  parse(reader: Reader, version: number): Request
  /** `undefined` when the client expects no answer. */
  answer(request: Request, context: Context): Answer | undefined | Promise<Answer | undefined>
  write(writer: Writer, answer: Answer, version: number): void
}

/** Where the types of a request and its answer end, because they come from bytes and go to bytes. */
// biome-ignore lint/suspicious/noExplicitAny: the three functions of one api fit each other; the dispatcher need not know more.
export type AnyApi = Api<any, any>

/** The requests served, by the protocol's own names. */
export type ApiName =
  | 'Produce'
  | 'Fetch'
  | 'ListOffsets'
  | 'Metadata'
  | 'OffsetCommit'
  | 'OffsetFetch'
  | 'FindCoordinator'
  | 'JoinGroup'
  | 'Heartbeat'
  | 'LeaveGroup'
  | 'SyncGroup'
  | 'DescribeGroups'
  | 'ListGroups'
  | 'ApiVersions'
  | 'CreateTopics'
  | 'DeleteTopics'
  | 'InitProducerId'
  | 'DescribeConfigs'
  | 'DeleteGroups'

/** The log of the partition, or a `Refusal` to be answered in its place. */
export function requirePartition(context: Context, topic: string, partition: number): PartitionLog {
  if (context.refusal) throw new Refusal(context.refusal)
  const log = context.topics.find(topic)?.partitions[partition]
  if (!log) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
  return log
}

/** The group, made when it is new, or a `Refusal` to be answered in its place. */
export function requireGroup(context: Context, groupId: string): Group {
  if (context.refusal) throw new Refusal(context.refusal)
  if (groupId === '') throw new Refusal('INVALID_GROUP_ID')
  return context.groups.open(groupId)
}

/** Runs what may refuse, and gives the refusal a place in the answer. Any other error is a bug and goes on. */
export async function orRefusal<Value>(
  run: () => Value | Promise<Value>,
  refused: (refusal: Refusal) => Value | Promise<Value>,
): Promise<Value> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof Refusal) return refused(error)
    throw error
  }
}

/** The shape that requests and answers about partitions share: `[topic string · [partition ..]]`. */
export type PerTopic<Partition> = { name: string; partitions: Partition[] }[]

export function readTopics<Partition>(reader: Reader, readPartition: () => Partition): PerTopic<Partition> {
  return reader.array(() => ({ name: reader.string(), partitions: reader.array(readPartition) }))
}

export function writeTopics<Partition>(
  writer: Writer,
  topics: PerTopic<Partition>,
  writePartition: (partition: Partition) => void,
): void {
  writer.array(topics, ({ name, partitions }) => writer.string(name).array(partitions, writePartition))
}

/** Begins with every partition, in order, before it waits for any. */
export function answerTopics<Partition, Answer>(
  topics: PerTopic<Partition>,
  answer: (topic: string, partition: Partition) => Answer | Promise<Answer>,
): Promise<PerTopic<Answer>> {
  const begun = topics.map(({ name, partitions }) => ({ name, answers: partitions.map((each) => answer(name, each)) }))
  return Promise.all(begun.map(async ({ name, answers }) => ({ name, partitions: await Promise.all(answers) })))
}
