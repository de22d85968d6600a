/**
 * Commits offsets at the broker: those of all partitions in one request, at most once a second. A
 * reader that starts from them after a crash repeats up to a second.
 */
import type { EachBatchPayload } from 'kafkajs'
import { type PartitionOffset, partitionName } from './offsets'

type Commit = EachBatchPayload['commitOffsetsIfNecessary']

const everyMs = 1000

export class OffsetCommits {
  #pending = new Map<string, PartitionOffset>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #commit: Commit | undefined

  /** `commit` sends a request as a member of the group, once. */
  add(offsets: readonly PartitionOffset[], commit: Commit): void {
    if (offsets.length === 0) return
    for (const one of offsets) this.#pending.set(partitionName(one.topic, one.partition), one)
    this.#commit = commit
    this.#schedule()
  }

  /** Commits now. Never throws: what has failed is committed again with the next. */
  async flush(): Promise<void> {
    const pending = this.#pending
    if (pending.size === 0) return
    this.forget()
    const current = this.#pending
    const topics = [...Map.groupBy(pending.values(), ({ topic }) => topic)].map(([topic, offsets]) => ({
      topic,
      partitions: offsets.map(({ partition, offset }) => ({ partition, offset: String(offset) })),
    }))
    try {
      await this.#commit?.({ topics })
    } catch {
      // Unless there is a new assignment since.
      if (this.#pending !== current) return
      this.#pending = new Map([...pending, ...current])
      this.#schedule()
    }
  }

  /** For a new assignment, or none. */
  forget(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#pending = new Map()
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => void this.flush(), everyMs)
  }
}
