import type { ApiName } from './api.ts'
import type { ErrorName } from './error-codes.ts'
import type { GroupCommit } from './log/group-commit.ts'

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

/** Faults on demand, for tests of those who must live with a broker. All of them end with `clear`. */
export type Faults = {
  /** Meets the next `times` requests of this kind (default 1; `Infinity` until cancelled). Several queue up. */
  inject(api: ApiName, fault: Fault, times?: number): Injected
  /** Closes every connection there is. */
  dropConnections(): void
  /** New connections are closed as soon as they are made, and so are those there are. */
  refuseConnections(refuse: boolean): void
  /** Nothing is served and nothing answered, on any connection, until it is lifted: a broker that hangs. */
  pause(paused: boolean): void
  /** Whatever would be written is refused with KAFKA_STORAGE_ERROR. */
  diskFull(full: boolean): void
  clear(): void
}

type Pending = { fault: Fault; left: number; hits: number }

/** The broker's side of `Faults`: asked at each connection and each request. */
export class FaultInjection implements Faults {
  readonly #pending = new Map<ApiName, Pending[]>()
  readonly #groupCommit: GroupCommit
  readonly #closeConnections: () => void
  #resume: PromiseWithResolvers<void> | undefined
  refusing = false

  constructor(groupCommit: GroupCommit, closeConnections: () => void) {
    this.#groupCommit = groupCommit
    this.#closeConnections = closeConnections
  }

  /** Resolves at once unless the broker is paused. */
  get resumed(): Promise<void> | undefined {
    return this.#resume?.promise
  }

  /** The fault the next request of this kind meets. */
  take(api: ApiName): Fault | undefined {
    const queue = this.#pending.get(api)
    const next = queue?.[0]
    if (!queue || !next) return undefined
    next.hits++
    next.left--
    if (next.left <= 0) queue.shift()
    return next.fault
  }

  inject(api: ApiName, fault: Fault, times = 1): Injected {
    const pending: Pending = { fault, left: times, hits: 0 }
    const queue = this.#pending.get(api) ?? []
    queue.push(pending)
    this.#pending.set(api, queue)
    const cancel = () => {
      const at = queue.indexOf(pending)
      if (at >= 0) queue.splice(at, 1)
    }
    return {
      get hits() {
        return pending.hits
      },
      cancel,
    }
  }

  dropConnections(): void {
    this.#closeConnections()
  }

  refuseConnections(refuse: boolean): void {
    this.refusing = refuse
    if (refuse) this.#closeConnections()
  }

  pause(paused: boolean): void {
    if (paused) {
      this.#resume ??= Promise.withResolvers<void>()
    } else {
      this.#resume?.resolve()
      this.#resume = undefined
    }
  }

  diskFull(full: boolean): void {
    this.#groupCommit.diskFull = full
  }

  clear(): void {
    this.#pending.clear()
    this.refusing = false
    this.pause(false)
    this.diskFull(false)
  }
}
