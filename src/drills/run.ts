/** Runs drills: causes a state, waits until its rule is true, undoes it, waits until the rule is false. */
import type { Environment } from '../config/config'
import { messageOf } from '../platform/fault'
import { pause } from '../platform/process/retry'
import type { Service } from './ask'
import type { Drill } from './drills'
import type { LocalStack } from './local-stack'
import type { Rule } from './rules'
import { Traffic } from './traffic'
import { Watch } from './watch'

/** How often a transfer is made, in milliseconds. */
const transferEveryMs = 500

export type Result = {
  drill: string
  alert: string
  /** Seconds from the cause until the rule was true; null where it never was. */
  found_seconds: number | null
  /** Seconds from the end of the cause until it was false again. */
  clear_seconds: number | null
  /** What went wrong. */
  fault: string | null
}

export type DrillOptions = {
  stack: LocalStack
  env: Environment
  signal: AbortSignal
  /** How long it may take until the rule is true, and until it is false, in milliseconds. */
  foundWithinMs: number
  clearWithinMs: number
  /** How often the services are scraped, in milliseconds. */
  everyMs?: number
  /** How long a rule may still be true before the drill begins, in milliseconds. */
  alreadyMs?: number
  /** How long a state is kept once it was found, in milliseconds. */
  holdMs?: number
  say(line: string): void
}

/** What was caused is undone however it ends. Throws only where it could not be begun. */
export async function runDrill(
  name: string,
  drill: Drill,
  rule: Rule,
  options: DrillOptions,
): Promise<Result> {
  const { stack, env, signal, foundWithinMs, clearWithinMs, say, ...times } = options
  const watch = new Watch([stack.wallet, stack.balances])
  const { everyMs = 1000, alreadyMs = 5000, holdMs = 0 } = times
  const every = { everyMs, signal }
  const result: Result = {
    drill: name,
    alert: rule.alert,
    found_seconds: null,
    clear_seconds: null,
    fault: null,
  }
  const isCalm = await watch.until(rule, false, { ...every, limitMs: alreadyMs })
  if (isCalm === undefined)
    return { ...result, fault: signal.aborted ? 'interrupted' : 'the rule is true before the drill' }

  say(`${name}: ${drill.does}. Waiting for ${rule.alert}: ${rule.expr.trim().replace(/\s+/g, ' ')}`)
  try {
    const startedMs = performance.now()
    await caused(drill, { stack, env, signal, watch }, async () => {
      const limitMs = foundWithinMs - (performance.now() - startedMs)
      const found = await watch.until(rule, true, { ...every, limitMs })
      if (found !== undefined) result.found_seconds = rounded(performance.now() - startedMs)
      else if (!signal.aborted) result.fault = `the rule was not true within ${foundWithinMs / 1000} s`
      const without = signal.aborted ? 'interrupted' : 'not found'
      const outcome = found === undefined ? without : `found after ${result.found_seconds} s`
      if (found !== undefined && holdMs > 0) {
        say(`${name}: ${outcome}; stays so for ${holdMs / 1000} s`)
        await pause(holdMs, signal)
      }
      say(`${name}: ${outcome}; ${drill.undoes}`)
    })
    const clear = await watch.until(rule, false, { ...every, limitMs: clearWithinMs })
    if (clear !== undefined && result.found_seconds !== null) result.clear_seconds = rounded(clear * 1000)
    else if (!signal.aborted)
      result.fault ??= `the rule was still true ${clearWithinMs / 1000} s after the end`
  } catch (error) {
    result.fault = messageOf(error)
  }
  if (signal.aborted) result.fault ??= 'interrupted'
  return result
}

type Setting = Pick<DrillOptions, 'stack' | 'env' | 'signal'> & { watch: Watch }

async function caused(
  drill: Drill,
  { stack, env, signal, watch }: Setting,
  work: () => Promise<void>,
): Promise<void> {
  const traffic = new Traffic(stack.wallet)
  await traffic.check()
  const stopping = new AbortController()
  const sending = drill.hasTraffic && traffic.run(transferEveryMs, AbortSignal.any([signal, stopping.signal]))
  try {
    await using undo = new AsyncDisposableStack()
    const show = (replica: Service) => {
      watch.add(replica)
      undo.defer(() => watch.remove(replica))
    }
    await drill.cause({ stack, env, traffic, undo, signal, show })
    await work()
  } finally {
    stopping.abort()
    // After the end of the cause, since a transfer may have waited for it.
    await sending
    await traffic.settle()
  }
}

const rounded = (ms: number): number => Math.round(ms / 100) / 10

export type Calm = {
  minutes: number
  transfers: { sent: number; refused: number; failed: number }
  /** Alerts that would have fired. */
  fired: string[]
  /** Rules that were true for a while, and not long enough. */
  pending: string[]
}

/** As Prometheus scrapes, and evaluates, in milliseconds. */
const calmEveryMs = 10_000

/** Loads the services lightly, and notes each rule that is true, for long enough to fire or not. */
export async function runCalm(
  rules: readonly Rule[],
  { minutes, stack, signal, say }: Pick<DrillOptions, 'stack' | 'signal' | 'say'> & { minutes: number },
): Promise<Calm> {
  const watch = new Watch([stack.wallet, stack.balances])
  const traffic = new Traffic(stack.wallet)
  await traffic.check()
  const stopping = new AbortController()
  const sending = traffic.run(transferEveryMs, AbortSignal.any([signal, stopping.signal]))
  const sinceMs = new Map<string, number>()
  const [fired, pending] = [new Set<string>(), new Set<string>()]
  const endMs = performance.now() + minutes * 60_000
  try {
    while (!signal.aborted && performance.now() < endMs) {
      await watch.scrape(signal)
      const nowMs = performance.now()
      for (const rule of rules) {
        const { alert, forMs } = rule
        if (!watch.isTrue(rule)) {
          sinceMs.delete(alert)
          continue
        }
        const since = sinceMs.get(alert) ?? nowMs
        sinceMs.set(alert, since)
        const known = nowMs - since >= forMs ? fired : pending
        if (!known.has(alert)) say(`${known === fired ? 'fires' : 'pending'}: ${alert}`)
        known.add(alert)
      }
      await pause(Math.max(0, Math.min(calmEveryMs, endMs - performance.now())), signal)
    }
  } finally {
    stopping.abort()
    await sending
    await traffic.settle()
  }
  const only = [...pending].filter((alert) => !fired.has(alert))
  return { minutes, transfers: traffic.counts(), fired: [...fired], pending: only }
}
