/** Read-your-writes: blocks a read until every account in its token reaches its version. No polling. */
import { positionOf } from '../../contract/headers'
import { Fault } from '../../platform/fault'
import { pause } from '../../platform/process/retry'
import type { Balance } from '../queries/balances-store'

/** Positions by account: in the first epoch of the ledger they are versions. */
export type RequiredVersions = ReadonlyMap<string, bigint>

/** An account that has not reached its version; `current` is null where the read model does not have it. */
export type StaleAccount = { accountId: string; required: bigint; current: bigint | null }

type Waiter = { required: RequiredVersions; wake: () => void }

export class Consistency {
  readonly #waiters = new Set<Waiter>()
  #stopped = false

  /** `find` must answer from a query that starts after it was called. */
  constructor(
    readonly find: (accountId: string) => Promise<Balance | undefined>,
    readonly options: { waitersMax: number },
  ) {}

  /**
   * Resolves at once when all versions are reached, else after at most `waitMs`, with the accounts that are
   * still stale. Throws an `overloaded` fault when too many wait already.
   */
  async waitForVersions(
    required: RequiredVersions,
    { waitMs, signal }: { waitMs: number; signal: AbortSignal },
  ): Promise<StaleAccount[]> {
    const deadline = performance.now() + waitMs
    for (;;) {
      if (waitMs > 0 && this.#waiters.size >= this.options.waitersMax)
        throw new Fault('overloaded', `${this.#waiters.size} reads are already waiting for the read model`)
      // Registered before the query, so that no change in between is missed.
      const woken = new AbortController()
      const waiter = { required, wake: () => woken.abort() }
      this.#waiters.add(waiter)
      try {
        const stale = await this.#staleOf(required)
        const leftMs = deadline - performance.now()
        if (stale.length === 0 || leftMs <= 0 || this.#stopped || signal.aborted) return stale
        await pause(leftMs, AbortSignal.any([woken.signal, signal]))
      } finally {
        this.#waiters.delete(waiter)
      }
    }
  }

  /** These accounts may have changed; without a list any may have. */
  wake(accountIds?: readonly string[]): void {
    for (const { required, wake } of this.#waiters)
      if (!accountIds || accountIds.some((accountId) => required.has(accountId))) wake()
  }

  /** Ends all waits. */
  stop(): void {
    this.#stopped = true
    for (const { wake } of this.#waiters) wake()
  }

  async #staleOf(versions: RequiredVersions): Promise<StaleAccount[]> {
    const accounts = await Promise.all(
      [...versions].map(async ([accountId, required]) => {
        const found = await this.find(accountId)
        const current = found ? positionOf(found.version, found.epoch) : null
        return { accountId, required, current }
      }),
    )
    return accounts.filter(({ required, current }) => current === null || current < required)
  }
}
