import { mkdirSync, readdirSync } from 'node:fs'
import { Refusal } from '../errors.ts'
import type { Disk } from './disk.ts'
import { ProducerStates } from './producer-states.ts'
import { checkProduced, stampOffset } from './record-batch.ts'
import { Segment } from './segment.ts'

export type LogLimits = {
  /** A batch larger than this is refused. */
  batchBytesMax: number
  /** A segment is closed before it grows beyond this. */
  segmentBytes: number
  /** Whole segments are removed from the old end while the log is larger; -1 keeps all. */
  retentionBytes: number
  /** Whole segments are removed when their newest record is older; -1 keeps all. */
  retentionMs: number
}

/** After a restart producers are remembered from the newest segments that hold this much: more than any has in flight. */
const producersBytes = 8 << 20

/**
 * One partition: an append-only sequence of segments. What has been answered as durable is never lost or changed, and readers see
 * a batch (the high watermark passes it) only once it is on disk, so nothing that was read can vanish in a crash.
 */
export class PartitionLog {
  readonly #segments: Segment[]
  readonly #producers = new ProducerStates()
  readonly #watchers = new Set<() => void>()
  #endOffset = 0
  #highWatermark = 0
  /** Bytes of a batch that a crash cut short, and that were cut off when the log was opened. */
  readonly torn: number

  /** Opens the directory, makes it when it is absent, and cuts what a crash left unfinished at the end. */
  constructor(
    readonly directory: string,
    readonly disk: Disk,
    readonly limits: LogLimits,
  ) {
    mkdirSync(directory, { recursive: true })
    this.#segments = readdirSync(directory)
      .filter((name) => name.endsWith('.log'))
      .map((name) => Number.parseInt(name, 10))
      .sort((left, right) => left - right)
      .map((baseOffset) => new Segment(directory, baseOffset, disk))
    if (this.#segments.length === 0) this.#openSegment()
    this.torn = this.#recover()
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
   * Appends the one batch in `records`, or finds that it is already there (a repeat of an idempotent producer answers as the
   * first time). Refuses with the code the producer is to see. The bytes are stamped in place. `durable` settles when the batch is
   * on disk and readers may see it.
   */
  append(records: Buffer): { baseOffset: number; durable: Promise<void> } {
    const produced = checkProduced(records, this.limits.batchBytesMax)
    this.#active.checkSound()
    const repeated = this.#producers.check(produced)
    if (repeated) return { baseOffset: repeated.baseOffset, durable: this.#active.sync() }

    const { bytes } = this.#active
    if (bytes > 0 && bytes + records.length > this.limits.segmentBytes) this.#roll()
    const batch = stampOffset(records, produced, this.#endOffset)
    this.#active.appendBatch(records, batch)
    this.#producers.record(batch)
    this.#endOffset = batch.lastOffset + 1
    if (!this.disk.fsync) this.#show(this.#endOffset)
    const durable = this.#active.sync().then(() => this.#show(batch.lastOffset + 1))
    // With acks 0 and 1 nobody waits for it.
    durable.catch(() => {})
    return { baseOffset: batch.baseOffset, durable }
  }

  /** Whole batches from the one that holds `offset`; empty at the end of the log. The first batch is given whatever its size. */
  read(offset: number, bytesMax: number): Buffer {
    if (offset < this.startOffset || offset > this.#highWatermark) throw new Refusal('OFFSET_OUT_OF_RANGE')
    if (offset === this.#highWatermark) return Buffer.alloc(0)
    const segment = this.#segments.findLast(({ baseOffset }) => baseOffset <= offset)
    return segment?.read(offset, bytesMax, this.#highWatermark) ?? Buffer.alloc(0)
  }

  /** The first record at or after `timestamp` that readers may see. */
  findTimestamp(timestamp: number): { offset: number; timestamp: number } | undefined {
    for (const segment of this.#segments) {
      const found = segment.findTimestamp(timestamp)
      if (found) return found.offset < this.#highWatermark ? found : undefined
    }
    return undefined
  }

  /** Calls back whenever there is more to read, and when the log is closed. Answers with the way to stop it. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
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
    for (const segment of this.#segments) segment.close()
    for (const watcher of [...this.#watchers]) watcher()
  }

  get #active(): Segment {
    const active = this.#segments.at(-1)
    if (!active) throw new Error('a log always has a segment')
    return active
  }

  /** Readers may see what lies before `end`. */
  #show(end: number): void {
    if (end <= this.#highWatermark) return
    this.#highWatermark = end
    for (const watcher of [...this.#watchers]) watcher()
  }

  /**
   * What an older segment holds was on disk before the next one was begun, so only the last one can be torn; those before it are
   * read for what they tell of producers.
   */
  #recover(): number {
    const active = this.#active
    let first = this.#segments.length - 1
    for (let bytes = active.bytes; first > 0 && bytes < producersBytes; first--) {
      bytes += this.#segments[first - 1]?.bytes ?? 0
    }
    for (const segment of this.#segments.slice(first, -1)) {
      for (const { batch } of segment.batches()) this.#producers.record(batch)
    }
    this.#endOffset = active.baseOffset
    const torn = active.recover((batch) => {
      this.#producers.record(batch)
      this.#endOffset = batch.lastOffset + 1
    })
    // A killed process leaves bytes with the operating system that no fsync has seen yet, and readers are about to see them.
    if (active.bytes > 0) active.syncNow()
    this.#highWatermark = this.#endOffset
    return torn
  }

  /** The next segment is begun only when this one is on disk. */
  #roll(): void {
    this.#active.seal()
    this.#active.checkSound()
    this.#openSegment()
  }

  #openSegment(): void {
    this.#segments.push(new Segment(this.directory, this.#endOffset, this.disk))
    this.disk.syncDirectory(this.directory)
  }
}
