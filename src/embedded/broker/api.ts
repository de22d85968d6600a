import type { CommittedOffsets } from './committed-offsets.ts'
import { type ErrorName, errorCodes, Refusal } from './errors.ts'
import type { Groups } from './group.ts'
import type { PartitionLog } from './log/partition-log.ts'
import type { Topics } from './topics.ts'
import { int32, optional, type Reader, type ReadOf, type Type, typeOf, type Writer, type WrittenOf } from './wire.ts'

/** The only node is number 1, leads every partition and coordinates every group. */
export const nodeId = 1

/** What the requests act on. */
export type Node = {
  /** The address clients are told to come back to. */
  readonly host: string
  readonly port: number
  readonly apis: readonly Api[]
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
  readonly client: Client
  /** Fault on demand: whatever this request asks for is refused with this error. */
  readonly refusal?: ErrorName
}

export type Api = {
  readonly name: string
  readonly key: number
  readonly versions: readonly [lowest: number, highest: number]
  /** Answers in the version of the request, or with nothing when the client expects no answer. */
  handle(request: Reader, answer: Writer, context: Context): Promise<Writer | undefined>
}

/** The broker slows nobody down. Answers begin with it unless they have it somewhere else. */
export const throttleMs = optional(int32, 0)

/**
 * One request of the Kafka protocol: what it and its answer look like, in the versions that are served, and what it does. The whole
 * request is read before anything is done, because what is malformed must have no effect.
 */
export function api<const Name extends string, Request extends object, Answer extends object>(
  name: Name,
  key: number,
  versions: Api['versions'],
  {
    serve,
    ...shapes
  }: {
    request: Request
    answer: Answer
    serve(request: ReadOf<Request>, context: Context): Served<Answer> | Promise<Served<Answer>>
  },
) {
  const request = typeOf(shapes.request as never) as Type<WrittenOf<Request>, ReadOf<Request>>
  const whole = 'throttleMs' in shapes.answer ? shapes.answer : { throttleMs, ...shapes.answer }
  const answer = typeOf(whole as never) as Type<WrittenOf<Answer>, ReadOf<Answer>>
  const handle: Api['handle'] = async (from, to, context) => {
    const served = await serve(request.read(from), context)
    if (served) answer.write(to, served)
    return served && to
  }
  return { name, key, versions, request, answer, serve, handle }
}

type Served<Answer> = WrittenOf<Answer> | undefined

type Outcome = { errorCode: number; errorMessage: string | null }

/**
 * Runs what may refuse and gives the refusal its place in the answer, beside the fields as they are when there is nothing to tell. Any
 * error that is not a refusal is a bug and goes on.
 */
export async function attempt<Fields extends object>(
  { refusal }: Pick<Context, 'refusal'>,
  blank: Fields,
  run: () => Partial<Fields & Outcome> | undefined | Promise<Partial<Fields> | undefined>,
): Promise<Fields & Outcome> {
  try {
    if (refusal) throw new Refusal(refusal)
    return { ...blank, errorCode: errorCodes.NONE, errorMessage: null, ...(await run()) }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { ...blank, errorCode: errorCodes[error.code], errorMessage: error.message }
  }
}

/** Begins with every item, in order, before it waits for any. What was asked comes back in the answer. */
export function each<Item extends object, Fields extends object>(
  context: Pick<Context, 'refusal'>,
  items: readonly Item[],
  blank: Fields,
  run: (item: Item) => Partial<Fields> | undefined | Promise<Partial<Fields> | undefined>,
): Promise<(Item & Fields & Outcome)[]> {
  return Promise.all(items.map((item) => attempt(context, { ...item, ...blank }, () => run(item) as never)))
}

export type PerTopic<Partition> = { name: string; partitions: Partition[] }[]

/** The same for requests about partitions. */
export function eachPartition<Partition extends object, Fields extends object>(
  context: Pick<Context, 'refusal'>,
  topics: PerTopic<Partition>,
  blank: Fields,
  run: (topic: string, partition: Partition) => Partial<Fields> | undefined | Promise<Partial<Fields> | undefined>,
): Promise<PerTopic<Partition & Fields & Outcome>> {
  const begin = (topic: string, partitions: Partition[]) => each(context, partitions, blank, (one) => run(topic, one))
  return Promise.all(topics.map(async ({ name, partitions }) => ({ name, partitions: await begin(name, partitions) })))
}

export function requirePartition({ topics }: Pick<Context, 'topics'>, topic: string, partition: number): PartitionLog {
  const log = topics.find(topic)?.log(partition)
  if (!log) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
  return log
}
