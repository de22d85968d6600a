/** How long a partition may go without a request before it counts as unwatched, in milliseconds. */
const gapMaxMs = 100

type Answer = { requestedAtMs: number; answeredAtMs: number; isError: boolean }

/**
 * Since when partitions are watched: each was answered for without an error and asked for again within
 * `gapMaxMs`. All that was fetched of one since then is of the same log, because a broker ends a waiting
 * fetch with an error when its topic is deleted. Offsets do not show that: the library goes on from where it
 * was once there is a topic of that name again.
 */
export class PartitionWatch {
  readonly #watched = new Map<string, { sinceMs: number; answeredAtMs: number }>()

  /** Notes an answer, and returns since when its partition is watched. Times are of `performance.now`. */
  note(partition: string, { requestedAtMs, answeredAtMs, isError }: Answer): number {
    if (isError) {
      this.#watched.delete(partition)
      return answeredAtMs
    }
    const before = this.#watched.get(partition)
    const goesOn = before !== undefined && requestedAtMs - before.answeredAtMs <= gapMaxMs
    const sinceMs = goesOn ? before.sinceMs : requestedAtMs
    this.#watched.set(partition, { sinceMs, answeredAtMs })
    return sinceMs
  }
}
