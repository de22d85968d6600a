/** What a call takes beside its arguments, and what lists and streams return. */
import type { Limits } from './limits.ts'

export type CallOptions = Limits & {
  /**
   * Of a write: a name of your own for it, such as that of an order, so that it takes effect once even if
   * your process dies and calls again. A random one by default.
   */
  idempotencyKey?: string | undefined
  /** How long the service lets the request wait: a read for what was written, a write in the queue. */
  waitSeconds?: number | undefined
  /** Of a read at balances: any state is fine, also one that is older than what this client wrote. */
  allowStale?: boolean | undefined
  /** Beside those of the client. */
  headers?: Record<string, string> | undefined
}

export type WatchOptions = Pick<CallOptions, 'signal' | 'headers' | 'deadlineMs' | 'timeoutMs'> & {
  /** The id of the last event that was processed: the stream goes on after it. */
  lastEventId?: string | undefined
}

type Page = { data: readonly unknown[]; next_cursor: string | null }
type Row<Of extends Page> = Of['data'][number]

/** The pages of a list, each loaded when it is its turn. */
export class Pages<Of extends Page> implements AsyncIterable<Of> {
  readonly #load: (cursor: string | undefined) => Promise<Of>

  constructor(load: (cursor: string | undefined) => Promise<Of>) {
    this.#load = load
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Of, void> {
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await this.#load(cursor)
      yield page
      cursor = page.next_cursor
    }
  }

  /** The first page alone. */
  first(): Promise<Of> {
    return this.#load(undefined)
  }

  /** The rows of all pages. */
  async *rows(): AsyncGenerator<Row<Of>, void> {
    for await (const page of this) yield* page.data as Iterable<Row<Of>>
  }
}
