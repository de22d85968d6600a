/** Decides commands one after the other, each over the state that the one before it left. Pure. */
import { type Account, worldIdOf } from './account'
import { decideOverdraft, decideStatus, type SetOverdraft, type SetStatus } from './change'
import {
  decideErasure,
  decideOpening,
  decideRegistration,
  decideUpdate,
  type EraseClient,
  type OpenAccount,
  type RegisterClient,
  type UpdateClient,
} from './creation'
import {
  type CaptureHold,
  decideCapture,
  decideExtension,
  decideHold,
  decideRelease,
  type ExtendHold,
  type PlaceHold,
  type ReleaseHold,
} from './hold'
import { decidePostings, type PostMoney } from './postings'
import type { Rejection } from './rejection'
import { decideReversal, type Original, type ReverseTransaction } from './reversal'
import { decideTransfer, type TransferMoney } from './transfer'
import { type Client, type Decision, type Fact, type Hold, type Legs, type Rejected, reject } from './types'

export type Command =
  | RegisterClient
  | UpdateClient
  | EraseClient
  | OpenAccount
  | SetStatus
  | SetOverdraft
  | TransferMoney
  | PostMoney
  | ReverseTransaction
  | PlaceHold
  | CaptureHold
  | ExtendHold
  | ReleaseHold

/** The loaded state that commands refer to. Ids that do not exist are absent. */
export type Book = {
  clients: Map<string, Client>
  accounts: Map<string, Account>
  holds: Map<string, Hold>
  /** Transactions to be reversed. */
  originals: Map<string, Original>
  /** By command id: results of commands that an earlier try executed without learning of it. */
  done: ReadonlyMap<string, CommandResult>
}

/** The ids of all that `decide` reads for a command. */
export type Reads = { [Part in 'clients' | 'accounts' | 'holds' | 'originals']?: string[] }

export function readsOf(command: Command): Reads {
  if (command.type === 'registration') return {}
  if (command.type === 'update' || command.type === 'erasure') return { clients: [command.clientId] }
  if (command.type === 'status' || command.type === 'overdraft')
    return { accounts: [command.accountId, worldIdOf(command.currency)] }
  if (command.type === 'opening')
    return { clients: [command.clientId], accounts: [worldIdOf(command.currency)] }
  if (command.type === 'postings')
    return { accounts: command.postings.flatMap((leg) => [leg.accountIdFrom, leg.accountIdTo]) }
  const accounts = [command.accountIdFrom, command.accountIdTo]
  if ('holdId' in command) return { accounts, holds: [command.holdId] }
  if (command.type !== 'reversal') return { accounts }
  return { accounts: [...accounts, ...(command.otherAccountIds ?? [])], originals: [command.reverses] }
}

/** How much work a command is, in movements between two accounts. */
export const sizeOf = (command: Command): number => Math.max(1, (readsOf(command).accounts?.length ?? 0) / 2)

export type CommandResult =
  | { kind: 'client'; client: Client }
  | { kind: 'account'; account: Account }
  | { kind: 'transaction'; legs: Legs }
  | { kind: 'hold'; hold: Hold }
  /** `leg`: the one that cannot be executed. */
  | { kind: 'rejected'; rejection: Rejection; leg?: number }

export const emptyBook = (accounts: Map<string, Account> = new Map()): Book => ({
  clients: new Map(),
  accounts,
  holds: new Map(),
  originals: new Map(),
  done: new Map(),
})

