/**
 * Hands items to a handler: those that come within one turn, or while it is busy, together, and never
 * twice at a time.
 */
export class HandOver<T> {
  readonly #handle: (items: T[]) => Promise<void>
  readonly #isLarge: (items: T[]) => boolean
  #waiting: { items: T[]; accepted: Promise<void> } | undefined
  /** Rejected once large items have failed, until the next caller has been given the failure. */
  #busy: Promise<void> = Promise.resolve()

  constructor(handle: (items: T[]) => Promise<void>, isLarge: (items: T[]) => boolean) {
    this.#handle = handle
    this.#isLarge = isLarge
  }

  /**
   * Resolves when the items are handled, or as soon as that begins if they are large: the next can be
   * prepared meanwhile. What they fail with is then thrown by the next call, which is not handled.
   */
  add(item: T): Promise<void> {
    if (this.#waiting) {
      this.#waiting.items.push(item)
      return this.#waiting.accepted
    }
    const items = [item]
    const accepted = this.#busy
      .finally(() => {
        this.#waiting = undefined
        this.#busy = Promise.resolve()
      })
      .then(() => {
        const done = this.#handle(items)
        if (!this.#isLarge(items)) {
          this.#busy = done.catch(() => {})
          return done
        }
        this.#busy = done
        done.catch(() => {})
      })
    this.#waiting = { items, accepted }
    return accepted
  }

  /** Resolves when what is being handled now is done, however it ends. */
  async idle(): Promise<void> {
    await this.#busy.catch(() => {})
  }
}
