/** Executes a write that is not a movement at most once per idempotency key. */
import { Fault } from '../../platform/fault'
import { violation, withUnavailableFault } from '../../platform/postgres/failures'
import { decideKey, type IdempotencyKey, nameOf } from '../domain/idempotency'
import type { Wallet } from './ledger'
import { loadUsedKeys, type StoredKey, type StoredOutcome } from './store/idempotency-keys'

export type OnceResult<T> =
  | { kind: 'done'; value: T; repeated: boolean }
  | { kind: 'key_reused' | 'key_in_progress' }

export type IdempotentWrite<T> = {
  /** Writes, and stores the key with the outcome in the same statement. */
  write(keyOf: (outcome: StoredOutcome) => StoredKey | null): Promise<T>
  /** The answer of the first time. */
  replay(outcome: StoredOutcome): Promise<T>
}

/** When another process uses the key first, the next try finds it. */
const triesMax = 5

export async function executeOnce<T>(
  wallet: Wallet,
  key: IdempotencyKey | null,
  { write, replay }: IdempotentWrite<T>,
): Promise<OnceResult<T>> {
  if (!key) return { kind: 'done', value: await withUnavailableFault(write(() => null)), repeated: false }
  return whileInProgress(wallet, key, async (): Promise<OnceResult<T>> => {
    for (let tries = 1; tries <= triesMax; tries++) {
      const [row] = await withUnavailableFault(loadUsedKeys(wallet.database.sql, [key]))
      const use = decideKey(
        key,
        row && { fingerprint: row.fingerprint, answer: row.outcomes[0] as StoredOutcome },
      )
      if (use.kind === 'reused') return { kind: 'key_reused' }
      if (use.kind === 'repeated')
        return { kind: 'done', value: await withUnavailableFault(replay(use.answer)), repeated: true }
      try {
        const value = await withUnavailableFault(write((outcome) => ({ ...key, stored: [outcome] })))
        return { kind: 'done', value, repeated: false }
      } catch (error) {
        if (violation(error)?.constraint !== 'idempotency_keys_pkey') throw error
      }
    }
    throw new Fault('overloaded', `lost the idempotency key to another process ${triesMax} times`)
  })
}

/** At most one request of a key at a time in this process; other processes collide in the database. */
export async function whileInProgress<T>(
  { keysInProgress }: Pick<Wallet, 'keysInProgress'>,
  key: IdempotencyKey,
  work: () => Promise<T>,
): Promise<T | { kind: 'key_in_progress' }> {
  const name = nameOf(key)
  if (keysInProgress.has(name)) return { kind: 'key_in_progress' }
  keysInProgress.add(name)
  try {
    return await work()
  } finally {
    keysInProgress.delete(name)
  }
}
