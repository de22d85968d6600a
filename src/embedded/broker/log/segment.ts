import { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { AppendFile, type Disk } from './disk.ts'
import { type BatchHeader, findTimestamp, headerBytes, isIntact, readHeader } from './record-batch.ts'

/** One index entry per this many bytes: little memory, and a read scans at most this much too far. */
const indexEveryBytes = 4096
const scanBytes = 1 << 20

type IndexEntry = { offset: number; position: number }
type Located = { batch: BatchHeader; position: number }

/**
 * A file of record batches, named after the offset of its first. The sparse index lives in memory and is built by walking the
 * headers when it is first needed, so there is no second file that could disagree with this one.
 */
export class Segment extends AppendFile {
  #index: IndexEntry[] | undefined
  #timestampMax = -1

  constructor(
    directory: string,
    readonly baseOffset: number,
    disk: Disk,
  ) {
    super(join(directory, `${String(baseOffset).padStart(20, '0')}.log`), disk)
  }

  get timestampMax(): number {
    this.#load()
    return this.#timestampMax
  }

  /**
   * Walks every batch, checksums included, and cuts the file where they end. Answers with the bytes cut that are no zeros set aside:
   * a batch that is torn.
   */
  recover(visit: (batch: BatchHeader) => void): number {
    this.#index = []
    let end = 0
    for (const { batch, position } of this.batches({ verify: true })) {
      this.#note(batch, position)
      visit(batch)
      end = position + batch.bytes
    }
    const torn = this.readAt(end, this.bytes - end).findLastIndex((byte) => byte !== 0) + 1
    if (this.bytes > end) this.truncate(end)
    return torn
  }

  appendBatch(bytes: Buffer, batch: BatchHeader): void {
    const position = this.bytes
    this.append(bytes)
    this.#note(batch, position)
  }

  /** Whole batches from the one that holds `offset`, up to `bytesMax` and below `offsetEnd`; the first one whatever its size. */
  read(offset: number, bytesMax: number, offsetEnd: number): Buffer {
    const before = this.#load().findLast((entry) => entry.offset <= offset)
    const batches = this.batches({ from: before?.position, blockBytes: 2 * indexEveryBytes })
    const first = batches.find(({ batch }) => batch.lastOffset >= offset)
    if (!first || first.batch.baseOffset >= offsetEnd) return Buffer.alloc(0)
    const block = this.readAt(first.position, Math.max(first.batch.bytes, bytesMax))
    let end = first.batch.bytes
    for (;;) {
      const next = readHeader(block, end)
      if (!next || next.baseOffset >= offsetEnd || end + next.bytes > block.length) return block.subarray(0, end)
      end += next.bytes
    }
  }

  /** The first record at or after the timestamp. */
  findTimestamp(timestamp: number): { offset: number; timestamp: number } | undefined {
    if (this.timestampMax < timestamp) return undefined
    const found = this.batches().find(({ batch }) => batch.maxTimestamp >= timestamp)
    return found && findTimestamp(this.readAt(found.position, found.batch.bytes), found.batch, timestamp)
  }

  /** The batches from a position on, ending early where one is torn (and, when verifying, where a checksum does not hold). */
  *batches({ from = 0, verify = false, blockBytes = scanBytes } = {}): Generator<Located> {
    let block: Buffer = Buffer.alloc(0)
    let blockStart = from
    let position = from
    const ensure = (length: number) => {
      if (position - blockStart + length <= block.length) return
      blockStart = position
      block = this.readAt(position, Math.max(length, blockBytes))
    }
    while (position + headerBytes <= this.bytes) {
      ensure(headerBytes)
      const batch = readHeader(block, position - blockStart)
      if (!batch || position + batch.bytes > this.bytes) return
      if (verify) {
        ensure(batch.bytes)
        const at = position - blockStart
        if (!isIntact(block.subarray(at, at + batch.bytes))) return
      }
      yield { batch, position }
      position += batch.bytes
    }
  }

  remove(): void {
    this.close()
    unlinkSync(this.path)
  }

  #load(): IndexEntry[] {
    if (!this.#index) {
      this.#index = []
      for (const { batch, position } of this.batches()) this.#note(batch, position)
    }
    return this.#index
  }

  #note(batch: BatchHeader, position: number): void {
    const index = this.#load()
    this.#timestampMax = Math.max(this.#timestampMax, batch.maxTimestamp)
    if (position - (index.at(-1)?.position ?? Number.NEGATIVE_INFINITY) >= indexEveryBytes) {
      index.push({ offset: batch.baseOffset, position })
    }
  }
}
