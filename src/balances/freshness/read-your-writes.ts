/**
 * Lets a read wait for what its caller has written: until each account it names is at its version,
 * and never by asking again and again.
 */
import { Fault } from '../../platform/fault'
import type { Balance } from '../queries/balances-store'

/** Version by account. */
export type Wanted = ReadonlyMap<string, bigint>

/** An account that is not there yet; `known` is null where nothing was heard of it. */
export type Behind = { accountId: string; wanted: bigint; known: bigint | null }

export type Consistency = {
  /**
   * Answers at once when all are there, else after as long as `waitMs`, with those that are not.
   * Throws a `Fault` when too many wait already.
   */
  reach(wanted: Wanted, options: { waitMs: number; signal: AbortSignal }): Promise<Behind[]>
  /** These accounts may have moved on; without a list any may have. */
  wake(accountIds?: readonly string[]): void
  /** Lets nobody wait any longer. */
  stop(): void
}

type Waiter = { wanted: Wanted; wake: () => void }

/** `find` has to answer from a query that begins after it was called. */
export function createConsistency(
  find: (accountId: string) => Promise<Balance | undefined>,
  { waitersMax }: { waitersMax: number },
): Consistency {
  const waiters = new Set<Waiter>()
  let stopped = false

  const behindOf = async (wanted: Wanted): Promise<Behind[]> => {
    const all = await Promise.all(
      [...wanted].map(async ([accountId, version]) => {
        const known = (await find(accountId))?.version ?? null
        return { accountId, wanted: version, known }
      }),
    )
    return all.filter(({ wanted, known }) => known === null || known < wanted)
  }

  return {
    async reach(wanted, { waitMs, signal }) {
      const deadline = performance.now() + waitMs
      for (;;) {
        if (waitMs > 0 && waiters.size >= waitersMax)
          throw new Fault('overloaded', `${waiters.size} reads wait for something to arrive`)
        // Begins to listen before it looks: what arrives in between is not missed.
        const { promise: woken, resolve } = Promise.withResolvers<void>()
        const wake = () => resolve()
        const waiter = { wanted, wake }
        waiters.add(waiter)
        let timer: Timer | undefined
        try {
          const behind = await behindOf(wanted)
          const leftMs = deadline - performance.now()
          if (behind.length === 0 || leftMs <= 0 || stopped || signal.aborted) return behind
          timer = setTimeout(wake, leftMs)
          signal.addEventListener('abort', wake)
          await woken
        } finally {
          clearTimeout(timer)
          signal.removeEventListener('abort', wake)
          waiters.delete(waiter)
        }
      }
    },
    wake(accountIds) {
      for (const { wanted, wake } of waiters)
        if (!accountIds || accountIds.some((accountId) => wanted.has(accountId))) wake()
    },
    stop() {
      stopped = true
      for (const { wake } of waiters) wake()
    },
  }
}
