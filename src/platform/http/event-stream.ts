/** Server-sent events: their encoding, and responses that stream until the client disconnects. */
import { Fault } from '../fault'
import { refusedByLimit } from './limits'
import type { Admission } from './principal'

export type ServerEvent = { event: string; id: string; data: object }

/** JSON has no line breaks, and we choose the ids. */
export const encodeServerEvent = ({ event, id, data }: ServerEvent): string =>
  `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`

/** The delay after which a client reconnects. Sent first. */
export const retryAfter = (ms: number): string => `retry: ${ms}\n\n`

/** When the client of a stream that was stopped comes back, in milliseconds: not all at once. */
const spreadMs = () => Math.floor(1000 + 4000 * Math.random())

/** Keep-alive comment against idle timeouts of proxies. */
export const ping = ': ping\n\n'

/** The chunks of a stream, until the signal is aborted. Never throws. */
export type Chunks = (signal: AbortSignal) => AsyncGenerator<string | Uint8Array, void>

export type EventStreams = ReturnType<typeof createEventStreams>

type Options = {
  openMax: number
  /** Of one key, so that the others get some. */
  ofKeyMax: number
  stalledMs: number
}

/** A client that takes no chunk for `stalledMs` is disconnected after that chunk. */
export function createEventStreams({ openMax, ofKeyMax, stalledMs }: Options) {
  /** How to end each, with the id of its key. */
  const open = new Map<() => void, string | undefined>()
  let isStopped = false

  const requireRoom = (keyId: string | undefined): void => {
    const ofKey = keyId === undefined ? 0 : [...open.values()].filter((one) => one === keyId).length
    if (open.size < openMax && ofKey < ofKeyMax) return
    refusedByLimit.streams++
    throw new Fault('too_many_streams', `${open.size} streams are open, ${ofKey} of this key`)
  }

  return {
    /**
     * A chunk is produced only after the client has taken the one before, so a slow client costs a
     * single chunk. Ends with what let it in. Throws a `Fault` when too many streams are
     * open, in all or of this key.
     */
    open(chunks: Chunks, admission?: Admission): Response {
      requireRoom(admission?.keyId)
      const aborting = new AbortController()
      const producer = chunks(aborting.signal)
      let stalled: Timer | undefined
      const end = () => {
        open.delete(end)
        admission?.ended?.removeEventListener('abort', end)
        clearTimeout(stalled)
        aborting.abort()
        // Ends a suspended generator; a running one sees the signal.
        void producer.return()
      }
      open.set(end, admission?.keyId)
      admission?.ended?.addEventListener('abort', end)
      if (isStopped || admission?.ended?.aborted) end()

      const body = new ReadableStream<string | Uint8Array>(
        {
          async pull(controller) {
            clearTimeout(stalled)
            const { value, done } = await producer.next()
            if (done) {
              end()
              if (isStopped) controller.enqueue(retryAfter(spreadMs()))
              return controller.close()
            }
            controller.enqueue(value)
            stalled = setTimeout(end, stalledMs)
          },
          cancel: end,
        },
        { highWaterMark: 0 },
      )
      const headers = {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      }
      return new Response(body, { headers })
    },
    /** How many are open. */
    get count(): number {
      return open.size
    },
    /** Ends those that are open. Their clients come back, with the last id that they have. */
    endAll(): void {
      for (const end of open.keys()) end()
    },
    /** Ends all open streams, and those that are opened after it. Their clients come back one by one. */
    stop(): void {
      isStopped = true
      for (const end of open.keys()) end()
    },
  }
}
