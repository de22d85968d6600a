import fs from 'node:fs'
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
    if (this.#segments.length === 0) this.#openSegment()
    this.#recover()
  }

  get startOffset(): number {
    return this.#segments[0]?.baseOffset ?? 0
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
      if (found) return found
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
    if (!this.disk.fsync) return
    // Makes the new name survive a lost machine.
    const directory = fs.openSync(this.directory, 'r')
    fs.fsyncSync(directory)
    fs.closeSync(directory)
  }
}
