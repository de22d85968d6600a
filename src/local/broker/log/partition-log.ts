import fs from 'node:fs'
import { join } from 'node:path'
import { makePrivate } from '../../private-files.ts'
import { Refusal } from '../errors.ts'
import type { Entry, Journal, Owner } from './journal.ts'
import { ProducerStates } from './producer-states.ts'
import {
  type BatchHeader,
  checkProduced,
  findTimestamp,
  headerBytes,
  readHeader,
  stampOffset,
} from './record-batch.ts'
import { type Damage, Segment } from './segment.ts'

export type LogLimits = {
  /** A batch larger than this is refused. */
  batchBytesMax: number
  /** The next segment is begun before one grows beyond this. */
  segmentBytes: number
  /** Whole segments are removed from the old end while the log is larger; -1 keeps all. */
  retentionBytes: number
  /** Whole segments are removed when their newest record is older; -1 keeps all. */
  retentionMs: number
}

type Batch = { header: BatchHeader; entry: Entry }

/**
 * After a restart producers are remembered from this many of the newest segments: more than any has
 * in flight.
 */
const producersSegments = 3

/** Beside the segments, once records were deleted: the offset of the first that is left. */
const startFile = 'start-offset'

/**
 * One partition: an append-only sequence of segments, and behind it the batches that only the journal
 * has on disk, which are in memory. What has been answered as durable is never lost or changed, and
 * readers see a batch (the high watermark passes it) only once it is on disk, so nothing that was read
 * can vanish in a crash.
 */
export class PartitionLog implements Owner {
  /** Called whenever there is more to read, and when the log is closed. */
  readonly watchers = new Set<() => void>()
  readonly #segments: Segment[]
  /** Behind the last record of the segments. */
  #segmentsEnd = 0
  /** On disk in the journal alone. */
  #tail: Batch[] = []
  /** Appended in this turn. */
  #waiting: Batch[] = []
  #producers = new ProducerStates()
  /** Where the next batch goes. */
  #endOffset = 0
  #highWatermark = 0
  /** Records before it were deleted on request. */
  #deletedTo: number

  /**
   * Opens the directory, makes it when it is absent, and moves aside what cannot be read, which
   * `onDamage` is called. The journal was found to have `entries` of this log.
   */
  constructor(
    readonly directory: string,
    readonly place: { topic: number; partition: number },
    readonly journal: Journal,
    public limits: LogLimits,
    readonly onDamage: (damage: Damage) => void = () => {},
    entries: Entry[] = [],
  ) {
    makePrivate(directory)
    this.#segments = fs
      .readdirSync(directory)
      .filter((name) => name.endsWith('.log'))
      .map((name) => Number.parseInt(name, 10))
      .sort((left, right) => left - right)
      .map((baseOffset) => new Segment(directory, baseOffset, journal.disk, onDamage))
    this.#deletedTo = readStart(directory)
    this.#removeDeleted()
    this.#recover(entries)
    try {
      this.#trim()
    } catch {
      // Unreadable anyway, and tried again with the next deletion.
    }
  }

