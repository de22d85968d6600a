/**
 * What is remembered while somebody watches: counts of the second, and which rows of the tables are of this
 * process. Pure.
 */
import { type Candidate, decidedMs, type Lane, placeKey } from './flow-lanes'
import { quantilesOf } from './flow-sampling'
import type { Apply, DeadLetterRow } from './flow-store'

/** Of one second, and of what this process has applied and not found in the tables yet. */
const [latenciesMax, ownMax] = [10_000, 10_000]

export class FlowWatch {
  #records = 0
  #entriesElsewhere = 0
  #latencies: number[] = []
  readonly #applies = new Others<Apply>()
  readonly #deadLetters = new Others<DeadLetterRow>()
  /** The newest transaction that was found in the tables; undefined before the first look. */
  position: string | undefined
  /** The newest dead letter that was found. */
  #deadLetterId: bigint | undefined

  /** `atMs`: when they were applied. */
  count(candidates: readonly Candidate[], atMs: number): void {
    this.#records += candidates.length
    for (const candidate of candidates) {
      const decided = candidate.outcome === 'applied' ? decidedMs(candidate) : null
      if (decided !== null && this.#latencies.length < latenciesMax)
        this.#latencies.push(Math.max(0, atMs - decided))
    }
  }

  ownsApply(xid: string): void {
    this.#applies.own(xid)
  }

  /** Newest first, as they were listed after `position`. */
  othersAmong(applies: readonly Apply[]): Apply[] {
    const isFirst = this.position === undefined
    this.position = applies[0]?.xid ?? this.position ?? '0'
    const others = this.#applies.judge(isFirst ? [] : applies, ({ xid }) => xid)
    for (const { size } of others) this.#entriesElsewhere += size
    return others
  }

  /** Newest first, also those that were listed before. */
  othersAmongDeadLetters(rows: readonly DeadLetterRow[]): DeadLetterRow[] {
    const seen = this.#deadLetterId
    this.#deadLetterId = rows[0]?.id ?? seen ?? 0n
    return this.#deadLetters.judge(seen === undefined ? [] : rows.filter(({ id }) => id > seen), placeKey)
  }

  /** Of dead letters of this process, as rows, which have ids. */
  withIds(lanes: readonly Lane[], rows: readonly DeadLetterRow[]): Lane[] {
    const ids = new Map(rows.toReversed().map((row) => [placeKey(row), row.id]))
    return lanes.map((lane) => {
      this.#deadLetters.own(lane.key)
      const { deadLetter } = lane
      return { ...lane, deadLetter: deadLetter && { ...deadLetter, id: ids.get(lane.key) ?? null } }
    })
  }

  /** What was counted since the last time. */
  take(): { records: number; entriesElsewhere: number; latencyMs: { p50: number; p99: number } | null } {
    const taken = {
      records: this.#records,
      entriesElsewhere: this.#entriesElsewhere,
      latencyMs: quantilesOf(this.#latencies),
    }
    this.#records = 0
    this.#entriesElsewhere = 0
    this.#latencies = []
    return taken
  }
}

/**
 * Rows that other processes have written. A row is judged a look later than it was found, since this process
 * may not know yet that it has committed it.
 */
class Others<Row> {
  readonly #own = new Set<string>()
  #found: readonly Row[] = []

  own(key: string): void {
    if (this.#own.size >= ownMax) this.#own.clear()
    this.#own.add(key)
  }

  judge(found: readonly Row[], keyOf: (row: Row) => string): Row[] {
    const others = this.#found.filter((row) => !this.#own.delete(keyOf(row)))
    this.#found = found
    return others
  }
}
