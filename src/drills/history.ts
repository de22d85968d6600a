/** What was scraped of a few services, as a Prometheus would keep it: some minutes of it. */
import type { Series } from './exposition'

export type Labels = Readonly<Record<string, string>>
export type Point = { atMs: number; value: number }
/** The same for the same labels, in any order. */
export const keyOf = (labels: Labels): string =>
  JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))

type Stored = { labels: Labels; target: string; points: Point[] }

/** As long as the longest range of a rule, and some. */
const keptMs = 15 * 60_000

export class History {
  readonly #series = new Map<string, Stored>()
  /** When each target was scraped last, with or without an answer. */
  readonly #scraped = new Map<string, number>()
  #nowMs = 0

  /** `page` is null where the target did not answer: its series are stale then, as with Prometheus. */
  add(atMs: number, target: Labels & { instance: string }, page: readonly Series[] | null): void {
    this.#nowMs = atMs
    this.#scraped.set(target.instance, atMs)
    const up = { name: 'up', labels: {}, value: page ? 1 : 0 }
    for (const { name, labels, value } of [...(page ?? []), up]) {
      const all = { __name__: name, ...labels, ...target }
      const key = keyOf(all)
      const stored = this.#series.get(key) ?? { labels: all, target: target.instance, points: [] }
      stored.points = [...stored.points.filter((point) => point.atMs > atMs - keptMs), { atMs, value }]
      this.#series.set(key, stored)
    }
  }

  /** A target that is gone for good. */
  forget(instance: string): void {
    for (const [key, { target }] of this.#series) if (target === instance) this.#series.delete(key)
    this.#scraped.delete(instance)
  }

  /** The newest value of each series that its target still shows. */
  now(isSelected: (labels: Labels) => boolean): { labels: Labels; value: number }[] {
    return this.#selected(isSelected).flatMap(({ labels, target, points }) => {
      const last = points.at(-1)
      return last && last.atMs === this.#scraped.get(target) ? { labels, value: last.value } : []
    })
  }

  /** The points of the last `rangeMs`. */
  since(isSelected: (labels: Labels) => boolean, rangeMs: number) {
    const [startMs, endMs] = [this.#nowMs - rangeMs, this.#nowMs]
    return this.#selected(isSelected).map(({ labels, points }) => ({
      ...{ labels, startMs, endMs },
      points: points.filter(({ atMs }) => atMs > startMs),
    }))
  }

  #selected(isSelected: (labels: Labels) => boolean): Stored[] {
    return [...this.#series.values()].filter(({ labels }) => isSelected(labels))
  }
}
