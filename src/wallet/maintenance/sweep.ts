/** Expires holds, and prunes idempotency keys and deliveries past their retention. */
import { randomUUIDv7 } from 'bun'
import { every, type Part } from '../../platform/process/service'
import { createMetrics } from '../../platform/telemetry/metrics'
import type { ReleaseHold } from '../domain/hold'
import type { Hold } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import { removeExpiredKeys } from '../ledger/store/idempotency-keys'
import { listExpiredHolds, overdueSeconds } from '../ledger/store/rows'
import { submit } from '../ledger/submit'
import { removeOldDeliveries } from '../outbox/deliveries-store'
import { holdMetrics } from './metrics'

/** The interval, for which an expired hold may still count, and the holds in a batch. */
const holdsMs = 1000
const holdsMax = 500
/** Together more than can expire. */
const keysMs = 60_000
const keysMax = 500_000
/** A transaction has two deliveries or more. */
const deliveriesMs = 10_000
const deliveriesMax = 200_000
/** Rows of one statement, which has to end within its timeout on any machine. */
const chunkSize = 20_000

export function createSweeps(wallet: Wallet, isInCharge: () => boolean): Part[] {
  const { sql } = wallet.database
  const sweep = (ms: number, name: string, work: () => Promise<void>): Part =>
    every(ms, name, async () => {
      if (isInCharge()) await work()
    })
  const metrics = createMetrics(holdMetrics)
  return [
    {
      ...sweep(holdsMs, 'expire_holds', () => expireHolds(wallet)),
      metrics: metrics.all,
      sample: async () => metrics.overdue.set({}, await overdueSeconds(sql)),
    },
    sweep(keysMs, 'prune_keys', () => inChunks(keysMax, (limit) => removeExpiredKeys(sql, limit))),
    sweep(deliveriesMs, 'prune_deliveries', () =>
      inChunks(deliveriesMax, (limit) => removeOldDeliveries(sql, wallet.clock(), limit)),
    ),
  ]
}

/** Until nothing is left, or `max` rows were removed. */
async function inChunks(max: number, remove: (limit: number) => Promise<number>): Promise<void> {
  for (let removed = 0; removed < max; removed += chunkSize) if ((await remove(chunkSize)) < chunkSize) return
}

/** Ends all expired holds. */
export async function expireHolds(wallet: Omit<Wallet, 'preview' | 'waiting'>): Promise<void> {
  for (;;) {
    const now = wallet.clock()
    const expired = await listExpiredHolds(wallet.database, now, holdsMax)
    if (expired.length > 0) {
      const commands = expired.map((hold) => expiryOf(hold, now))
      await submit(wallet, { commands, atomic: false, traceparent: null, idempotencyKey: null })
    }
    if (expired.length < holdsMax) return
  }
}

const expiryOf = ({ id: holdId, accountIdFrom, accountIdTo }: Hold, now: Date): ReleaseHold => ({
  type: 'release',
  id: randomUUIDv7('hex', now),
  holdId,
  accountIdFrom,
  accountIdTo,
  reason: 'expired',
})
