/** All that commands are decided over, and how each leaves it to the next. Pure. */
import type { Account } from './account'
import {
  type CaptureHold,
  decideCapture,
  decideHold,
  decideRelease,
  type Hold,
  type PlaceHold,
  type ReleaseHold,
} from './hold'
import { type Decision, type Fact, reject, type Transaction } from './movement'
import type { Rejection } from './rejection'
import { decideReversal, type Original, type ReverseTransaction } from './reversal'
import { decideTransfer, type TransferMoney } from './transfer'

export type Command = TransferMoney | ReverseTransaction | PlaceHold | CaptureHold | ReleaseHold

export type Book = {
  /** The accounts as they stand. Ids that do not exist are absent, in all three. */
  accounts: Map<string, Account>
  holds: Map<string, Hold>
  /** Transactions that are to be reversed. */
  originals: Map<string, Original>
  /**
   * What commands led to that were carried out before, though nobody heard of it. By the id of the
   * command.
   */
  done: ReadonlyMap<string, CommandResult>
}

/** What a caller is told of a command. */
export type CommandResult =
  | { kind: 'transaction'; transaction: Transaction }
  | { kind: 'hold'; hold: Hold }
  | { kind: 'rejected'; rejection: Rejection }

export const emptyBook = (accounts: Map<string, Account> = new Map()): Book => ({
  accounts,
  holds: new Map(),
  originals: new Map(),
  done: new Map(),
})

/**
 * Asserts that what a command refers to is in the book: who asks for it has looked it up, and
 * neither holds nor transactions go away.
 */
export function decide(command: Command, { accounts, holds, originals }: Book, at: Date): Decision {
  if (command.type === 'transfer') return decideTransfer(command, accounts, at)
  if (command.type === 'hold') return decideHold(command, accounts, at)

  const [from, to] = [accounts.get(command.accountIdFrom), accounts.get(command.accountIdTo)]
  if (!from || !to) throw new Error(`the accounts of ${command.type} ${command.id} are missing`)
  if (command.type === 'reversal') {
    const original = originals.get(command.reverses)
    if (!original) throw new Error(`transaction ${command.reverses} is missing`)
    return decideReversal(command, original, { from, to }, at)
  }
  const hold = holds.get(command.holdId)
  if (!hold) throw new Error(`hold ${command.holdId} is missing`)
  if (command.type === 'capture') return decideCapture(command, hold, { from, to }, at)
  return decideRelease(command, hold, { from, to }, at)
}

/** The book after the fact. The next command is decided over it. Answers how to take it back. */
export function applyFact(book: Book, { from, to, hold, transaction }: Fact): () => void {
  const undo = [put(book.accounts, from.id, from), put(book.accounts, to.id, to)]
  if (hold) undo.push(put(book.holds, hold.id, hold))
  const original = transaction?.reverses ? book.originals.get(transaction.reverses) : undefined
  if (transaction && original) {
    const reversedMinor = original.reversedMinor + transaction.amountMinor
    undo.push(put(book.originals, original.transaction.id, { ...original, reversedMinor }))
  }
  return () => {
    for (const takeBack of undo) takeBack()
  }
}

function put<T>(map: Map<string, T>, id: string, value: T): () => void {
  const before = map.get(id)
  map.set(id, value)
  return () => void (before === undefined ? map.delete(id) : map.set(id, before))
}

/**
 * Decides commands one after the other, each over what the one before it left. Of those that are
 * `atomic` all are accepted, or none is.
 */
export function decideAll(
  { commands, atomic }: { commands: Command[]; atomic: boolean },
  book: Book,
  at: Date,
): { results: CommandResult[]; facts: Fact[] } {
  const results: CommandResult[] = []
  const facts: Fact[] = []
  const undo: (() => void)[] = []
  for (const [index, command] of commands.entries()) {
    const done = book.done.get(command.id)
    if (done) {
      results.push(done)
      continue
    }
    const decision = decide(command, book, at)
    if (decision.accepted) {
      undo.push(applyFact(book, decision.fact))
      facts.push(decision.fact)
      results.push(resultOf(decision.fact))
    } else if (atomic && commands.length > 1) {
      for (const takeBack of undo.toReversed()) takeBack()
      return {
        results: commands.map((_, other) => rejected(other === index ? decision : refusedBatch)),
        facts: [],
      }
    } else results.push(rejected(decision))
  }
  return { results, facts }
}

const refusedBatch = reject('batch_refused')
const rejected = ({ rejection }: { rejection: Rejection }): CommandResult => ({ kind: 'rejected', rejection })

/** Of a capture, too, the transaction is what is told. */
const resultOf = (fact: Fact): CommandResult =>
  fact.transaction
    ? { kind: 'transaction', transaction: fact.transaction }
    : { kind: 'hold', hold: fact.hold }
