import fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Disk } from './disk.ts'
import { type BatchHeader, findTimestamp, headerBytes, isIntact, readHeader } from './record-batch.ts'
import { salvage } from './salvage.ts'

/** One index entry per this many bytes: little memory, and a read scans at most this much too far. */
const indexEveryBytes = 4096
const scanBytes = 1 << 20

/**
 * Bytes that are no batch, kept in a file of their own. The records from one offset up to another,
 * not included, were among them.
 */
export type Damage = { file: string; bytes: number; fromOffset: number; toOffset: number }

const nameOf = (baseOffset: number): string => `${String(baseOffset).padStart(20, '0')}.log`
const damagedPath = (path: string, fromOffset: number): string => `${path}.${fromOffset}.damaged`
const damaged = /\.(\d+)\.damaged$/

type Visit = (batch: BatchHeader) => void
type IndexEntry = { offset: number; position: number }

/** Those of which the index is in memory, the one that was used last at the end. */
const loaded = new Set<Segment>()
const loadedMax = 500

/**
 * A file of record batches, named after the offset of its first. It is open only while it is read or
 * written. The sparse index lives in memory and is built by walking the batches when it is first needed,
 * so there is no second file that could disagree with this one; what changed on disk is found then.
 */
export class Segment {
  readonly #path: string
  #bytes: number
  #index: IndexEntry[] | undefined
  /** Kept when the index is not. */
  #timestampMax: number | undefined

  constructor(
    directory: string,
    readonly baseOffset: number,
    readonly disk: Disk,
    readonly onDamage: (damage: Damage) => void = () => {},
  ) {
    this.#path = join(directory, nameOf(baseOffset))
    this.#bytes = fs.statSync(this.#path, { throwIfNoEntry: false })?.size ?? this.#create()
  }

  get bytes(): number {
    return this.#bytes
  }

