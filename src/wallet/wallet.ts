/** What the verbs of the wallet work with. Put together by `start`. */
import type { Database } from '../platform/database'
import type { Batch } from './batch'
import type { Relay } from './relay'
import type { Command, Settled } from './settle'

export type Wallet = {
  database: Database
  transfers: Batch<Command, Settled>
  relay: Pick<Relay, 'wake'>
  clock: () => Date
}
