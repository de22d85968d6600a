/** Queries the writer's connection every second: sets the clock, and detects that it cannot write. */
import { messageOf } from '../../platform/fault'
import { databaseFailure } from '../../platform/postgres/failures'
import { pause } from '../../platform/process/retry'
import type { Check, Part } from '../../platform/process/service'
import type { CommandRequest } from './decide-request'
import { dryRun } from './execute'
import type { Ledger } from './ledger'
import { observeReading } from './optimistic-state'
import { readClock } from './store/clock'

/** Ready with the first answer: nothing may be dated before the database's time is known. */
export type Heartbeat = Part & {
  health(): Check
  /** The database could not write these requests. They are dry-run until it can. */
  failed(requests: CommandRequest[], error: unknown): void
  succeeded(): void
}

const intervalMs = 1000
const retryMs = 200
/** A writer that has not answered for longer is unhealthy. */
const silenceMaxMs = 3000

export function createHeartbeat(ledger: Ledger): Heartbeat {
  const first = Promise.withResolvers<void>()
  /** When the pending query was sent. */
  let sentMs: number | undefined
  let trouble: string | undefined = 'no answer yet'
  let unwritable: { requests: CommandRequest[]; output: string } | undefined

  const beat = async () => {
    sentMs = performance.now()
    try {
      observeReading(ledger, await readClock(ledger.database.sql))
      trouble = undefined
      first.resolve()
      if (unwritable) await retry(unwritable.requests)
    } catch (error) {
      trouble = messageOf(error)
    }
    sentMs = undefined
  }
  const retry = async (requests: CommandRequest[]) => {
    try {
      await dryRun(ledger, requests)
      unwritable = undefined
    } catch (error) {
      const failure = databaseFailure(error)
      if (failure === 'unavailable') unwritable = { requests, output: messageOf(error) }
      else if (failure === 'connection_lost') throw error
      else unwritable = undefined
    }
  }

  return {
    name: 'writer',
    ready: () => first.promise,
    async run(signal) {
      while (!signal.aborted) {
        await beat()
        await pause(trouble === undefined ? intervalMs : retryMs, signal)
      }
    },
    health() {
      if (trouble !== undefined) return { status: 'fail', output: trouble }
      const silentMs = sentMs === undefined ? 0 : performance.now() - sentMs
      if (silentMs > silenceMaxMs)
        return {
          status: 'fail',
          output: `no answer from the database for ${Math.round(silentMs / 1000)} s`,
        }
      if (unwritable) return { status: 'fail', output: `database rejects writes: ${unwritable.output}` }
      return { status: 'pass' }
    },
    failed(requests, error) {
      if (!unwritable) ledger.log.error({}, `database rejects writes: ${messageOf(error)}`)
      unwritable = { requests, output: messageOf(error) }
    },
    succeeded() {
      unwritable = undefined
    },
  }
}
