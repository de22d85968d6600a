import fs from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { Refusal } from '../error-codes.ts'

const fdatasync = promisify(fs.fdatasync)

/**
 * What all files of a broker share: their fsyncs, and faults on demand. With fsync off everything counts as on disk as soon as the
 * operating system has it, which survives a killed process but not a lost machine.
 */
export class Disk {
  /** Fault on demand: every write is refused as if the disk were full. */
  full = false
  /** Fault on demand: every fsync fails. */
  failing = false
  #waiting = new Map<AppendFile, PromiseWithResolvers<void>>()
  #round: Promise<void> | undefined
  #syncing: Promise<unknown> | undefined

  constructor(readonly fsync: boolean) {}

  /** Called in front of every write. */
  checkRoom(): void {
    if (this.full) throw new Error('ENOSPC: no space left on device, on demand')
  }

  /**
   * Resolves once all that is written to `file` so far is on disk. Writes of one event-loop turn, and those that arrive while the
   * disk is busy, share the next fsync of their file.
   */
  sync(file: AppendFile): Promise<void> {
    if (!this.fsync) return Promise.resolve()
    let turn = this.#waiting.get(file)
    if (!turn) {
      turn = Promise.withResolvers<void>()
      // Appends whose answer nobody waits for (acks 0 and 1) must not end the process when the disk refuses.
      turn.promise.catch(() => {})
      this.#waiting.set(file, turn)
      this.#round ??= this.#run()
    }
    return turn.promise
  }

  /** Resolves, at once or soon, in a moment when no fsync is under way: what runs before the next await may close files. */
  async idle(): Promise<void> {
    while (this.#syncing) await this.#syncing
  }

  /** Resolves once everything written so far is on disk or has been refused. */
  async flush(): Promise<void> {
    while (this.#round) await this.#round
  }

  /** Replaces the file as a whole: after a crash it holds the old text or the new one, never a mixture. */
  replace(path: string, text: string): void {
    this.checkRoom()
    fs.writeFileSync(`${path}.tmp`, text, { flush: this.fsync })
    fs.renameSync(`${path}.tmp`, path)
    this.syncDirectory(dirname(path))
  }

  /** Makes names created, renamed or removed in the directory survive a lost machine. */
  syncDirectory(path: string): void {
    if (!this.fsync) return
    const fd = fs.openSync(path, 'r')
    fs.fsyncSync(fd)
    fs.closeSync(fd)
  }

  async #run(): Promise<void> {
    while (this.#waiting.size > 0) {
      await new Promise((resolve) => setImmediate(resolve))
      const turns = [...this.#waiting]
      this.#waiting.clear()
      this.#syncing = Promise.all(turns.map(([file, { resolve, reject }]) => file.fsync().then(resolve, reject)))
      await this.#syncing
      this.#syncing = undefined
    }
    this.#round = undefined
  }
}

/**
 * A file that grows at its end. Once an fsync has failed it takes nothing more until it is opened again, because the next fsync may
 * succeed without the bytes the first one lost. Whatever the disk refuses is a `Refusal` that clients can be told.
 */
export class AppendFile {
  readonly #fd: number
  #bytes: number
  #failure: unknown
  #closed = false

  constructor(
    readonly path: string,
    protected readonly disk: Disk,
  ) {
    this.#fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT)
    this.#bytes = fs.fstatSync(this.#fd).size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The file is as it was before when this throws. */
  append(bytes: Buffer): void {
    this.#checkSound()
    try {
      this.disk.checkRoom()
      let written = 0
      while (written < bytes.length) {
        written += fs.writeSync(this.#fd, bytes, written, bytes.length - written, this.#bytes + written)
      }
    } catch (error) {
      this.truncate(this.#bytes)
      throw new Refusal('KAFKA_STORAGE_ERROR', String(error))
    }
    this.#bytes += bytes.length
  }

  /** Resolves once all that was appended is on disk. */
  sync(): Promise<void> {
    return this.disk.sync(this)
  }

  /** The same, at once. */
  syncNow(): void {
    try {
      if (this.disk.fsync) fs.fdatasyncSync(this.#fd)
    } catch (error) {
      this.#failure ??= error
    }
    this.#checkSound()
  }

  /** For the disk: the fsync all who wait share. */
  async fsync(): Promise<void> {
    try {
      if (this.disk.failing) throw new Error('EIO: i/o error, on demand')
      // Closed while it waited: what it held was synced before that, or is gone with its topic.
      if (!this.#closed) await fdatasync(this.#fd)
    } catch (error) {
      this.#failure ??= error
    }
    this.#checkSound()
  }

  /** Shorter at the end of the file. */
  readAt(position: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(Math.max(0, length))
    let read = 0
    for (let got = -1; got !== 0 && read < bytes.length; read += got) {
      got = fs.readSync(this.#fd, bytes, read, bytes.length - read, position + read)
    }
    return bytes.subarray(0, read)
  }

  truncate(bytes: number): void {
    fs.ftruncateSync(this.#fd, bytes)
    this.#bytes = bytes
  }

  /** The caller makes sure no fsync is under way. */
  close(): void {
    this.#closed = true
    fs.closeSync(this.#fd)
  }

  remove(): void {
    this.close()
    fs.unlinkSync(this.path)
  }

  #checkSound(): void {
    if (this.#failure) throw new Refusal('KAFKA_STORAGE_ERROR', String(this.#failure))
  }
}
