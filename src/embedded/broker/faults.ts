import type { ApiName } from './api.ts'
import type { ErrorName } from './error-codes.ts'
import type { Disk } from './log/append-file.ts'

/** What may go wrong with one request. */
export type Fault =
  /** The connection closes before the request has any effect. */
  | { kind: 'drop' }
  /** The request has its effect, then the connection closes in place of the answer. */
  | { kind: 'lose' }
  /** The request has its effect; its answer, and whatever is behind it on that connection, waits for `until`. */
  | { kind: 'delay'; until: Promise<unknown> }
  /** No effect: answered with this error wherever the answer has a place for one. */
  | { kind: 'error'; error: ErrorName }

export type Injected = {
  /** How many requests it has met so far. */
  readonly hits: number
  cancel(): void
}

type Pending = { fault: Fault; left: number; hits: number }

/** Faults on demand, for tests of those who must live with a broker. All of them end with `clear`. */
export class Faults {
  readonly #pending = new Map<ApiName, Pending[]>()
  readonly #disk: Disk
  readonly #dropConnections: () => void
  #resume: PromiseWithResolvers<void> | undefined
  /** For the broker: whether a new connection is to be closed. */
  refusing = false

  constructor(disk: Disk, dropConnections: () => void) {
    this.#disk = disk
    this.#dropConnections = dropConnections
  }

  /** Meets the next `times` requests of this kind (`Infinity`: until cancelled). Several queue up. */
  inject(api: ApiName, fault: Fault, times = 1): Injected {
    const pending: Pending = { fault, left: times, hits: 0 }
    const queue = this.#pending.get(api) ?? []
    this.#pending.set(api, queue)
    queue.push(pending)
    return {
      get hits() {
        return pending.hits
      },
      cancel() {
        pending.left = 0
      },
    }
  }

  /** Closes every connection there is. */
  dropConnections(): void {
    this.#dropConnections()
  }

  /** New connections are closed as soon as they are made, and so are those there are. */
  refuseConnections(refuse: boolean): void {
    this.refusing = refuse
    if (refuse) this.#dropConnections()
  }

  /** Nothing is served and nothing answered, on any connection, until it is lifted: a broker that hangs. */
  pause(paused: boolean): void {
    if (paused) this.#resume ??= Promise.withResolvers<void>()
    else this.#resume?.resolve()
    if (!paused) this.#resume = undefined
  }

  /** Whatever would be written is refused with KAFKA_STORAGE_ERROR. */
  diskFull(full: boolean): void {
    this.#disk.full = full
  }

  clear(): void {
    this.#pending.clear()
    this.refusing = false
    this.pause(false)
    this.diskFull(false)
  }

  /** For the broker: what every request and every answer waits for; nothing unless it is paused. */
  get resumed(): Promise<void> | undefined {
    return this.#resume?.promise
  }

  /** For the broker: the fault that the next request of this kind meets. */
  take(api: ApiName): Fault | undefined {
    const next = this.#pending.get(api)?.find(({ left }) => left > 0)
    if (!next) return undefined
    next.hits++
    next.left--
    return next.fault
  }
}