  get startOffset(): number {
    const first = this.#segments[0]?.baseOffset ?? this.#tail[0]?.header.baseOffset ?? this.#highWatermark
    return Math.max(first, this.#deletedTo)
  }

  /** One past the last record that readers may see. */
  get highWatermark(): number {
    return this.#highWatermark
  }

  /** In segments. */
  get bytes(): number {
    return this.#segments.reduce((total, segment) => total + segment.bytes, 0)
  }

  /**
   * Appends the one batch in `records`, or finds that it is already there (a repeat of an
   * idempotent producer answers as the first time). Refuses with the code the producer is to see.
   * The bytes are stamped in place. `durable` settles when the batch is on disk and readers may see it.
   */
  append(records: Buffer): { baseOffset: number; durable: Promise<void> } {
    const produced = checkProduced(records, this.limits.batchBytesMax)
    const repeated = this.#producers.check(produced)
    if (repeated) return { baseOffset: repeated.baseOffset, durable: this.journal.durable }

    const header = stampOffset(records, produced, this.#endOffset)
    const entry = { ...this.place, payload: records }
    this.#producers.record(header)
    this.#endOffset = header.lastOffset + 1
    this.#waiting.push({ header, entry })
    return { baseOffset: header.baseOffset, durable: this.journal.append(entry, this) }
  }

  written(): void {
    for (const batch of this.#waiting) this.#tail.push(batch)
    this.#waiting = []
    this.#highWatermark = this.#endOffset
    this.#wake()
  }

  writeDirectly(): void {
    this.#tail = this.#waiting
    this.#waiting = []
    try {
      this.persist()
    } catch (error) {
      this.#tail = []
      this.#highWatermark = this.#segmentsEnd
      throw error
    }
  }

  failed(): void {
    this.#waiting = []
    this.#endOffset = this.#highWatermark
    this.#rememberProducers()
  }

  /** Moves to segments what only the journal has. */
  persist(bytesMax = Number.POSITIVE_INFINITY): boolean {
    let left = bytesMax
    for (let first = this.#tail[0]; first; first = this.#tail[0]) {
      if (left <= 0) return false
      let segment = this.#segments.at(-1)
      const isFull =
        segment && segment.bytes > 0 && segment.bytes + first.header.bytes > this.limits.segmentBytes
      // Where offsets are missing, the name of the next segment remembers it.
      if (!segment || isFull || first.header.baseOffset !== this.#segmentsEnd)
        segment = this.#openSegment(first.header.baseOffset)
      const batches: Buffer[] = []
      let { bytes } = segment
      let end = first.header.baseOffset
      for (const { header, entry } of this.#tail) {
        const fits = bytes + header.bytes <= this.limits.segmentBytes || batches.length === 0
        if (!fits || header.baseOffset !== end || left <= 0) break
        batches.push(entry.payload)
        bytes += header.bytes
        left -= header.bytes
        end = header.lastOffset + 1
      }
      segment.write(Buffer.concat(batches))
      this.#segmentsEnd = end
      this.#tail.splice(0, batches.length)
    }
    return true
  }

  /**
   * Whole batches from the one that holds `offset`; empty at the end of the log. The first batch is
   * returned at any size.
   */
  read(offset: number, bytesMax: number): Buffer {
    if (offset < this.startOffset || offset > this.#highWatermark) throw new Refusal('OFFSET_OUT_OF_RANGE')
    const blocks: Buffer[] = []
    for (let [next, left] = [offset, bytesMax]; next < this.#highWatermark; ) {
      const block = this.#readFrom(next, left)
      if (blocks.length > 0 && block.length > left) break
      blocks.push(block)
      left -= block.length
      if (left <= headerBytes) break
      next = endOf(block)
    }
    return blocks.length === 1 ? (blocks[0] as Buffer) : Buffer.concat(blocks)
  }

  /** Of one segment, or of what is behind them. */
  #readFrom(offset: number, bytesMax: number): Buffer {
    if (offset < this.#segmentsEnd) {
      const first = this.#segments.findLastIndex(({ baseOffset }) => baseOffset <= offset)
      // Records may be missing at the end of a segment: then those of the next are the ones that follow.
      for (const segment of this.#segments.slice(first)) {
        const batches = segment.read(offset, bytesMax)
        if (batches.length > 0) return batches
      }
    }
    return this.#readTail(offset, bytesMax)
  }

  /** The first record at or after `timestamp` that readers may see. */
  findTimestamp(timestamp: number): { offset: number; timestamp: number } | undefined {
    for (const segment of this.#segments) {
      const found = segment.findTimestamp(timestamp)
      // In front of the start only within the batch that holds it.
      if (found) return { ...found, offset: Math.max(found.offset, this.startOffset) }
    }
    const batch = this.#tail.find(({ header }) => header.maxTimestamp >= timestamp)
    return batch && findTimestamp(batch.entry.payload, batch.header, timestamp)
  }

  /** Removes whole segments that are past the limits. */
  retain(now: number): void {
    const { retentionBytes, retentionMs } = this.limits
    if (retentionBytes < 0 && retentionMs < 0) return
    this.persist()
    const isOld = (segment: Segment) => retentionMs >= 0 && segment.timestampMax < now - retentionMs
    const active = this.#segments.at(-1)
    if (active && active.bytes > 0 && isOld(active)) this.#openSegment(this.#segmentsEnd)
    let { bytes } = this
    for (let oldest = this.#segments[0]; oldest && this.#segments.length > 1; oldest = this.#segments[0]) {
      const tooLarge = retentionBytes >= 0 && bytes - oldest.bytes >= retentionBytes
      if (!tooLarge && !isOld(oldest)) break
      bytes -= oldest.bytes
      this.#segments.shift()
      oldest.remove()
    }
  }

  /**
   * Deletes the records before `offset`, for readers at once and after any crash; from disk, too, all
   * batches that lie before it whole.
   */
  deleteBefore(offset: number): void {
    this.journal.flush()
    if (offset < 0 || offset > this.#highWatermark) throw new Refusal('OFFSET_OUT_OF_RANGE')
    try {
      // From here on the segments alone have it.
      this.journal.erase()
      if (offset > this.startOffset) {
        this.journal.disk.checkRoom()
        this.journal.disk.replaceFile(join(this.directory, startFile), String(offset))
        this.#deletedTo = offset
      }
      this.#trim()
    } catch (error) {
      throw new Refusal('KAFKA_STORAGE_ERROR', String(error))
    }
  }

  close(): void {
    this.#wake()
  }

  #wake(): void {
    for (const watcher of [...this.watchers]) watcher()
  }

  #readTail(offset: number, bytesMax: number): Buffer {
    let [low, high] = [0, this.#tail.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#tail[middle] as Batch).header.lastOffset < offset) low = middle + 1
      else high = middle
    }
    const batches: Buffer[] = []
    let bytes = 0
    for (let at = low; at < this.#tail.length; at++) {
      const { payload } = (this.#tail[at] as Batch).entry
      bytes += payload.length
      if (batches.length > 0 && bytes > bytesMax) break
      batches.push(payload)
    }
    return batches.length === 1 ? (batches[0] as Buffer) : Buffer.concat(batches)
  }

  /** Whole segments before the start. A crash may have left the one that was trimmed beside its successor. */
  #removeDeleted(): void {
    for (let next = this.#segments[1]; next && next.baseOffset <= this.#deletedTo; next = this.#segments[1])
      this.#segments.shift()?.remove()
  }

  /** Removes what was deleted from disk. */
  #trim(): void {
    this.#removeDeleted()
    const [oldest] = this.#segments
    if (!oldest || oldest.baseOffset >= this.#deletedTo) return
    const rest = oldest.trimmedTo(this.#deletedTo)
    if (rest === oldest) return
    if (rest) this.#segments[0] = rest
    else {
      if (this.#segments.length === 1) this.#openSegment(this.#endOffset)
      this.#segments.shift()
    }
    oldest.remove()
  }

  /** The last segment may be torn, and may hold some of what the journal has. */
  #recover(entries: Entry[]): void {
    const first = entries.find(({ damaged }) => !damaged)
    const journalFrom = (first && readHeader(first.payload)?.baseOffset) ?? Number.POSITIVE_INFINITY
    const had = this.#segments.length
    while ((this.#segments.at(-1)?.baseOffset ?? -1) >= journalFrom) this.#segments.pop()?.remove()
    if (this.#segments.length < had) this.journal.disk.sync(this.directory)
    const visit = (batch: BatchHeader) => this.#producers.record(batch)
    for (const segment of this.#segments.slice(-producersSegments, -1)) segment.recover(undefined, visit)
    const found = this.#segments.at(-1)?.recover(journalFrom, visit)
    this.#segmentsEnd = found?.end ?? 0
    this.#endOffset = Math.max(found?.endOffset ?? 0, this.#deletedTo)
    let readableEnd = this.#segmentsEnd
    for (const entry of entries) {
      const header = readHeader(entry.payload)
      if (entry.damaged) this.#skipDamaged(entry.damaged, header)
      else if (header) {
        this.#tail.push({ header, entry })
        visit(header)
        this.#endOffset = readableEnd = header.lastOffset + 1
      }
    }
    this.#highWatermark = this.#endOffset
    if (this.#endOffset === readableEnd) return
    // The name of the next segment remembers that offsets behind the last record were given.
    this.persist()
    this.#openSegment(this.#endOffset)
  }

  /** Its offsets are not given again where its header can be believed. */
  #skipDamaged(damaged: { file: string; bytes: number }, header: BatchHeader | undefined): void {
    const fromOffset = this.#endOffset
    const isNext =
      header?.baseOffset === fromOffset && header.lastOffset - fromOffset + 1 === header.recordsCount
    if (isNext) this.#endOffset = header.lastOffset + 1
    this.onDamage({ ...damaged, fromOffset, toOffset: this.#endOffset })
  }

  #rememberProducers(): void {
    this.#producers = new ProducerStates()
    for (const segment of this.#segments.slice(-producersSegments))
      for (const { batch } of segment.intactBatches()) this.#producers.record(batch)
    for (const { header } of this.#tail) this.#producers.record(header)
  }

  #openSegment(baseOffset: number): Segment {
    const segment = new Segment(this.directory, baseOffset, this.journal.disk, this.onDamage)
    this.#segments.push(segment)
    this.#segmentsEnd = baseOffset
    return segment
  }
}

/** The offset behind the last of whole batches. */
function endOf(batches: Buffer): number {
  let end = Number.POSITIVE_INFINITY
  for (let at = 0, batch = readHeader(batches); batch; batch = readHeader(batches, at)) {
    end = batch.lastOffset + 1
    at += batch.bytes
  }
  return end
}

/** 0 while nothing was deleted. */
function readStart(directory: string): number {
  const path = join(directory, startFile)
  return fs.existsSync(path) ? Number(fs.readFileSync(path, 'utf8')) : 0
}
