import fs from 'node:fs'
import { dirname } from 'node:path'
import { Refusal } from '../errors.ts'

/**
 * An fsync takes half the time where the file does not grow, so what is appended is written over zeros that were set aside: as much
 * again as there is, within these bounds.
 */
const setAside = { bytesMin: 64 << 10, bytesMax: 1 << 20 }
const zeros = Buffer.alloc(setAside.bytesMax)

/**
 * What all files of a broker share: their fsyncs, and faults on demand. With fsync off everything counts as on disk as soon as the
 * operating system has it, which survives a killed process but not a lost machine.
 */
export class Disk {
  /** Fault on demand: every write is refused as if the disk were full. */
  full = false
  /** Fault on demand: every fsync fails. */
  failing = false
  readonly #unsynced = new Map<AppendFile, PromiseWithResolvers<void>>()

  constructor(readonly fsync: boolean) {}

  /** Called in front of every write. */
  checkRoom(): void {
    if (this.full) throw new Error('ENOSPC: no space left on device, on demand')
  }

  /** Resolves once all that is written to `file` so far is on disk. Writes of one event-loop turn share one fsync of their file. */
  sync(file: AppendFile): Promise<void> {
    if (!this.fsync) return Promise.resolve()
    if (this.#unsynced.size === 0) setImmediate(() => this.flush())
    const waiting = this.#unsynced.get(file) ?? Promise.withResolvers<void>()
    this.#unsynced.set(file, waiting)
    // Appends whose answer nobody waits for (acks 0 and 1) must not end the process when the disk refuses.
    waiting.promise.catch(() => {})
    return waiting.promise
  }

  /**
   * Puts on disk, or refuses, whatever was written so far. In this thread, because handing an fsync to another one and back costs as
   * much processor time as the fsync itself; what arrives meanwhile waits in its sockets and shares the next one.
   */
  flush(): void {
    for (const [file, { resolve, reject }] of this.#unsynced) {
      try {
        file.syncNow()
        resolve()
      } catch (error) {
        reject(error)
      }
    }
    this.#unsynced.clear()
  }

  /** Replaces the file as a whole: after a crash it holds the old text or the new one, never a mixture. */
  replace(path: string, text: string): void {
    try {
      this.checkRoom()
      fs.writeFileSync(`${path}.tmp`, text, { flush: this.fsync })
      fs.renameSync(`${path}.tmp`, path)
      this.syncDirectory(dirname(path))
    } catch (error) {
      throw new Refusal('KAFKA_STORAGE_ERROR', String(error))
    }
  }

  /** Makes names created, renamed or removed in the directory survive a lost machine. */
  syncDirectory(path: string): void {
    if (!this.fsync) return
    const fd = fs.openSync(path, 'r')
    fs.fsyncSync(fd)
    fs.closeSync(fd)
  }
}

/**
 * A file that grows at its end, where zeros may follow until it is closed. Once an fsync has failed it takes nothing more until it is
 * opened again, because the next fsync may succeed without the bytes the first one lost. Whatever the disk refuses is a `Refusal`
 * that clients can be told.
 */
export class AppendFile {
  readonly #fd: number
  #bytes: number
  /** How long the file is with the zeros. */
  #setAside: number
  #failure: unknown

  constructor(
    readonly path: string,
    protected readonly disk: Disk,
  ) {
    this.#fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT)
    this.#bytes = fs.fstatSync(this.#fd).size
    this.#setAside = this.#bytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The file is as it was before when this throws. */
  append(bytes: Buffer): void {
    this.checkSound()
    const end = this.#bytes + bytes.length
    try {
      this.disk.checkRoom()
      this.#write(bytes, this.#bytes)
      if (this.disk.fsync && end > this.#setAside) {
        const more = zeros.subarray(0, Math.max(end, setAside.bytesMin))
        this.#write(more, end)
        this.#setAside = end + more.length
      }
    } catch (error) {
      this.truncate(this.#bytes)
      throw new Refusal('KAFKA_STORAGE_ERROR', String(error))
    }
    this.#bytes = end
  }

  /** Resolves once all that was appended is on disk. */
  sync(): Promise<void> {
    return this.disk.sync(this)
  }

  /** The same, at once. */
  syncNow(): void {
    try {
      if (this.disk.failing) throw new Error('EIO: i/o error, on demand')
      if (this.disk.fsync) fs.fdatasyncSync(this.#fd)
    } catch (error) {
      this.#failure ??= error
    }
    this.checkSound()
  }

  checkSound(): void {
    if (this.#failure) throw new Refusal('KAFKA_STORAGE_ERROR', String(this.#failure))
  }

  /** Shorter at the end of the file. */
  readAt(position: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.#bytes - position)))
    for (let read = 0; read < bytes.length; ) {
      const got = fs.readSync(this.#fd, bytes, read, bytes.length - read, position + read)
      if (got === 0) return bytes.subarray(0, read)
      read += got
    }
    return bytes
  }

  truncate(bytes: number): void {
    fs.ftruncateSync(this.#fd, bytes)
    this.#bytes = bytes
    this.#setAside = bytes
  }

  /** Puts everything on disk and takes the zeros away: nothing more will be appended. */
  seal(): void {
    this.disk.flush()
    if (this.#setAside > this.#bytes) this.truncate(this.#bytes)
  }

  close(): void {
    this.seal()
    fs.closeSync(this.#fd)
  }

  #write(bytes: Buffer, position: number): void {
    for (let written = 0; written < bytes.length; ) {
      written += fs.writeSync(this.#fd, bytes, written, bytes.length - written, position + written)
    }
  }
}
