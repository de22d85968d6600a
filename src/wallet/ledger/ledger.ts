/** What the verbs of the wallet work with. Put together by `start`. */
import type { Database } from '../../platform/postgres/database'
import type { Relay } from '../outbox/relay'
import type { CommitQueue } from './commit-queue'
import type { CommandRequest, RequestResult } from './execute'

export type Wallet = {
  database: Database
  commitQueue: CommitQueue<CommandRequest, RequestResult>
  /**
   * Idempotency keys of requests that this process has not answered yet. Other processes' collide
   * in the database.
   */
  keysInProgress: Set<string>
  relay: Pick<Relay, 'wake'>
  /** The database's time, in which everything is dated and expires. */
  clock: () => Date
}
