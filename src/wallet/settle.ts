/** A batch of transfers from the accounts as they are to the accounts as they will be: load, decide, append. */
import type { Database } from '../platform/database'
import { Fault, messageOf } from '../platform/fault'
import type { Log } from '../platform/log'
import { backoffMs, pause } from '../platform/retry'
import { announceTransfer } from './announce'
import type { Account } from './domain/account'
import { applyTransfer, type Decision, decideTransfer, type TransferMoney } from './domain/transfer'
import { append, classifyAppendFailure } from './store/append'
import { loadBook } from './store/book'

export type Ledger = { database: Database; log: Log; clock: () => Date; onAppended: () => void }

/** A transfer as it was asked for, and the request it belongs to. */
export type Command = TransferMoney & { traceparent: string | null }

/** A decision, and when it was taken. Decisions of one batch share their time. */
export type Settled = Decision & { createdAt: Date }

/** How often a batch is decided again before it is given up. Every further try lost a race, or its connection. */
const triesMax = 25
const backoff = { firstMs: 2, limitMs: 500 }

/**
 * Decides every command over the accounts as they stand, each seeing what the one before it left, and appends all that was accepted at once. A
 * refused command costs its neighbours nothing. A command that failed by itself has its error as outcome; throws a `Fault` when the database
 * stays away.
 */
export async function settle(ledger: Ledger, commands: Command[]): Promise<(Settled | Error)[]> {
  const accountIds = [...new Set(commands.flatMap((command) => [command.accountIdFrom, command.accountIdTo]))]
  const createdAt = ledger.clock()
  let settled: Settled[] = []
  for (let attempt = 1; ; attempt++) {
    try {
      const { accounts, appended } = await loadBook(ledger.database.sql, accountIds, idsOf(settled))
      // The statement of the last try may have been carried out although its answer was lost. Its decisions stand then: had any of their
      // accounts changed in between, the statement would have collided; had none, this try would decide the same.
      if (!appended) {
        settled = decideAll(commands, accounts, createdAt)
        await appendAll(ledger, settled, commands, createdAt.toISOString())
      }
      // After the append: a relay that is woken earlier cannot see the rows yet, and would go back to sleep.
      if (settled.some((decision) => decision.accepted)) ledger.onAppended()
      return settled
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

function decideAll(commands: Command[], accounts: Map<string, Account>, createdAt: Date): Settled[] {
  return commands.map((command) => {
    const decision = decideTransfer(command, accounts)
    if (decision.accepted) applyTransfer(accounts, decision.transfer)
    return { ...decision, createdAt }
  })
}

async function appendAll(
  { database }: Ledger,
  settled: Settled[],
  commands: Command[],
  createdAt: string,
): Promise<void> {
  const transfers = settled.flatMap((decision) => (decision.accepted ? [decision.transfer] : []))
  const outbox = settled.flatMap((decision, index) => {
    if (!decision.accepted) return []
    const traceparent = commands[index]?.traceparent ?? null
    return announceTransfer(decision.transfer, createdAt).map((event) => ({ ...event, traceparent }))
  })
  await append(database.sql, { transfers, outbox, createdAt })
}

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

const idsOf = (settled: Settled[]): string[] =>
  settled.flatMap((decision) => (decision.accepted ? [decision.transfer.transactionId] : []))
