/** What the ledger and the capabilities around it work with. Created by the service. */
import type { Database } from '../../platform/postgres/database'
import type { Log } from '../../platform/telemetry/log'
import type { Tracing } from '../../platform/telemetry/spans'
import type { PendingAppend } from '../outbox/outbox-store'
import type { Wait } from '../outbox/waiting'
import type { Clock } from './clock'
import type { CommitQueue } from './commit-queue'
import type { CommandRequest, RequestResult } from './decide-request'
import type { OptimisticState } from './optimistic-state'
import type { Previews } from './preview'

/** The one writer of a process. */
export type Ledger = {
  /** A single connection, so statements execute in the order in which they are sent. */
  database: Database
  log: Log
  clock: Clock
  /** With the events, unless the outbox does not have them as they are. */
  onAppended: (append: PendingAppend | undefined) => void
  optimistic: OptimisticState
  tracing?: Tracing | undefined
  /** Notified when the database cannot write, and when it can. */
  health?: { failed(requests: CommandRequest[], error: unknown): void; succeeded(): void }
}

export type Wallet = {
  database: Database
  commitQueue: CommitQueue<CommandRequest, RequestResult>
  /** What a request would lead to. */
  preview: Previews
  /** What events wait for that are not published yet. */
  waiting: () => Promise<Wait>
  /**
   * Idempotency keys of requests that this process is executing, and since when, on the clock of
   * `performance.now`. Those of other processes collide in the database.
   */
  keysInProgress: Map<string, number>
  /** The database's time, by which everything is dated and expires. */
  clock: () => Date
  /** Of the ledger. */
  epoch: () => number
}
