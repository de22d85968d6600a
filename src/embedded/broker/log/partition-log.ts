import { fdatasyncSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal } from '../error-codes.ts'
import { replaceFile, syncDirectory } from '../files.ts'
import type { Durable, GroupCommit } from './group-commit.ts'
import { ProducerStates } from './producer-states.ts'
import { checkProduced, findTimestamp, readHeader, stampOffset } from './record-batch.ts'
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

export type Appended = {
  baseOffset: number
  /** Settles when the batch is on disk and readers may see it. */
  durable: Promise<void>
}

/**
 * One partition: an append-only sequence of segments. What has been answered as durable is never lost or changed, and readers see
 * a batch (the high watermark passes it) only once it is on disk, so nothing that was read can vanish in a crash.
 */
export class PartitionLog implements Durable {
  readonly #directory: string
  readonly #groupCommit: GroupCommit
  readonly #limits: LogLimits
  readonly #segments: Segment[] = []
  readonly #producers = new ProducerStates()
  readonly #watchers = new Set<() => void>()
  #endOffset = 0
  #highWatermark = 0
  #failure: Error | undefined

  /** Opens the directory, makes it when it is absent, and cuts what a crash left unfinished at the end. */
  constructor(options: {
    directory: string
    groupCommit: GroupCommit
    limits: LogLimits
    onTorn?: (bytes: number) => void
  }) {
    this.#directory = options.directory
    this.#groupCommit = options.groupCommit
    this.#limits = options.limits
    mkdirSync(this.#directory, { recursive: true })
    const baseOffsets = readdirSync(this.#directory)
      .filter((name) => name.endsWith('.log'))
      .map((name) => Number.parseInt(name, 10))
      .sort((left, right) => left - right)
    for (const baseOffset of baseOffsets) this.#segments.push(new Segment(this.#directory, baseOffset))
    if (this.#segments.length === 0) this.#openSegment(0)
    const torn = this.#recoverActive()
    if (torn > 0) options.onTorn?.(torn)
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

  get fd(): number {
    return this.#active.fd
  }

  /**
   * Appends the one batch in `records`, or finds that it is already there (a repeat of an idempotent producer answers as the
   * first time). Refuses with the code the producer is to see. The bytes are stamped in place.
   */
  append(records: Buffer): Appended {
    const limits = this.#limits
    const produced = checkProduced(records, limits.batchBytesMax)
    if (this.#failure) throw new Refusal('KAFKA_STORAGE_ERROR', this.#failure.message)
    const repeated = this.#producers.check(produced)
    if (repeated) return { baseOffset: repeated.baseOffset, durable: this.#groupCommit.commit(this) }

    const baseOffset = this.#endOffset
    stampOffset(records, baseOffset)
    const batch = readHeader(records) ?? produced
    try {
      this.#groupCommit.checkRoom()
      if (this.#active.bytes > 0 && this.#active.bytes + records.length > limits.segmentBytes) this.#roll()
      this.#active.append(records, batch)
    } catch (error) {
      throw new Refusal('KAFKA_STORAGE_ERROR', String(error))
    }
    this.#producers.record(batch, baseOffset)
    this.#endOffset = batch.lastOffset + 1
    return { baseOffset, durable: this.#groupCommit.commit(this) }
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
      if (!found) continue
      const record = findTimestamp(found.bytes, found.batch, timestamp)
      return record.offset < this.#highWatermark ? record : undefined
    }
    return undefined
  }

  /** Calls back whenever there is more to read, and when the log is closed. Answers with the way to stop it. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** Removes whole segments that are past the limits. The caller makes sure no fsync is under way. */
  retain(now: number): void {
    const { retentionBytes, retentionMs } = this.#limits
    const isOld = (segment: Segment) => retentionMs >= 0 && segment.timestampMax < now - retentionMs
    if (this.#active.bytes > 0 && isOld(this.#active)) this.#roll()
    let bytes = this.bytes
    for (let oldest = this.#segments[0]; oldest && oldest !== this.#active; oldest = this.#segments[0]) {
      const tooLarge = retentionBytes >= 0 && bytes - oldest.bytes >= retentionBytes
      if (!tooLarge && !isOld(oldest)) break
      bytes -= oldest.bytes
      this.#segments.shift()
      oldest.remove()
      rmSync(this.#producersPath(oldest.baseOffset), { force: true })
    }
  }

  written(): number {
    return this.#endOffset
  }

  synced(upTo: number): void {
    if (this.#failure) throw this.#failure
    if (upTo <= this.#highWatermark) return
    this.#highWatermark = upTo
    for (const watcher of [...this.#watchers]) watcher()
  }

  syncFailed(error: Error): void {
    this.#failure = error
  }

  /** The caller makes sure no fsync is under way. */
  close(): void {
    for (const segment of this.#segments) segment.close()
    for (const watcher of [...this.#watchers]) watcher()
  }

  get #active(): Segment {
    const active = this.#segments.at(-1)
    if (!active) throw new Error('a log always has a segment')
    return active
  }

  /** What an older segment holds was on disk before the next one was begun, so only the last one can be torn. */
  #recoverActive(): number {
    try {
      this.#producers.restore(readFileSync(this.#producersPath(this.#active.baseOffset), 'utf8'))
    } catch {
      // Absent in the first segment. Elsewhere a lost file costs only the memory of repeats from before this segment.
    }
    this.#endOffset = this.#active.baseOffset
    const torn = this.#active.recover((batch) => {
      this.#producers.record(batch, batch.baseOffset)
      this.#endOffset = batch.lastOffset + 1
    })
    // A killed process leaves bytes with the operating system that no fsync has seen yet, and readers are about to see them.
    if (this.#groupCommit.enabled && this.#active.bytes > 0) fdatasyncSync(this.fd)
    this.#highWatermark = this.#endOffset
    return torn
  }

  #roll(): void {
    if (this.#groupCommit.enabled) fdatasyncSync(this.fd)
    replaceFile(this.#producersPath(this.#endOffset), this.#producers.snapshot(), this.#groupCommit.enabled)
    this.#openSegment(this.#endOffset)
  }

  #openSegment(baseOffset: number): void {
    this.#segments.push(new Segment(this.#directory, baseOffset))
    if (this.#groupCommit.enabled) syncDirectory(this.#directory)
  }

  #producersPath(baseOffset: number): string {
    return join(this.#directory, `${String(baseOffset).padStart(20, '0')}.producers.json`)
  }
}
