/** Asks the writer's connection every second: sets the clock, and knows whether the connection that takes money answers. */
import { messageOf } from '../platform/fault'
import type { Check } from '../platform/http'
import { pause } from '../platform/retry'
import type { ClockReading } from './store/clock'

export type Heartbeat = {
  /** Resolves with the first answer. */
  started: Promise<void>
  check(): Check
  stop(): void
}

const everyMs = 1000
const againMs = 200
/** A writer that owes an answer for longer takes no money, whatever the reason. In milliseconds. */
export const silenceMaxMs = 3000

export function startHeartbeat(
  read: () => Promise<ClockReading>,
  hear: (reading: ClockReading) => void,
  nowMs: () => number = () => performance.now(),
): Heartbeat {
  const stopping = new AbortController()
  const first = Promise.withResolvers<void>()
  /** When the answer that is waited for was asked for. */
  let askedMs: number | undefined
  let trouble: string | undefined = 'no answer yet'

  const beat = async () => {
    askedMs = nowMs()
    try {
      hear(await read())
      trouble = undefined
      first.resolve()
    } catch (error) {
      trouble = messageOf(error)
    }
    askedMs = undefined
  }
  const run = async () => {
    while (!stopping.signal.aborted) {
      await beat()
      await pause(trouble === undefined ? everyMs : againMs, stopping.signal)
    }
  }
  void run()

  return {
    started: first.promise,
    check() {
      if (trouble !== undefined) return { status: 'fail', output: trouble }
      const silentMs = askedMs === undefined ? 0 : nowMs() - askedMs
      if (silentMs <= silenceMaxMs) return { status: 'pass' }
      return { status: 'fail', output: `the database has not answered for ${Math.round(silentMs / 1000)} s` }
    },
    stop: () => stopping.abort(),
  }
}