/** Throws when the hold or transaction of a command is not in the book: callers have looked it up. */
export function decide(command: Command, book: Book, at: Date): Decision<Fact> {
  const { accounts, holds, originals } = book
  if (command.type === 'registration') return decideRegistration(command, at)
  if (command.type === 'update') return decideUpdate(command, book.clients, at)
  if (command.type === 'erasure') return decideErasure(command, book.clients, at)
  if (command.type === 'status') return decideStatus(command, accounts, at)
  if (command.type === 'overdraft') return decideOverdraft(command, accounts, at)
  if (command.type === 'opening') return decideOpening(command, book, at)
  if (command.type === 'transfer') return decideTransfer(command, accounts, at)
  if (command.type === 'postings') return decidePostings(command, accounts, at)
  if (command.type === 'hold') return decideHold(command, accounts, at)

  if (command.type === 'reversal') {
    const original = originals.get(command.reverses)
    if (!original) throw new Error(`missing transaction ${command.reverses}`)
    return decideReversal(command, original, accounts, at)
  }
  const [from, to] = [accounts.get(command.accountIdFrom), accounts.get(command.accountIdTo)]
  if (!from || !to) throw new Error(`missing accounts of ${command.type} ${command.id}`)
  const hold = holds.get(command.holdId)
  if (!hold) throw new Error(`missing hold ${command.holdId}`)
  if (command.type === 'capture') return decideCapture(command, hold, { from, to }, at)
  if (command.type === 'extension') return decideExtension(command, hold, { from, to }, at)
  return decideRelease(command, hold, { from, to }, at)
}

/** Updates the book for the next command. Returns how to undo that. */
export function applyFact(book: Book, fact: Fact): () => void {
  if ('client' in fact) return put(book.clients, fact.client.id, fact.client)
  const accounts = fact.type === 'opening' ? fact.accounts : [fact.from, fact.to]
  const undo = accounts.map((account) => put(book.accounts, account.id, account))
  const { hold, transaction } = fact.type === 'opening' ? {} : fact
  if (hold) undo.push(put(book.holds, hold.id, hold))
  const original = transaction?.reverses ? book.originals.get(transaction.reverses) : undefined
  if (transaction && original) {
    const reversedMinor = original.reversedMinor + transaction.amountMinor
    undo.push(put(book.originals, transaction.reverses as string, { ...original, reversedMinor }))
  }
  return () => {
    for (const revert of undo) revert()
  }
}

function put<T>(map: Map<string, T>, id: string, value: T): () => void {
  const before = map.get(id)
  map.set(id, value)
  return () => void (before === undefined ? map.delete(id) : map.set(id, before))
}

/** With `atomic`, all commands are accepted or none is. */
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
      for (const fact of decision.facts) undo.push(applyFact(book, fact))
      facts.push(...decision.facts)
      results.push(resultOf(command, decision.facts, book))
    } else if (atomic && commands.length > 1) {
      for (const revert of undo.toReversed()) revert()
      return {
        results: commands.map((_, other) => rejected(other === index ? decision : refusedBatch)),
        facts: [],
      }
    } else results.push(rejected(decision))
  }
  return { results, facts }
}

const refusedBatch = reject('batch_refused')
const rejected = ({ accepted: _, ...rejection }: Rejected): CommandResult => ({
  kind: 'rejected',
  ...rejection,
})

/** The result of a capture is its transaction, that of a command that changed nothing what it is about. */
function resultOf(command: Command, [fact]: Fact[], book: Book): CommandResult {
  if (!fact) return unchanged(command, book)
  if ('client' in fact) return { kind: 'client', client: fact.client }
  if (fact.type === 'change') return { kind: 'account', account: fact.from }
  if (fact.type === 'opening') return { kind: 'account', account: fact.accounts.at(-1) as Account }
  if (fact.type === 'leg' && fact.whole) return { kind: 'transaction', legs: fact.whole }
  if (fact.transaction) return { kind: 'transaction', legs: [fact.transaction] }
  return { kind: 'hold', hold: fact.hold }
}

function unchanged(command: Command, { accounts, clients, holds }: Book): CommandResult {
  const account = 'accountId' in command ? accounts.get(command.accountId) : undefined
  if (account) return { kind: 'account', account }
  const hold = 'holdId' in command ? holds.get(command.holdId) : undefined
  if (hold) return { kind: 'hold', hold }
  const client = 'clientId' in command ? clients.get(command.clientId) : undefined
  if (client) return { kind: 'client', client }
  throw new Error(`nothing came of ${command.type} ${command.id}`)
}
