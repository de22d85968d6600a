/**
 * Asks the writer's connection every second: sets the clock, and knows whether the connection that
 * takes money answers.
 */

import { messageOf } from '../../platform/fault'
import { databaseFailure } from '../../platform/postgres/failures'
import { pause } from '../../platform/process/retry'
import type { Check, Part } from '../../platform/process/service'
import type { Log } from '../../platform/telemetry/log'
import type { CommandRequest } from './execute'
import type { ClockReading } from './store/clock'

/** It is ready with the first answer: nothing is dated before the database has said what time it is. */
export type Heartbeat = Part & {
  health(): Check
  /** The database could not write what these ask for. They are tried, in vain, until it can. */
  failed(requests: CommandRequest[], error: unknown): void
  succeeded(): void
}

export type HeartbeatOptions = {
  read: () => Promise<ClockReading>
  observe: (reading: ClockReading) => void
  /** Writes what these ask for, and takes it back. */
  dryRun: (requests: CommandRequest[]) => Promise<void>
  log: Log
}

const everyMs = 1000
const againMs = 200
/** A writer that owes an answer for longer takes no money, whatever the reason. In milliseconds. */
export const silenceMaxMs = 3000

export function createHeartbeat(
  { read, observe, dryRun, log }: HeartbeatOptions,
  nowMs = () => performance.now(),
): Heartbeat {
  const first = Promise.withResolvers<void>()
  /** When the answer that is waited for was asked for. */
  let askedMs: number | undefined
  let trouble: string | undefined = 'no answer yet'
  let refused: { requests: CommandRequest[]; output: string } | undefined

  const beat = async () => {
    askedMs = nowMs()
    try {
      observe(await read())
      trouble = undefined
      first.resolve()
      if (refused) await tryAgain(refused.requests)
    } catch (error) {
      trouble = messageOf(error)
    }
    askedMs = undefined
  }
  const tryAgain = async (requests: CommandRequest[]) => {
    try {
      await dryRun(requests)
      refused = undefined
    } catch (error) {
      const failure = databaseFailure(error)
      if (failure === 'unavailable') refused = { requests, output: messageOf(error) }
      else if (failure === 'connection_lost') throw error
      else refused = undefined
    }
  }

  return {
    name: 'writer',
    ready: () => first.promise,
    async run(signal) {
      while (!signal.aborted) {
        await beat()
        await pause(trouble === undefined ? everyMs : againMs, signal)
      }
    },
    health() {
      if (trouble !== undefined) return { status: 'fail', output: trouble }
      const silentMs = askedMs === undefined ? 0 : nowMs() - askedMs
      if (silentMs > silenceMaxMs)
        return {
          status: 'fail',
          output: `the database has not answered for ${Math.round(silentMs / 1000)} s`,
        }
      if (refused) return { status: 'fail', output: `the database takes no writes: ${refused.output}` }
      return { status: 'pass' }
    },
    failed(requests, error) {
      if (!refused) log.error({}, `the database takes no writes: ${messageOf(error)}`)
      refused = { requests, output: messageOf(error) }
    },
    succeeded() {
      refused = undefined
    },
  }
}
