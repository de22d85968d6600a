import fs from 'node:fs'
import { join } from 'node:path'
import { makePrivate } from '../../private-files.ts'
import { Refusal } from '../errors.ts'
import { ProducerStates } from './producer-states.ts'
import { checkProduced, stampOffset } from './record-batch.ts'
import { type Damage, type Disk, Segment } from './segment.ts'

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

/**
 * After a restart producers are remembered from this many of the newest segments: more than any has
 * in flight.
 */
const producersSegments = 3

/** Beside the segments, once records were deleted: the offset of the first that is left. */
const startFile = 'start-offset'

/**
 * One partition: an append-only sequence of segments. What has been answered as durable is never
 * lost or changed, and readers see a batch (the high watermark passes it) only once it is on disk,
 * so nothing that was read can vanish in a crash.
 */
export class PartitionLog {
  /** Called whenever there is more to read, and when the log is closed. */
  readonly watchers = new Set<() => void>()
  readonly #segments: Segment[]
  #producers = new ProducerStates()
  /**
   * Where the next batch goes, and before it up to where all is on disk. Between them is what waits
   * to be written.
   */
  #endOffset = 0
  #highWatermark = 0
  /** Records before it were deleted on request. */
  #deletedTo: number
  #waiting: Buffer[] = []
  #written: PromiseWithResolvers<void> | undefined

