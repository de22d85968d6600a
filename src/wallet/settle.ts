/** A batch of transfers from the accounts as they are to the accounts as they will be: load, decide, append. */
import type { Database } from '../platform/database'
import { Fault, messageOf } from '../platform/fault'
import type { Log } from '../platform/log'
import { backoffMs, pause } from '../platform/retry'
import { announceTransfer } from './announce'
import { decideKey, type IdempotencyKey, nameOf, type UsedKey } from './domain/idempotency'
import { applyTransfer, decideTransfer, type Rejection, type Transfer, type TransferMoney } from './domain/transfer'
import { append, classifyAppendFailure } from './store/append'
import { type Book, loadBook } from './store/book'
import { type KeyAnswer, loadKeys } from './store/idempotency-keys'
import type { StoredTransaction } from './store/transactions'

export type Ledger = { database: Database; log: Log; clock: () => Date; onAppended: () => void }

/** A transfer as it was asked for, and the request it belongs to. */
export type Command = TransferMoney & { traceparent: string | null; idempotencyKey: IdempotencyKey | null }

/** What a caller is told. `repeated` when it was told before, under the same key. */
export type Settled = (KeyAnswer | { accepted: false; rejection: Refusal }) & { repeated: boolean }

/** Every way a transfer can be refused: first by its key, then by the ledger. */
export type Refusal = Rejection | 'idempotency_key_reused'

/** A command with its answer, and the transfer that has to be appended for it. */
type Step = { command: Command; settled: Settled; transfer: Transfer | undefined }

type Known = { accounts: Book['accounts']; keys: Map<string, UsedKey<KeyAnswer>> }

/** How often a batch is decided again before it is given up. Every further try lost a race, or its connection. */
const triesMax = 25
const backoff = { firstMs: 2, limitMs: 500 }

/**
 * Decides every command over the accounts as they stand, each seeing what the one before it left, and appends all that was accepted at once. A
 * refused command costs its neighbours nothing. A command that failed by itself has its error as outcome; throws a `Fault` when the database
 * stays away.
 */
export async function settle(ledger: Ledger, commands: Command[]): Promise<(Settled | Error)[]> {
  const { sql } = ledger.database
  const accountIds = [...new Set(commands.flatMap((command) => [command.accountIdFrom, command.accountIdTo]))]
  const idempotencyKeys = commands.flatMap(({ idempotencyKey }) => idempotencyKey ?? [])
  const createdAt = ledger.clock()
  let steps: Step[] = []
  for (let attempt = 1; ; attempt++) {
    try {
      // Keys first: one that is taken in between collides in the append.
      const keys = await loadKeys(sql, idempotencyKeys)
      const { accounts, appended } = await loadBook(sql, accountIds, idsOf(steps))
      // The statement of the last try may have been carried out although its answer was lost. Its decisions stand then: had any of their
      // accounts changed in between, the statement would have collided; had none, this try would decide the same.
      if (!appended) {
        const known = { accounts, keys }
        steps = commands.map((command) => decideStep(command, known, createdAt))
        await append(sql, changesOf(steps, createdAt.toISOString()))
      }
      // After the append: a relay that is woken earlier cannot see the rows yet, and would go back to sleep.
      if (steps.some(({ transfer }) => transfer)) ledger.onAppended()
      return steps.map(({ settled }) => settled)
    } catch (error) {
      const failure = classifyAppendFailure(error)
      if (!failure) return settleApart(ledger, commands, error as Error)
      if (attempt >= triesMax)
        throw new Fault('database_unavailable', `gave up after ${attempt} tries: ${messageOf(error)}`, { cause: error })
      ledger.log.debug({ failure, attempt, commands: commands.length }, 'deciding again')
      await pause(backoffMs(backoff, attempt))
    }
  }
}

/** Decides one command, and leaves accounts and keys as the next one finds them. */
function decideStep(command: Command, { accounts, keys }: Known, createdAt: Date): Step {
  const key = command.idempotencyKey
  const before = key ? decideKey(key, keys.get(nameOf(key))) : { kind: 'first' as const }
  if (before.kind === 'repeated') return { command, settled: { ...before.answer, repeated: true }, transfer: undefined }
  if (before.kind === 'reused')
    return {
      command,
      settled: { accepted: false, rejection: 'idempotency_key_reused', repeated: false },
      transfer: undefined,
    }

  const decision = decideTransfer(command, accounts)
  if (decision.accepted) applyTransfer(accounts, decision.transfer)
  const answer: KeyAnswer = decision.accepted
    ? { accepted: true, transaction: transactionOf(decision.transfer, createdAt) }
    : decision
  if (key) keys.set(nameOf(key), { fingerprint: key.fingerprint, answer })
  return {
    command,
    settled: { ...answer, repeated: false },
    transfer: decision.accepted ? decision.transfer : undefined,
  }
}

function changesOf(steps: Step[], createdAt: string) {
  const made = steps.flatMap(({ command, transfer }) => (transfer ? [{ command, transfer }] : []))
  return {
    createdAt,
    transfers: made.map(({ transfer }) => transfer),
    outbox: made.flatMap(({ command: { traceparent }, transfer }) =>
      announceTransfer(transfer, createdAt).map((event) => ({ ...event, traceparent })),
    ),
    // A refusal is an answer, too. Only what the key itself led to is not kept under it again.
    keys: steps.flatMap(({ command: { idempotencyKey }, settled: { repeated, ...answer } }) =>
      idempotencyKey && !repeated && isKept(answer) ? [{ ...idempotencyKey, answer }] : [],
    ),
  }
}

const isKept = (answer: KeyAnswer | { accepted: false; rejection: Refusal }): answer is KeyAnswer =>
  answer.accepted || answer.rejection !== 'idempotency_key_reused'

/** One command that the database refuses for a reason of its own must not fail its neighbours: each is tried alone. */
async function settleApart(ledger: Ledger, commands: Command[], error: Error): Promise<(Settled | Error)[]> {
  ledger.log.error({ error, commands: commands.length }, 'the database refused a batch')
  if (commands.length === 1) return [error]
  const outcomes: (Settled | Error)[] = []
  for (const command of commands) {
    outcomes.push(...(await settle(ledger, [command]).catch((failure: Error) => [failure])))
  }
  return outcomes
}

const transactionOf = (transfer: Transfer, createdAt: Date): StoredTransaction => ({
  id: transfer.transactionId,
  kind: transfer.kind,
  accountIdFrom: transfer.accountIdFrom,
  accountIdTo: transfer.accountIdTo,
  versionFrom: transfer.entryFrom.version,
  versionTo: transfer.entryTo.version,
  amountMinor: transfer.amountMinor,
  currency: transfer.currency,
  reference: transfer.reference,
  effectiveAt: createdAt,
  createdAt,
})

const idsOf = (steps: Step[]): string[] => steps.flatMap(({ transfer }) => (transfer ? [transfer.transactionId] : []))
