/**
 * Decides a request as `execute` does, over the state of now, and appends nothing. On a connection of
 * its own, which cannot write: previews wait for each other, never a payment for them.
 */
import { createConcurrencyLimit } from '../../platform/concurrency-limit'
import { Fault } from '../../platform/fault'
import { type Database, inSnapshotOf } from '../../platform/postgres/database'
import { withUnavailableFault } from '../../platform/postgres/failures'
import type { Book } from '../domain/book'
import type { Clock } from './clock'
import { type CommandRequest, decideRequest, type RequestResult } from './decide-request'
import { readClock } from './store/clock'
import { accountIdsOf, loadBook } from './store/load-book'

/** The version of an account or a client that a decision was made on. Those of holds are their accounts'. */
export type AssumedVersion = ({ accountId: string } | { clientId: string }) & { version: bigint }

export type Preview = {
  result: Exclude<RequestResult, { kind: 'key_reused' }>
  /** Of the accounts that the request names, and of a client that it changes: those that exist. */
  assumed: AssumedVersion[]
}

export type PreviewRequest = Pick<CommandRequest, 'commands' | 'atomic' | 'signal'>

/** Throws a `Fault` when it waited for longer than `waitMs`, when too many wait, or without the database. */
export type Previews = (request: PreviewRequest, waitMs?: number) => Promise<Preview>

/** Previews that may wait: about a second's work. */
const waitingMax = 500
/** How long one may wait, in milliseconds. A caller may ask for less. */
const waitMaxMs = 10_000

/** Of the connection. */
export const previewSettings = {
  poolMax: 1,
  applicationName: 'saldo-wallet-preview',
  settings: { default_transaction_read_only: 'on' },
}

/** `database` is opened with `previewSettings`. */
export function createPreviews({ database, clock }: { database: Database; clock: Clock }): Previews {
  const limited = createConcurrencyLimit({ concurrency: 1, waitingMax })
  return (request, waitMs = waitMaxMs) =>
    limited(
      async () => {
        if (request.signal?.aborted)
          throw new Fault('deadline_exceeded', 'caller disconnected while the preview was waiting')
        const book = await withUnavailableFault(load(request))
        const assumed = versionsOf(book, request)
        return { assumed, result: decide(request, book) }
      },
      { waitMs: Math.min(waitMs, waitMaxMs) },
    )

  /** Unlike an append, nothing would fail later on a state that was read in part before a change. */
  function load({ commands }: PreviewRequest): Promise<Book> {
    return inSnapshotOf(database, async () => {
      const [book, reading] = await Promise.all([
        loadBook(database, commands, false),
        readClock(database.sql, accountIdsOf(commands)),
      ])
      clock.observe(reading)
      return book
    })
  }

  /** Without its idempotency key: that stands for what is executed. */
  function decide({ commands, atomic }: PreviewRequest, book: Book): Preview['result'] {
    const request = { commands, atomic, traceparent: null, idempotencyKey: null }
    const { result } = decideRequest(request, { book, keys: new Map() }, clock.now())
    if (result.kind === 'key_reused') throw new Error('a preview has no idempotency key')
    return result
  }
}

function versionsOf({ accounts, clients }: Book, { commands }: PreviewRequest): AssumedVersion[] {
  const ofAccounts = [...accountIdsOf(commands)].map((accountId) => ({
    accountId,
    version: accounts.get(accountId)?.version,
  }))
  // An account is opened for a client of any version.
  const ofClients = commands.flatMap((one) =>
    one.type === 'update' ? { clientId: one.clientId, version: clients.get(one.clientId)?.version } : [],
  )
  return [...ofAccounts, ...ofClients].flatMap(({ version, ...of }) =>
    version === undefined ? [] : { ...of, version },
  )
}
