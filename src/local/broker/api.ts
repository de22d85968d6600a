import type { Connection, Server } from './connection.ts'
import { type ErrorName, errorCodes, Refusal } from './errors.ts'
import {
  int32,
  optional,
  type Reader,
  type ReadOf,
  since,
  type Type,
  typeOf,
  type Writer,
  type WrittenOf,
} from './wire.ts'

/** The only node is number 1, leads every partition and coordinates every group. */
export const nodeId = 1

export type Context = Server & {
  readonly client: Connection
  /** Whatever this request asks for is refused with this error: a fault on demand. */
  readonly refusal?: ErrorName
}

type Maybe<Value> = Value | undefined | Promise<Value | undefined>
type Outcome = { errorCode: number; errorMessage: string | null }

/** The broker slows nobody down. */
export const throttleMs = optional(int32, 0)
export const throttleSince = (version: number) => since(version, int32, 0)

/**
 * One request of the Kafka protocol: what it and its answer look like, in the versions that are
 * served, and what it does. Without an answer the client expects none. The whole request is read
 * before anything is done, because what is malformed must have no effect.
 */
export function api<const Name extends string, Request extends object, Answer extends object>(
  name: Name,
  key: number,
  versions: readonly [lowest: number, highest: number],
  shapes: {
    /** The first version that is flexible, if one of those served is. */
    flexible?: number
    request: Request
    answer: Answer
    serve(request: ReadOf<Request>, context: Context): Maybe<WrittenOf<Answer>>
  },
) {
  const { serve, flexible = Number.POSITIVE_INFINITY } = shapes
  const request = typeOf(shapes.request as never) as Type<WrittenOf<Request>, ReadOf<Request>>
  const answer = typeOf(shapes.answer as never) as Type<WrittenOf<Answer>, ReadOf<Answer>>
  /** False when there is no answer. */
  const handle = async (from: Reader, to: Writer, context: Context) => {
    const served = await serve(request.read(from), context)
    if (served) answer.write(to, served)
    return served !== undefined
  }
  return { name, key, versions, flexible, request, answer, serve, handle }
}

/**
 * Runs what may refuse and gives the refusal its place in the answer, where the other fields then
 * are what their shape says. Any error that is not a refusal is a bug and goes on.
 */
export async function attempt<Fields extends object>(
  { refusal }: { refusal?: ErrorName },
  run: () => Maybe<Fields>,
): Promise<Partial<Fields> & Outcome> {
  try {
    if (refusal) throw new Refusal(refusal)
    return { errorCode: errorCodes.NONE, errorMessage: null, ...((await run()) as Partial<Fields>) }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { errorCode: errorCodes[error.code], errorMessage: error.message } as Partial<Fields> & Outcome
  }
}

/** Begins with every item, in order, before it waits for any. What was asked comes back in the answer. */
export function each<Item extends object, Fields extends object>(
  context: { refusal?: ErrorName },
  items: readonly Item[],
  run: (item: Item) => Maybe<Fields>,
): Promise<(Item & Partial<Fields> & Outcome)[]> {
  return Promise.all(items.map(async (item) => ({ ...item, ...(await attempt(context, () => run(item))) })))
}

export type PerTopic<Partition> = { name: string; partitions: Partition[] }[]

/** The same for requests about partitions. */
export function eachPartition<Partition extends object, Fields extends object>(
  context: { refusal?: ErrorName },
  topics: PerTopic<Partition>,
  run: (topic: string, partition: Partition) => Maybe<Fields>,
): Promise<PerTopic<Partition & Partial<Fields> & Outcome>> {
  const begin = (topic: string, partitions: Partition[]) =>
    each(context, partitions, (one) => run(topic, one))
  return Promise.all(
    topics.map(async ({ name, partitions }) => ({ name, partitions: await begin(name, partitions) })),
  )
}
