/**
 * The events of appends that this process has committed, for its relay: copies of rows of the outbox, so
 * that these are not read back. Anything may be left out: the rows decide what is published.
 */
import type { OutboxEvent } from './lines'
import type { PendingAppend } from './outbox-store'

/** While the broker is away. Characters, most of them of one byte. */
const sizeMax = 4_000_000
const appendsMax = 2000
/** Of an event besides its value. */
const overhead = 200

export class HandedOver {
  readonly #appends = new Map<bigint, PendingAppend>()
  #size = 0

  /** Unless there is no room: then the relay reads the row. */
  add(append: PendingAppend): void {
    const { id, events } = append
    const size = sizeOf(events)
    if (this.#size + size > sizeMax || this.#appends.size >= appendsMax || this.#appends.has(id)) return
    this.#appends.set(id, append)
    this.#size += size
  }

  /** As of now. */
  copy(): ReadonlyMap<bigint, PendingAppend> {
    return new Map(this.#appends)
  }

  forget(ids: Iterable<bigint>): void {
    for (const id of ids) {
      const append = this.#appends.get(id)
      if (!append) continue
      this.#appends.delete(id)
      this.#size -= sizeOf(append.events)
    }
  }

  clear(): void {
    this.#appends.clear()
    this.#size = 0
  }
}

const sizeOf = (events: OutboxEvent[]): number =>
  events.reduce((size, { value }) => size + value.length + overhead, 0)
