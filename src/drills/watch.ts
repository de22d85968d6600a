/** Scrapes the services and evaluates the rules, as Prometheus would. */
import { SetupError } from '../platform/fault'
import { pause } from '../platform/process/retry'
import { parseText, type Series } from './exposition'
import { History } from './history'
import { evaluate } from './promql'
import type { Rule } from './rules'

/** How long a service may take to answer a scrape, in milliseconds. */
const scrapeTimeoutMs = 5000

/** The job of all, as in docs/metrics.md. */
const job = 'saldo'

export class Watch {
  readonly #history = new History()
  /** Addresses without a path. */
  readonly #targets: Set<string>

  constructor(targets: readonly string[]) {
    this.#targets = new Set(targets)
  }

  add(target: string): void {
    this.#targets.add(target)
  }

  remove(target: string): void {
    this.#targets.delete(target)
    this.#history.forget(instanceOf(target))
  }

  /** Throws `SetupError` where a service wants an API key. */
  async scrape(signal: AbortSignal): Promise<void> {
    const targets = [...this.#targets]
    const pages = await Promise.all(targets.map((target) => scrape(target, signal)))
    const atMs = Date.now()
    for (const [index, target] of targets.entries())
      if (this.#targets.has(target))
        this.#history.add(atMs, { job, instance: instanceOf(target) }, pages[index] ?? null)
  }

  isTrue = ({ expr }: Rule): boolean => evaluate(expr, this.#history).length > 0

  /**
   * Scrapes every `everyMs` until the rule is true, or false. Returns the seconds that it took, undefined
   * after `limitMs` or once the signal is aborted.
   */
  async until(
    rule: Rule,
    isWanted: boolean,
    { everyMs, limitMs, signal }: { everyMs: number; limitMs: number; signal: AbortSignal },
  ): Promise<number | undefined> {
    const startedMs = performance.now()
    while (!signal.aborted) {
      await this.scrape(signal)
      const tookMs = performance.now() - startedMs
      if (tookMs > limitMs) return undefined
      if (this.isTrue(rule) === isWanted) return tookMs / 1000
      await pause(everyMs, signal)
    }
    return undefined
  }
}

const instanceOf = (target: string): string => new URL(target).host

/** Null without an answer. */
async function scrape(target: string, signal: AbortSignal): Promise<Series[] | null> {
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(scrapeTimeoutMs)])
  const answer = await fetch(`${target}/metrics`, { signal: timeout }).catch(() => null)
  const text = await answer?.text().catch(() => '')
  if (answer?.status === 401)
    throw new SetupError(`${target} wants an API key: drills are for npm start without keys.`)
  return answer?.ok && text ? parseText(text).series : null
}
