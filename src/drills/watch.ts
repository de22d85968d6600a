/** Scrapes the services and evaluates the rules, as Prometheus would. */
import { pause } from '../platform/process/retry'
import { ask, KeyRefused, type Service } from './ask'
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
  readonly #targets: Set<Service>

  constructor(targets: readonly Service[]) {
    this.#targets = new Set(targets)
  }

  add(target: Service): void {
    this.#targets.add(target)
  }

  remove(target: Service): void {
    this.#targets.delete(target)
    this.#history.forget(instanceOf(target))
  }

  /** Throws `KeyRefused` where a service wants another API key. */
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

const instanceOf = ({ url }: Service): string => new URL(url).host

/** Null without an answer. */
async function scrape(target: Service, signal: AbortSignal): Promise<Series[] | null> {
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(scrapeTimeoutMs)])
  const answer = await ask(target, '/metrics', 'metrics', { signal: timeout }).catch((error) => {
    if (error instanceof KeyRefused) throw error
    return null
  })
  const text = await answer?.text().catch(() => '')
  return answer?.ok && text ? parseText(text).series : null
}
