import fs from 'node:fs'
import { dirname } from 'node:path'

/**
 * What all files of a broker share. With fsync off a write survives a killed process but not a lost machine.
 */
export class Disk {
  /** Fault on demand: every write is refused. */
  full = false

  constructor(readonly fsync: boolean) {}

  /** Called in front of every write. */
  checkRoom(): void {
    if (this.full) throw new Error('ENOSPC: no space left on device, on demand')
  }

  /**
   * Writes all of it at `position`, and puts it on disk. When it throws the file is as it was: an fsync
   * that fails may have lost its own bytes, which are cut off, and no others, because those had theirs.
   */
  write(fd: number, bytes: Buffer, position: number): void {
    try {
      this.checkRoom()
      const written = fs.writeSync(fd, bytes, 0, bytes.length, position)
      if (written < bytes.length) throw new Error(`ENOSPC: ${written} of ${bytes.length} bytes written`)
      if (this.fsync) fs.fdatasyncSync(fd)
    } catch (error) {
      fs.ftruncateSync(fd, position)
      throw error
    }
  }

  /** The new content or the old one, after a crash at any point. */
  replaceFile(path: string, content: Buffer | string): void {
    fs.writeFileSync(`${path}.new`, content, { mode: 0o600, flush: this.fsync })
    fs.renameSync(`${path}.new`, path)
    this.sync(dirname(path))
  }

  /** Makes what a file has, or the names in a directory, survive a lost machine. */
  sync(path: string): void {
    if (!this.fsync) return
    const opened = fs.openSync(path, 'r')
    fs.fsyncSync(opened)
    fs.closeSync(opened)
  }
}
