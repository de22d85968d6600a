import type { CommittedOffsets } from './committed-offsets.ts'
import { type ErrorName, errorCodes, Refusal } from './error-codes.ts'
import type { Groups } from './group.ts'
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
  /** Fault on demand: whatever this request asks for is refused with this error. */
  readonly refusal?: ErrorName
}

/** The requests served, by the protocol's own names and keys. */
const apiKeys = {
  Produce: 0,
  Fetch: 1,
  ListOffsets: 2,
  Metadata: 3,
  OffsetCommit: 8,
  OffsetFetch: 9,
  FindCoordinator: 10,
  JoinGroup: 11,
  Heartbeat: 12,
  LeaveGroup: 13,
  SyncGroup: 14,
  DescribeGroups: 15,
  ListGroups: 16,
  ApiVersions: 18,
  CreateTopics: 19,
  DeleteTopics: 20,
  InitProducerId: 22,
  DescribeConfigs: 32,
  DeleteGroups: 42,
}
export type ApiName = keyof typeof apiKeys

/**
 * Reads the whole request before it acts on it, because what is malformed must have no effect. Answers with the writer, or with
 * nothing when the client expects no answer.
 */
type Serve = (request: Reader, answer: Writer, context: Context) => Writer | undefined | Promise<Writer | undefined>

/** One request of the Kafka protocol, served in versions that are not flexible (no tagged fields, no compact strings). */
export type Api = ReturnType<typeof api>

export function api(name: ApiName, versions: readonly [lowest: number, highest: number], serve: Serve) {
  return { key: apiKeys[name], name, versions, serve }
}

export type Outcome = { errorCode: number; errorMessage: string | null }

/**
 * Runs what may refuse and gives the refusal its place in the answer, with `refused` for the fields that then mean nothing. Any
 * error that is not a refusal is a bug and goes on.
 */
export async function attempt<Answer extends object, Refused extends object>(
  { refusal }: Pick<Context, 'refusal'>,
  refused: Refused,
  run: () => Answer | Promise<Answer>,
): Promise<Outcome & (Answer | Refused)> {
  try {
    if (refusal) throw new Refusal(refusal)
    return { errorCode: errorCodes.NONE, errorMessage: null, ...(await run()) }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { ...refused, errorCode: error.code, errorMessage: error.message }
  }
}

export function requirePartition({ topics }: Context, topic: string, partition: number): PartitionLog {
  const log = topics.find(topic)?.log(partition)
  if (!log) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
  return log
}

/** The shape that requests and answers about partitions share: `[topic string · [partition ..]]`. */
export type PerTopic<Partition> = { name: string; partitions: Partition[] }[]

export function readTopics<Partition>(request: Reader, readPartition: () => Partition): PerTopic<Partition> {
  return request.array(() => ({ name: request.string(), partitions: request.array(readPartition) }))
}

export function writeTopics<Partition>(
  answer: Writer,
  topics: PerTopic<Partition>,
  writePartition: (partition: Partition) => void,
): Writer {
  return answer.array(topics, ({ name, partitions }) => answer.string(name).array(partitions, writePartition))
}

/** Begins with every partition, in order, before it waits for any. */
export function eachPartition<Partition, Answer>(
  topics: PerTopic<Partition>,
  begin: (topic: string, partition: Partition) => Answer | Promise<Answer>,
): Promise<PerTopic<Answer>> {
  const begun = topics.map(({ name, partitions }) => ({ name, answers: partitions.map((each) => begin(name, each)) }))
  return Promise.all(begun.map(async ({ name, answers }) => ({ name, partitions: await Promise.all(answers) })))
}
