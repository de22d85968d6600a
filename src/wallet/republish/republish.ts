/**
 * Republishes events from the ledger, through the outbox and the running relay. Ids, times, versions
 * and amounts equal those of the first publication, so consumers that have an event ignore it. Safe
 * to interrupt and run again.
 */
import type { EncodedEvent } from '../../contract/wire/envelope'
import type { Database } from '../../platform/postgres/database'
import type { ProgressBar } from '../../platform/process/progress-bar'
import { pause } from '../../platform/process/retry'
import { accountToEvent, clientToEvent, personalDataToEvent, toEvents } from '../events'
import { enqueueReplay, measureOutbox } from '../outbox/outbox-store'
import { type EntryRange, loadFacts, type ReleasedHolds } from './facts-store'
import { type AccountFilter, accountPages, clientPages, type PastClient } from './pages-store'

/** Clients, accounts or entries in a page. An entry makes two events. */
const pageSize = 1000
/** Nothing is added to a longer outbox, so that new events are not delayed much. */
const pendingMax = 1000
const pollMs = 20

/** Runs until everything is in the outbox, or the signal is aborted. Returns the number of events. */
export async function republishAll(
  database: Database,
  filter: AccountFilter,
  progress: Pick<ProgressBar, 'add'>,
  signal: AbortSignal,
): Promise<number> {
  let count = 0
  for await (const { events, entries } of eventPages(database, filter)) {
    for (;;) {
      const { pending } = await measureOutbox(database.sql)
      if (pending <= pendingMax) break
      progress.add(0, `${pending} events wait for the relay`)
      if (signal.aborted) return count
      await pause(pollMs, signal)
    }
    await enqueueReplay(database.sql, events)
    count += events.length
    progress.add(entries)
    if (signal.aborted) break
  }
  return count
}

export type EventPage = { events: EncodedEvent[]; entries: number }

/** Clients first, then per account its opening and what it paid and reserved, by version. */
export async function* eventPages(database: Database, filter: AccountFilter): AsyncGenerator<EventPage> {
  for await (const clients of clientPages(database, filter, pageSize))
    yield { events: clients.flatMap(clientToEvents), entries: 0 }

  const { accountId, since } = filter
  const releasedHolds: ReleasedHolds = new Map()
  for await (const accounts of accountPages(database, filter, pageSize)) {
    yield { events: accounts.filter(({ createdAt }) => createdAt >= since).map(accountToEvent), entries: 0 }
    for (const ranges of entryRanges(accounts, pageSize)) {
      const payer = accountId === undefined
      const facts = await loadFacts(database, ranges, { since, payer }, releasedHolds)
      const entries = ranges.reduce((sum, { after, upTo }) => sum + Number(upTo - after), 0)
      yield { events: facts.flatMap(toEvents), entries }
    }
  }
}

/** Of personal data only what it is now. */
const clientToEvents = (past: PastClient): EncodedEvent[] => [
  clientToEvent(past),
  ...(past.isNewest ? [personalDataToEvent(past)] : []),
]

/** All entries of the accounts, in order, `size` at a time: memory is bounded for any account. */
export function* entryRanges(
  accounts: { id: string; version: bigint }[],
  size: number,
): Generator<EntryRange[]> {
  let ranges: EntryRange[] = []
  let room = BigInt(size)
  for (const { id: accountId, version } of accounts) {
    for (let after = 0n; after < version; ) {
      const upTo = version - after > room ? after + room : version
      ranges.push({ accountId, after, upTo })
      room -= upTo - after
      after = upTo
      if (room > 0n) continue
      yield ranges
      ranges = []
      room = BigInt(size)
    }
  }
  if (ranges.length > 0) yield ranges
}
