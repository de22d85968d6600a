/**
 * Executes the request of an idempotency key once, whichever process gets it, and repeats its answer. The
 * answer is stored by what it is about: in its transaction, where it is one.
 */
import { createConcurrencyLimit } from '../../platform/concurrency-limit'
import { Fault, messageOf } from '../../platform/fault'
import { decideKey, type IdempotencyKey, nameOf } from '../../platform/idempotency'
import type { Database, DatabaseOptions } from '../../platform/postgres/database'
import { isRetryable } from '../../platform/postgres/failures'
import { whileHoldingName } from '../../platform/postgres/locks'
import type { Statements } from '../../platform/postgres/statements'
import { findAnswer, insertAnswer } from './idempotency-keys-store'

export type Answered<Answer> =
  | { kind: 'answered'; answer: Answer; repeated: boolean }
  | { kind: 'key_reused' }
  | { kind: 'key_in_progress' }

/** Throws where the key is in use by now, so a transaction that it joins does nothing. */
export type Store<Answer> = (answer: Answer, tx?: Statements) => Promise<void>

/** Without a key each request is executed. `act` stores its answer, and may do so again in a retry. */
export type Once = <Answer extends object>(
  key: IdempotencyKey | null,
  act: (store: Store<Answer>) => Promise<unknown>,
) => Promise<Answered<Answer>>

type Connection = Pick<DatabaseOptions, 'url' | 'prepare'>

/** Each request under a key has a connection of its own. */
const limits = { concurrency: 4, waitingMax: 100 }

/** `running`: requests under a key, and since when, on the clock of `performance.now`. */
export function createOnce(
  { sql }: Pick<Database, 'sql'>,
  connection: Connection,
  running = new Map<object, number>(),
): Once {
  const limit = createConcurrencyLimit(limits)
  const session = { ...connection, applicationName: 'saldo-balances-key' }
  return async (key, act) => {
    if (!key) return execute(sql, null, act)
    // A key in progress is a lock, not a row: it ends with the process.
    const request = {}
    running.set(request, performance.now())
    try {
      const answered = await limit(() =>
        whileHoldingName(nameOf(key), session, () => answerUnder(sql, key, act)),
      )
      return answered ?? { kind: 'key_in_progress' }
    } finally {
      running.delete(request)
    }
  }
}

async function answerUnder<Answer extends object>(
  sql: Statements,
  key: IdempotencyKey,
  act: (store: Store<Answer>) => Promise<unknown>,
): Promise<Answered<Answer>> {
  const use = decideKey(key, await findAnswer<Answer>(sql, key))
  if (use.kind === 'reused') return { kind: 'key_reused' }
  if (use.kind === 'repeated') return { kind: 'answered', answer: use.answer, repeated: true }
  try {
    return await execute(sql, key, act)
  } catch (error) {
    // By a process that was killed, or lost the lock: its transaction was still to commit.
    if (error instanceof KeyInUse) return answerUnder(sql, key, act)
    throw error
  }
}

class KeyInUse extends Error {}

async function execute<Answer extends object>(
  sql: Statements,
  key: IdempotencyKey | null,
  act: (store: Store<Answer>) => Promise<unknown>,
): Promise<Answered<Answer>> {
  let answer: Answer | undefined
  const store: Store<Answer> = async (stored, tx = sql) => {
    if (key && !(await insertAnswer(tx, key, stored))) throw new KeyInUse()
    answer = stored
  }
  await act(store).catch((error) => {
    // Some of it may be done, or all.
    if (isRetryable(error)) throw new Fault('outcome_unknown', messageOf(error), { cause: error })
    throw error
  })
  if (!answer) throw new Error('the request has stored no answer')
  return { kind: 'answered', answer, repeated: false }
}
