/** The stuck states, and how each is caused from outside. */
import type { Environment } from '../config/config'
import { eva } from '../config/local'
import { pause } from '../platform/process/retry'
import type { Service } from './ask'
import { redriveNew } from './dead-letters'
import { Freezer } from './freeze'
import type { LocalStack } from './local-stack'
import { startReplica } from './replica'
import { lockTable, rejectEntries, takeLead, withBackends } from './sessions-store'
import type { Traffic } from './traffic'

export type Stage = {
  stack: LocalStack
  traffic: Traffic
  env: Environment
  /** Undoes what was caused, the last first. */
  undo: AsyncDisposableStack
  /** Another service to scrape, until it is undone. */
  show(replica: Service): void
  signal: AbortSignal
}

export type Drill = {
  /** That has to become true. */
  alert: string
  /** What it does, as a sentence for an operator. */
  does: string
  undoes: string
  /** Transfers go on meanwhile. */
  hasTraffic?: true
  cause(stage: Stage): Promise<void>
}

/** How long a slow database does nothing, and then all that waits for it, in milliseconds. */
const [frozenMs, thawedMs] = [2500, 100]
/** Far ahead, in milliseconds. */
const aheadMs = 60_000
/** A disk of a megabyte, with what fills it, and what is left for the log of a kernel. */
const smallDisk = `
mount -t tmpfs -o size=1m tmpfs "$folder" &&
head -c 980000 /dev/zero > "$folder/almost-full" && exec "$@"`

const shiftedDate = `
const Real = Date
globalThis.Date = class extends Real {
  constructor(...args) { args.length === 0 ? super(Real.now() + ${aheadMs}) : super(...args) }
  static now() { return Real.now() + ${aheadMs} }
}`

export const drills: Readonly<Record<string, Drill>> = {
  'broker-stopped': {
    alert: 'SaldoEventsNotPublished',
    does: 'stops the process of the broker (SIGSTOP)',
    undoes: 'lets it go on (SIGCONT)',
    hasTraffic: true,
    async cause({ stack, undo }) {
      await undo.use(new Freezer()).freeze([stack.brokerPid])
    },
  },
  'projection-paused': {
    alert: 'SaldoRecordsNotApplied',
    does: 'locks the entries of the read model against writes, as a forgotten transaction does',
    undoes: 'ends the transaction',
    hasTraffic: true,
    async cause({ stack, undo }) {
      undo.use(await lockTable(stack.ownerUrl('balances'), 'entries'))
    },
  },
  'reaction-paused': {
    alert: 'SaldoLargeMovementsNotRecorded',
    does: 'locks the positions of the reaction to large movements against writes',
    undoes: 'ends the transaction',
    hasTraffic: true,
    async cause({ stack, undo }) {
      undo.use(await lockTable(stack.ownerUrl('balances'), 'reaction_last_records'))
    },
  },
  'poison-record': {
    alert: 'SaldoDeadLetters',
    does: 'adds a constraint that rejects entries of one account, and makes a transfer of it',
    undoes: 'drops the constraint and redrives the dead letters; their copies stay in the .dlq topics',
    async cause({ stack, traffic, undo }) {
      undo.use(await redriveNew(stack.balances))
      const url = stack.ownerUrl('balances')
      undo.use(await rejectEntries(url, { accountId: eva, seconds: 180 }))
      await traffic.transfer()
    },
  },
  'relay-without-leader': {
    alert: 'SaldoRelayWithoutLeader',
    does: 'ends the database session of the relay and takes the lock of the leader',
    undoes: 'gives the lock back',
    hasTraffic: true,
    async cause({ stack, undo }) {
      undo.use(await takeLead(stack.serviceUrl('wallet')))
    },
  },
  'outbox-full': {
    alert: 'SaldoOutboxFilling',
    does: 'stops the process of the broker (SIGSTOP) and makes 3,000 transfers, of two events each',
    undoes: 'lets the broker go on (SIGCONT)',
    async cause({ stack, traffic, undo }) {
      await undo.use(new Freezer()).freeze([stack.brokerPid])
      for (let batches = 0; batches < 3; batches++) await traffic.batch(1000)
    },
  },
  'database-slow': {
    alert: 'SaldoDatabaseSlow',
    does: `stops the wallet's processes of PostgreSQL for ${frozenMs / 1000} s, again and again (SIGSTOP)`,
    undoes: 'lets them go on',
    hasTraffic: true,
    async cause({ stack, undo }) {
      const freezer = undo.use(new Freezer())
      const stopping = new AbortController()
      const freeze = async (pids: number[]) => {
        await freezer.freeze(pids)
        await pause(frozenMs, stopping.signal)
        freezer.wake()
        await pause(thawedMs, stopping.signal)
      }
      const running = withBackends(stack.serviceUrl('wallet'), freeze, stopping.signal)
      // It is thrown at the end.
      running.catch(() => {})
      undo.defer(async () => {
        stopping.abort()
        await running
      })
    },
  },
  'disk-almost-full': {
    alert: 'SaldoDiskAlmostFull',
    does: 'starts a second wallet that watches a disk of 1 MB in memory, 94 % of it used (Linux)',
    undoes: 'stops it',
    async cause({ stack, env, undo, show, signal }) {
      const replica = undo.use(await startReplica(stack, { prepare: smallDisk }, { env, signal }))
      show(replica)
    },
  },
  'clock-off': {
    alert: 'SaldoClockOff',
    does: `starts a second wallet whose clock is ${aheadMs / 1000} s ahead`,
    undoes: 'stops it',
    async cause({ stack, env, undo, show, signal }) {
      const replica = undo.use(await startReplica(stack, { preload: shiftedDate }, { env, signal }))
      show(replica)
    },
  },
}
