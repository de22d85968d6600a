import type { ErrorName } from './errors.ts'
import type { Disk } from './log/disk.ts'

/** What may go wrong with one request. */
export type Fault =
  /** The connection closes before the request has any effect. */
  | { kind: 'drop' }
  /** The request has its effect, then the connection closes in place of the answer. */
  | { kind: 'lose' }
  /**
   * The request has its effect; its response, and all that follow it on that connection, wait for
   * `until`.
   */
  | { kind: 'delay'; until: Promise<unknown> }
  /** No effect: answered with this error wherever the answer has a place for one. */
  | { kind: 'error'; error: ErrorName }

/** Faults on demand, for tests of those who must live with a broker. All of them end with `clear`. */
export class Faults<ApiName extends string = string> {
  #injected: { api: ApiName; fault: Fault; left: number; hits: number }[] = []
  #resume: PromiseWithResolvers<void> | undefined
  /** For the broker: whether a new connection is to be closed. */
  refusing = false

  constructor(
    readonly disk: Disk,
    /** Closes every connection there is. */
    readonly dropConnections: () => void,
  ) {}

  /**
   * Meets the next `times` requests of this kind (`Infinity`: until cancelled). Several queue up.
   * Tells how many it has met.
   */
  inject(api: ApiName, fault: Fault, times = 1) {
    const injected = {
      ...{ api, fault, left: times, hits: 0 },
      cancel() {
        injected.left = 0
      },
    }
    this.#injected.push(injected)
    return injected
  }

  /** New connections are closed as soon as they are made, and so are those there are. */
  refuseConnections(refuse: boolean): void {
    this.refusing = refuse
    if (refuse) this.dropConnections()
  }

  /** Nothing is served and nothing answered, on any connection, until it is lifted: a broker that hangs. */
  pause(paused: boolean): void {
    if (paused) this.#resume ??= Promise.withResolvers<void>()
    else this.#resume?.resolve()
    if (!paused) this.#resume = undefined
  }

  /** All writes are refused with KAFKA_STORAGE_ERROR. */
  diskFull(full: boolean): void {
    this.disk.full = full
  }

  clear(): void {
    this.#injected = []
    this.refusing = false
    this.pause(false)
    this.diskFull(false)
  }

  /** For the broker: what every request and every answer waits for; nothing unless it is paused. */
  get resumed(): Promise<void> | undefined {
    return this.#resume?.promise
  }

  /** For the broker: the fault that the next request of this kind meets. */
  take(api: string): Fault | undefined {
    const next = this.#injected.find((injected) => injected.api === api && injected.left > 0)
    if (!next) return undefined
    next.hits++
    next.left--
    return next.fault
  }
}
