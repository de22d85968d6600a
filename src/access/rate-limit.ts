/** Token buckets: how many requests a key, or an address without one, may send. */

/** After a request was counted, or refused. */
export type Quota = {
  isWithin: boolean
  /** Requests that may follow at once. */
  remaining: number
  /** Whole seconds until there is one more. 0 for a full bucket. */
  moreInS: number
}

/** A bucket holds the requests of so many seconds. */
export const burstSeconds = 2

/** What a request costs in a unit in which a bucket fills by the rate in each millisecond. */
const cost = 1000

/**
 * A bucket for each name, full at first. Memory is bounded: of too many, those that were used longest ago
 * are dropped, and are full when their names come again.
 */
export class TokenBuckets {
  readonly #perSecond: number
  readonly #bucketsMax: number
  readonly #now: () => number
  /** By name, the time at which it is full, times the rate. */
  #recent = new Map<string, number>()
  /** Dropped as a whole: a map from which the first is deleted again and again takes ever longer. */
  #former: Map<string, number> = new Map()

  /** `now`: whole milliseconds of a clock that only goes forward. */
  constructor(perSecond: number, { bucketsMax = 10_000, now = elapsedMs } = {}) {
    this.#perSecond = perSecond
    this.#bucketsMax = bucketsMax
    this.#now = now
  }

  get size(): number {
    return new Set([...this.#recent.keys(), ...this.#former.keys()]).size
  }

  get burst(): number {
    return burstSeconds * this.#perSecond
  }

  take(name: string): Quota {
    const now = this.#now() * this.#perSecond
    const missing = Math.max(0, (this.#recent.get(name) ?? this.#former.get(name) ?? 0) - now)
    const capacity = this.burst * cost
    const isWithin = missing + cost <= capacity
    const left = capacity - missing - (isWithin ? cost : 0)
    this.#recent.set(name, now + capacity - left)
    if (this.#recent.size >= this.#bucketsMax / 2) this.#turn()
    const toNext = left === capacity ? 0 : cost - (left % cost)
    return {
      isWithin,
      remaining: Math.floor(left / cost),
      moreInS: Math.ceil(toNext / this.#perSecond / 1000),
    }
  }

  #turn(): void {
    this.#former = this.#recent
    this.#recent = new Map()
  }
}

const elapsedMs = (): number => Math.floor(performance.now())

/**
 * The addresses that share a bucket: an IPv4 address, or 64 bits of an IPv6 address, since a single
 * caller may have all addresses behind them.
 */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  if (!address.includes(':')) return address
  const [head = '', tail] = address.toLowerCase().replace(/%.*$/, '').split('::')
  const groups = head === '' ? [] : head.split(':')
  const behind = tail ? tail.split(':').length : 0
  if (tail !== undefined)
    groups.push(...Array(Math.max(0, 8 - groups.length - behind)).fill('0'), ...tail.split(':'))
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}
