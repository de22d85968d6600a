/**
 * Server-sent events: how one is written, and answers that go on until their reader leaves. Knows
 * no word of the trade.
 */
import { Fault } from '../fault'

export type ServerEvent = { event: string; id: string; data: object }

/** JSON has no line breaks, and ids are ours. */
export const encodeServerEvent = ({ event, id, data }: ServerEvent): string =>
  `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`

/** First of all: how long a reader waits before it comes back, in milliseconds. */
export const retryAfter = (ms: number): string => `retry: ${ms}\n\n`

/** Says nothing, and keeps whoever is on the way from hanging up. */
export const ping = ': ping\n\n'

/** What a stream sends, chunk by chunk, until the signal is aborted. Never throws. */
export type Chunks = (signal: AbortSignal) => AsyncGenerator<string | Uint8Array, void>

export type EventStreams = {
  /**
   * Nothing is made before the reader has taken the chunk before it, so a slow one costs that one
   * chunk. Throws a `Fault` when too many are open.
   */
  open(chunks: Chunks): Response
  /** Ends all that are open. */
  stop(): void
}

/** A reader that leaves a chunk untouched for `stalledMs` gets that one, and then the end of its stream. */
export function createEventStreams({
  openMax,
  stalledMs,
}: {
  openMax: number
  stalledMs: number
}): EventStreams {
  const open = new Set<() => void>()

  return {
    open(chunks) {
      if (open.size >= openMax) throw new Fault('overloaded', `${open.size} streams are open`)
      const leaving = new AbortController()
      const making = chunks(leaving.signal)
      let stalled: Timer | undefined
      const end = () => {
        open.delete(end)
        clearTimeout(stalled)
        leaving.abort()
        // Where it stands still; where it works it sees the signal.
        void making.return()
      }
      open.add(end)

      const body = new ReadableStream<string | Uint8Array>(
        {
          async pull(controller) {
            clearTimeout(stalled)
            const { value, done } = await making.next()
            if (done) {
              open.delete(end)
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
    stop() {
      for (const end of open) end()
    },
  }
}