  /**
   * Opens the directory, makes it when it is absent, and moves aside what cannot be read, which
   * `onDamage` is called.
   */
  constructor(
    readonly directory: string,
    readonly disk: Disk,
    readonly limits: LogLimits,
    readonly onDamage: (damage: Damage) => void = () => {},
  ) {
    makePrivate(directory)
    this.#segments = fs
      .readdirSync(directory)
      .filter((name) => name.endsWith('.log'))
      .map((name) => Number.parseInt(name, 10))
      .sort((left, right) => left - right)
      .map((baseOffset) => new Segment(directory, baseOffset, disk, onDamage))
    this.#deletedTo = readStart(directory)
    this.#removeDeleted()
    if (this.#segments.length === 0) this.#openSegment()
    this.#recover()
    try {
      this.#trim()
    } catch {
      // Unreadable anyway, and tried again with the next deletion.
    }
  }

  get startOffset(): number {
    return Math.max(this.#segments[0]?.baseOffset ?? 0, this.#deletedTo)
  }

  /** One past the last record that readers may see. */
  get highWatermark(): number {
    return this.#highWatermark
  }

  get bytes(): number {
    return this.#segments.reduce((total, segment) => total + segment.bytes, 0)
  }

  /**
   * Appends the one batch in `records`, or finds that it is already there (a repeat of an
   * idempotent producer answers as the first time). Refuses with the code the producer is to see.
   * The bytes are stamped in place. `durable` settles when the batch is on disk and readers may see
   * it; all appends in one turn of the event loop share one write.
   */
  append(records: Buffer): { baseOffset: number; durable: Promise<void> } {
    const produced = checkProduced(records, this.limits.batchBytesMax)
    const repeated = this.#producers.check(produced)
    if (repeated)
      return { baseOffset: repeated.baseOffset, durable: this.#written?.promise ?? Promise.resolve() }

    const batch = stampOffset(records, produced, this.#endOffset)
    this.#producers.record(batch)
    this.#endOffset = batch.lastOffset + 1
    this.#waiting.push(records)
    if (!this.#written) {
      this.#written = Promise.withResolvers()
      // With acks 0 no caller waits for it.
      this.#written.promise.catch(() => {})
      setImmediate(() => this.flush())
    }
    return { baseOffset: batch.baseOffset, durable: this.#written.promise }
  }

  /**
   * Puts on disk what was appended so far, or refuses all of it. In this thread, because handing a
   * write to another one and back costs as much processor time as the write itself; what arrives
   * meanwhile waits in its sockets and shares the next one.
   */
  flush(): void {
    const written = this.#written
    if (!written) return
    const batches = this.#waiting.length > 1 ? Buffer.concat(this.#waiting) : (this.#waiting[0] as Buffer)
    this.#waiting = []
    this.#written = undefined
    try {
      const { bytes } = this.#active
      if (bytes > 0 && bytes + batches.length > this.limits.segmentBytes) this.#roll()
      this.#active.write(batches)
      this.#highWatermark = this.#endOffset
      written.resolve()
      this.#wake()
    } catch (error) {
      // As after a crash: what is not on disk never was, and producers of it are forgotten.
      this.#recover()
      written.reject(new Refusal('KAFKA_STORAGE_ERROR', String(error)))
    }
  }

  /**
   * Whole batches from the one that holds `offset`; empty at the end of the log. The first batch is
   * returned at any size.
   */
  read(offset: number, bytesMax: number): Buffer {
    if (offset < this.startOffset || offset > this.#highWatermark) throw new Refusal('OFFSET_OUT_OF_RANGE')
    if (offset === this.#highWatermark) return Buffer.alloc(0)
    const first = this.#segments.findLastIndex(({ baseOffset }) => baseOffset <= offset)
    // Records may be missing at the end of a segment: then those of the next are the ones that follow.
    for (const segment of this.#segments.slice(first)) {
      const batches = segment.read(offset, bytesMax)
      if (batches.length > 0) return batches
    }
    return Buffer.alloc(0)
  }

  /** The first record at or after `timestamp` that readers may see. */
  findTimestamp(timestamp: number): { offset: number; timestamp: number } | undefined {
    for (const segment of this.#segments) {
      const found = segment.findTimestamp(timestamp)
      // In front of the start only within the batch that holds it.
      if (found) return { ...found, offset: Math.max(found.offset, this.startOffset) }
    }
    return undefined
  }

  /** Removes whole segments that are past the limits. */
  retain(now: number): void {
    const { retentionBytes, retentionMs } = this.limits
    const isOld = (segment: Segment) => retentionMs >= 0 && segment.timestampMax < now - retentionMs
    if (this.#active.bytes > 0 && isOld(this.#active)) this.#roll()
    let { bytes } = this
    for (let oldest = this.#segments[0]; oldest && oldest !== this.#active; oldest = this.#segments[0]) {
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
    this.flush()
    if (offset < 0 || offset > this.#highWatermark) throw new Refusal('OFFSET_OUT_OF_RANGE')
    try {
      if (offset > this.startOffset) {
        this.disk.checkRoom()
        this.disk.replaceFile(join(this.directory, startFile), String(offset))
        this.#deletedTo = offset
      }
      this.#trim()
    } catch (error) {
      throw new Refusal('KAFKA_STORAGE_ERROR', String(error))
    }
  }

  close(): void {
    this.flush()
    this.#active.seal()
    for (const segment of this.#segments) segment.close()
    this.#wake()
  }

  get #active(): Segment {
    return this.#segments.at(-1) as Segment
  }

  #wake(): void {
    for (const watcher of [...this.watchers]) watcher()
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
      if (oldest === this.#active) this.#openSegment()
      this.#segments.shift()
    }
    oldest.remove()
  }

  /** The last segment may be torn; those before it are read to restore producer state. */
  #recover(): void {
    this.#producers = new ProducerStates()
    const active = this.#active
    for (const segment of this.#segments.slice(-producersSegments, -1)) {
      segment.recover((batch) => this.#producers.record(batch))
    }
    let readableEnd = active.baseOffset
    this.#endOffset = active.recover((batch) => {
      this.#producers.record(batch)
      readableEnd = batch.lastOffset + 1
    })
    this.#endOffset = Math.max(this.#endOffset, this.#deletedTo)
    this.#highWatermark = this.#endOffset
    // The name of the next segment remembers that offsets behind the last record were given.
    if (this.#endOffset > readableEnd) this.#openSegment()
  }

  #roll(): void {
    this.#active.seal()
    this.#openSegment()
  }

  #openSegment(): void {
    this.disk.checkRoom()
    this.#segments.push(new Segment(this.directory, this.#highWatermark, this.disk, this.onDamage))
    this.disk.syncNames(this.directory)
  }
}

/** 0 while nothing was deleted. */
function readStart(directory: string): number {
  const path = join(directory, startFile)
  return fs.existsSync(path) ? Number(fs.readFileSync(path, 'utf8')) : 0
}
