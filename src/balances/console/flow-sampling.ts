/** Which of the applied records are shown, and what is said of all of them. Pure. */

/** So many a second, and as many at once after a while without any. */
export class Budget {
  #left: number
  #atMs = Number.NEGATIVE_INFINITY

  constructor(readonly perSecond: number) {
    this.#left = perSecond
  }

  /** At most `wanted`, and whole ones. */
  take(wanted: number, nowMs: number): number {
    const earned = Math.max(0, nowMs - this.#atMs) * (this.perSecond / 1000)
    this.#left = Math.min(this.perSecond, this.#left + earned)
    this.#atMs = nowMs
    const taken = Math.min(wanted, Math.floor(this.#left))
    this.#left -= taken
    return taken
  }
}

/** The newest of each group, of one group after the other, until there are `count`. In their order. */
export function chooseNewest<T>(items: readonly T[], count: number, groupOf: (item: T) => string): T[] {
  if (items.length <= count) return [...items]
  if (count === 0) return []
  const groups = [...Map.groupBy(items.keys(), (index) => groupOf(items[index] as T)).values()]
  const chosen: number[] = []
  for (let round = 1; chosen.length < count; round++)
    for (const group of groups) {
      const index = group.at(-round)
      if (index !== undefined && chosen.length < count) chosen.push(index)
    }
  return chosen.sort((one, other) => one - other).map((index) => items[index] as T)
}

/** Of values in any order; undefined where there is none. */
export function quantilesOf(values: readonly number[]): { p50: number; p99: number } | null {
  if (values.length === 0) return null
  const sorted = values.toSorted((one, other) => one - other)
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] as number
  return { p50: at(0.5), p99: at(0.99) }
}

/** The newest events of a stream, by number. Older ones are gone. */
export class EventRing<T> {
  #events: T[] = []
  /** The number of the first that is kept. */
  #first = 1

  constructor(readonly sizeMax: number) {}

  /** The number of the newest; 0 before the first. */
  get last(): number {
    return this.#first + this.#events.length - 1
  }

  /** Answers its number. */
  push(event: T): number {
    this.#events.push(event)
    // A half at a time, which costs less than one by one.
    if (this.#events.length > 2 * this.sizeMax) {
      this.#events = this.#events.slice(-this.sizeMax)
      this.#first = this.#first + this.sizeMax + 1
    }
    return this.last
  }

  /** Those after a number. Undefined where some of them are gone, or where it was never given out. */
  after(number: number): T[] | undefined {
    if (number > this.last || number < this.#first - 1) return undefined
    return this.#events.slice(number - this.#first + 1)
  }
}
