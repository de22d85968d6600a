import { fdatasync } from 'node:fs'

/** A file that appends and wants to know how much of it is on disk. */
export type Durable = {
  readonly fd: number
  /** How far the file is written; handed back to `synced` once that much is on disk. */
  written(): number
  synced(upTo: number): void
  /**
   * The disk refused: what lies beyond the last `synced` may be gone, and a later fsync may succeed without it. From then on
   * `synced` throws, because only a restart can tell what is there.
   */
  syncFailed(error: Error): void
}

type Turn = { file: Durable; done: Promise<void>; resolve: () => void; reject: (error: Error) => void }

/**
 * Puts what was written to disk, everybody's at once: writes of one event-loop turn, and those that arrive while the disk is busy,
 * share the next fsync of their file. With fsync off everything counts as on disk as soon as the operating system has it, which
 * survives a killed process but not a lost machine.
 */
export class GroupCommit {
  #waiting = new Map<Durable, Turn>()
  #round: Promise<void> | undefined
  #syncing: Promise<unknown> | undefined

  /** Fault on demand: every write is refused as if the disk were full. */
  diskFull = false

  constructor(readonly enabled: boolean) {}

  /** Called in front of every write. */
  checkRoom(): void {
    if (this.diskFull) throw new Error('ENOSPC: no space left on device, on demand')
  }

  /** Resolves once all that is written to `file` so far is on disk; rejects when the disk refused it. */
  commit(file: Durable): Promise<void> {
    if (!this.enabled) {
      file.synced(file.written())
      return Promise.resolve()
    }
    let turn = this.#waiting.get(file)
    if (!turn) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      // Appends whose answer nobody waits for (acks 0 and 1) must not end the process when the disk refuses.
      promise.catch(() => {})
      turn = { file, done: promise, resolve, reject }
      this.#waiting.set(file, turn)
      this.#round ??= this.#run()
    }
    return turn.done
  }

  /** Resolves, at once or soon, in a moment when no fsync is under way: what runs before the next await may close files. */
  async idle(): Promise<void> {
    while (this.#syncing) await this.#syncing
  }

  /** Resolves once everything written so far is on disk or has been refused. */
  async flush(): Promise<void> {
    while (this.#round) await this.#round
  }

  async #run(): Promise<void> {
    while (this.#waiting.size > 0) {
      await new Promise((resolve) => setImmediate(resolve))
      const turns = [...this.#waiting.values()]
      this.#waiting = new Map()
      this.#syncing = Promise.all(turns.map(sync))
      await this.#syncing
      this.#syncing = undefined
    }
    this.#round = undefined
  }
}

function sync({ file, resolve, reject }: Turn): Promise<void> {
  const upTo = file.written()
  return new Promise((finished) => {
    fdatasync(file.fd, (failure) => {
      try {
        if (failure) {
          file.syncFailed(failure)
          throw failure
        }
        file.synced(upTo)
        resolve()
      } catch (error) {
        reject(error as Error)
      }
      finished()
    })
  })
}