  get timestampMax(): number {
    if (this.#timestampMax === undefined) this.#load()
    return this.#timestampMax ?? -1
  }

  /**
   * Puts whole batches, stamped with their offsets, on disk behind those that are there. When it
   * throws nothing was written.
   */
  write(batches: Buffer): void {
    this.#load()
    const fd = fs.openSync(this.#path, 'r+')
    try {
      this.disk.write(fd, batches, this.#bytes)
    } finally {
      fs.closeSync(fd)
    }
    for (let at = 0, batch = readHeader(batches); batch; batch = readHeader(batches, at)) {
      this.#note(batch, this.#bytes + at)
      at += batch.bytes
    }
    this.#bytes += batches.length
  }

  /**
   * Walks every batch, checksums included. What cannot be read is moved to a file of its own, which
   * `onDamage` is called; the batches behind it keep their offsets. Batches from `to` on are cut off.
   * Answers with the offset behind the last record, and with the next that was not given before.
   */
  recover(to = Number.POSITIVE_INFINITY, visit: Visit = () => {}): { end: number; endOffset: number } {
    let found = this.#walk(to, visit)
    let endOffset = 0
    if (found === undefined) {
      endOffset = Math.min(this.#mend(), to)
      found = this.#walk(to, visit)
      if (found === undefined) throw new Error(`${this.#path} cannot be mended`)
    }
    const { position, offset } = found
    if (this.#bytes > position) fs.truncateSync(this.#path, position)
    this.#bytes = position
    // Readers are about to see what may not be on disk yet.
    this.disk.sync(this.#path)
    return { end: offset, endOffset: Math.max(endOffset, offset) }
  }

  /** Undefined when not everything is as it was written. */
  #walk(to: number, visit: Visit): { position: number; offset: number } | undefined {
    this.#index = []
    this.#timestampMax = -1
    const end = { position: 0, offset: this.baseOffset }
    for (const { batch, position } of this.batches({ verify: true })) {
      if (batch.baseOffset >= to) return end
      const isInPlace =
        batch.baseOffset === end.offset || (batch.baseOffset > end.offset && this.#isGap(end.offset))
      if (!isInPlace) return undefined
      this.#note(batch, position)
      visit(batch)
      end.position = position + batch.bytes
      end.offset = batch.lastOffset + 1
    }
    return end.offset >= to || this.#isZero(end.position) ? end : undefined
  }

  #isZero(from: number): boolean {
    for (let at = from; at < this.#bytes; at += scanBytes) {
      if (this.readAt(at, scanBytes).some((byte) => byte !== 0)) return false
    }
    return true
  }

  /** First the damaged bytes are on disk elsewhere, then the file is replaced by one without them. */
  #mend(): number {
    const { kept, damaged, endOffset } = salvage(this.readAt(0, this.#bytes), this.baseOffset, (offset) =>
      this.#isGap(offset),
    )
    for (const { bytes, fromOffset, toOffset } of damaged) {
      const file = damagedPath(this.#path, fromOffset)
      this.disk.replaceFile(file, bytes)
      this.onDamage({ file, bytes: bytes.length, fromOffset, toOffset })
    }
    const { baseOffset } = this
    if (damaged.length === 0)
      this.onDamage({ file: this.#path, bytes: 0, fromOffset: baseOffset, toOffset: baseOffset })
    this.disk.replaceFile(this.#path, Buffer.concat(kept))
    this.#bytes = fs.statSync(this.#path).size
    return endOffset
  }

  /** Records from this offset on were moved aside. */
  #isGap(offset: number): boolean {
    return fs.existsSync(damagedPath(this.#path, offset))
  }

  /** Whole batches from the one that holds `offset`, up to `bytesMax`; the first one at any size. */
  read(offset: number, bytesMax: number): Buffer {
    const before = this.#load().findLast((entry) => entry.offset <= offset)
    const batches = this.batches({ from: before?.position, blockBytes: 2 * indexEveryBytes })
    const first = batches.find(({ batch }) => batch.lastOffset >= offset)
    if (!first) return Buffer.alloc(0)
    const block = this.readAt(first.position, Math.max(first.batch.bytes, bytesMax))
    let end = 0
    for (let batch = readHeader(block); batch; batch = readHeader(block, end)) {
      if (end + batch.bytes > block.length) break
      end += batch.bytes
    }
    return block.subarray(0, end)
  }

  /** The first record at or after the timestamp. */
  findTimestamp(timestamp: number): { offset: number; timestamp: number } | undefined {
    if (this.timestampMax < timestamp) return undefined
    const found = this.batches().find(({ batch }) => batch.maxTimestamp >= timestamp)
    return found && findTimestamp(this.readAt(found.position, found.batch.bytes), found.batch, timestamp)
  }

  intactBatches() {
    this.#load()
    return this.batches()
  }

  /**
   * The batches from a position on, ending early where one is torn (and, when verifying, where a
   * checksum does not hold).
   */
  *batches({ from = 0, verify = false, blockBytes = scanBytes } = {}) {
    let block: Buffer = Buffer.alloc(0)
    let blockStart = from
    let position = from
    /** The next `length` bytes, and what else was read with them. */
    const next = (length: number) => {
      if (position - blockStart + length > block.length) {
        blockStart = position
        block = this.readAt(position, Math.max(length, blockBytes))
      }
      return block.subarray(position - blockStart)
    }
    while (position + headerBytes <= this.#bytes) {
      const batch = readHeader(next(headerBytes))
      if (!batch || position + batch.bytes > this.#bytes) return
      if (verify && !isIntact(next(batch.bytes).subarray(0, batch.bytes))) return
      yield { batch, position }
      position += batch.bytes
    }
  }

  /** Shorter at the end of what was written. */
  readAt(position: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.#bytes - position)))
    const fd = fs.openSync(this.#path, 'r')
    try {
      return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, position))
    } finally {
      fs.closeSync(fd)
    }
  }

  /**
   * A new segment without the batches that end before `offset`, under the name of the first that is left;
   * undefined when none is, and the segment itself when all are. The old one is still to be removed.
   */
  trimmedTo(offset: number): Segment | undefined {
    this.#load()
    const first = this.batches().find(({ batch }) => batch.lastOffset >= offset)
    if (!first) return undefined
    const { batch, position } = first
    if (position === 0) return this
    const name = join(dirname(this.#path), nameOf(batch.baseOffset))
    // What was damaged behind it stays a known gap.
    for (const [fromOffset, file] of this.#damagedFiles())
      if (fromOffset >= batch.baseOffset) fs.copyFileSync(file, damagedPath(name, fromOffset))
    this.disk.checkRoom()
    this.disk.replaceFile(name, this.readAt(position, this.#bytes - position))
    return new Segment(dirname(name), batch.baseOffset, this.disk, this.onDamage)
  }

  /** By the offset from which records are missing. */
  #damagedFiles(): [fromOffset: number, file: string][] {
    const prefix = `${basename(this.#path)}.`
    const directory = dirname(this.#path)
    const files = fs.readdirSync(directory).filter((file) => file.startsWith(prefix) && damaged.test(file))
    return files.map((file) => [Number(damaged.exec(file)?.[1]), join(directory, file)])
  }

  /** With what was damaged in it. */
  remove(): void {
    loaded.delete(this)
    for (const [, file] of this.#damagedFiles()) fs.unlinkSync(file)
    fs.unlinkSync(this.#path)
  }

  /** For a new one the name is on disk, too, before anything is in it. */
  #create(): number {
    this.disk.checkRoom()
    fs.closeSync(fs.openSync(this.#path, 'wx', 0o600))
    this.disk.sync(dirname(this.#path))
    return 0
  }

  #load(): IndexEntry[] {
    if (!this.#index) this.recover()
    loaded.delete(this)
    loaded.add(this)
    const [oldest] = loaded
    if (loaded.size > loadedMax && oldest) {
      oldest.#index = undefined
      loaded.delete(oldest)
    }
    return this.#index ?? []
  }

  #note(batch: BatchHeader, position: number): void {
    this.#index ??= []
    const index = this.#index
    this.#timestampMax = Math.max(this.#timestampMax ?? -1, batch.maxTimestamp)
    const last = index.at(-1)
    if (!last || position - last.position >= indexEveryBytes)
      index.push({ offset: batch.baseOffset, position })
  }
}
