import type { Catalog } from './catalog.ts'
import { type ErrorName, errorCodes, Refusal } from './errors.ts'
import type { Groups } from './group.ts'
import type { Topics } from './topics.ts'
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

/** The client behind a request. */
export type Client = {
  /** The client id of its last request. */
  readonly id: string
  readonly address: string
  /** Called when the connection is lost, so that the request in progress stops waiting. */
  onClose: (() => void) | undefined
}

/** What a request may use: the broker's state, and the client that sent it. */
export type Context = {
  /** The address that clients connect to. */
  readonly host: string
  readonly port: number
  readonly apis: readonly { key: number; versions: readonly [lowest: number, highest: number] }[]
  readonly topics: Topics
  readonly groups: Groups
  readonly catalog: Catalog
  readonly client: Client
  /** Refuses everything that this request asks for: an injected fault, or an unsupported version. */
  readonly refusal?: ErrorName
}

type Maybe<Value> = Value | undefined | Promise<Value | undefined>
type ApiResponse = { errorCode: number; errorMessage: string | null }

/** This broker never throttles. */
export const throttleMs = optional(int32, 0)
export const throttleSince = (version: number) => since(version, int32, 0)

/** Says that the operations a client is allowed were not asked for. */
export const operationsUnasked = -(2 ** 31)
export const operationsSince = (version: number) => since(version, int32, operationsUnasked)

/**
 * One API of the Kafka protocol: the shapes of its request and response in the supported versions,
 * and its handler. A handler that returns undefined sends no response. The whole request is decoded
 * before the handler runs, so a malformed one has no effect.
 */
export function api<const Name extends string, RequestShape extends object, ResponseShape extends object>(
  name: Name,
  key: number,
  versions: readonly [lowest: number, highest: number],
  shapes: {
    /** The first flexible version, if a supported one is flexible. */
    flexible?: number
    /**
     * An unsupported version is answered, too, in the layout of version 0, which names the supported
     * ones (KIP-511). For the same reason its response header never has tagged fields.
     */
    negotiates?: boolean
    request: RequestShape
    response: ResponseShape
    serve(request: ReadOf<RequestShape>, context: Context): Maybe<WrittenOf<ResponseShape>>
  },
) {
  const { serve, flexible = Number.POSITIVE_INFINITY, negotiates = false } = shapes
  const request = typeOf(shapes.request as never) as Type<WrittenOf<RequestShape>, ReadOf<RequestShape>>
  const response = typeOf(shapes.response as never) as Type<WrittenOf<ResponseShape>, ReadOf<ResponseShape>>
  /** Decodes, serves and encodes. False when there is no response. */
  const dispatch = async (from: Reader, to: Writer, context: Context) => {
    const fields = await serve(request.read(from), context)
    if (fields) response.write(to, fields)
    return fields !== undefined
  }
  return { name, key, versions, flexible, negotiates, request, response, serve, dispatch }
}

/** What the server needs of each. */
export type Api = Omit<ReturnType<typeof api>, 'request' | 'response' | 'serve'>

/**
 * Turns a refusal into the error code of the response, whose other fields then have the defaults of
 * their shape. Any other error is a bug and is rethrown.
 */
export async function handle<Fields extends object>(
  { refusal }: { refusal?: ErrorName },
  run: () => Maybe<Fields>,
): Promise<Partial<Fields> & ApiResponse> {
  try {
    if (refusal) throw new Refusal(refusal)
    return { errorCode: errorCodes.NONE, errorMessage: null, ...((await run()) as Partial<Fields>) }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { errorCode: errorCodes[error.code], errorMessage: error.message } as Partial<Fields> & ApiResponse
  }
}

/** Starts all items in order before it waits for any. The fields of an item are repeated in its response. */
export function each<Item extends object, Fields extends object>(
  context: { refusal?: ErrorName },
  items: readonly Item[],
  run: (item: Item) => Maybe<Fields>,
): Promise<(Item & Partial<Fields> & ApiResponse)[]> {
  return Promise.all(items.map(async (item) => ({ ...item, ...(await handle(context, () => run(item))) })))
}

export type PerTopic<Partition> = { name: string; partitions: Partition[] }[]

/** The same for requests that name partitions. */
export function eachPartition<Partition extends object, Fields extends object>(
  context: { refusal?: ErrorName },
  topics: PerTopic<Partition>,
  run: (topic: string, partition: Partition) => Maybe<Fields>,
): Promise<PerTopic<Partition & Partial<Fields> & ApiResponse>> {
  const begin = (topic: string, partitions: Partition[]) =>
    each(context, partitions, (one) => run(topic, one))
  return Promise.all(
    topics.map(async ({ name, partitions }) => ({ name, partitions: await begin(name, partitions) })),
  )
}
