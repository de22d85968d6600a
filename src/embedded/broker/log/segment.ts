import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { writeAll } from '../files.ts'
import { type BatchHeader, headerBytes, isIntact, readHeader } from './record-batch.ts'

/** One index entry per this many bytes: little memory, and a read scans at most this much too far. */
const indexEveryBytes = 4096
const scanBytes = 1 << 20

type IndexEntry = { offset: number; position: number }
type Located = { batch: BatchHeader; position: number }

/**
 * A file of record batches, named after the offset of its first. The sparse index lives in memory and is built by walking the
 * headers when it is first needed, so there is no second file that could disagree with this one.
 */
export class Segment {
  readonly path: string
  readonly fd: number
  #bytes: number
  #index: IndexEntry[] | undefined
  #timestampMax = -1

  constructor(
    directory: string,
    readonly baseOffset: number,
  ) {
    this.path = join(directory, segmentName(baseOffset))
    this.fd = openSync(this.path, constants.O_RDWR | constants.O_CREAT)
    this.#bytes = fstatSync(this.fd).size
    if (this.#bytes === 0) this.#index = []
  }

  get bytes(): number {
    return this.#bytes
  }

  get timestampMax(): number {
    this.#load()
    return this.#timestampMax
  }

  /** Walks every batch, checksums included, and cuts the file where the first one is torn. Answers with the bytes cut. */
  recover(visit: (batch: BatchHeader) => void): number {
    this.#index = []
    let end = 0
    for (const { batch, position } of this.batches(0, this.#bytes, { verify: true })) {
      this.#note(batch, position)
      visit(batch)
      end = position + batch.bytes
    }
    const torn = this.#bytes - end
    if (torn > 0) ftruncateSync(this.fd, end)
    this.#bytes = end
    return torn
  }

  /** Throws what the disk throws; the segment then is as it was before. */
  append(bytes: Buffer, batch: BatchHeader): void {
    try {
      writeAll(this.fd, bytes, this.#bytes)
    } catch (error) {
      ftruncateSync(this.fd, this.#bytes)
      throw error
    }
    this.#note(batch, this.#bytes)
    this.#bytes += bytes.length
  }

  /** Whole batches from the one that holds `offset`, up to `bytesMax` and below `offsetEnd`; the first one whatever its size. */
  read(offset: number, bytesMax: number, offsetEnd: number): Buffer {
    const first = this.#locate(offset)
    if (!first || first.batch.baseOffset >= offsetEnd) return Buffer.alloc(0)
    const { batch, position } = first
    const block = this.#readAt(position, Math.max(batch.bytes, Math.min(bytesMax, this.#bytes - position)))
    let end = batch.bytes
    for (;;) {
      const next = readHeader(block, end)
      if (!next || next.baseOffset >= offsetEnd || end + next.bytes > block.length) return block.subarray(0, end)
      end += next.bytes
    }
  }

  /** The first batch whose largest timestamp reaches `timestamp`. */
  findTimestamp(timestamp: number): { batch: BatchHeader; bytes: Buffer } | undefined {
    if (this.timestampMax < timestamp) return undefined
    for (const { batch, position } of this.batches(0, this.#bytes)) {
      if (batch.maxTimestamp >= timestamp) return { batch, bytes: this.#readAt(position, batch.bytes) }
    }
    return undefined
  }

  /** The batches between two positions, ending early where one is torn (and, when verifying, where a checksum does not hold). */
  *batches(from: number, to: number, { verify = false, blockBytes = scanBytes } = {}): Generator<Located> {
    let block: Buffer = Buffer.alloc(0)
    let blockStart = from
    let position = from
    const ensure = (length: number) => {
      if (position - blockStart + length <= block.length) return
      blockStart = position
      block = this.#readAt(position, Math.min(Math.max(length, blockBytes), to - position))
    }
    while (position + headerBytes <= to) {
      ensure(headerBytes)
      const batch = readHeader(block, position - blockStart)
      if (!batch || position + batch.bytes > to) return
      if (verify) {
        ensure(batch.bytes)
        const at = position - blockStart
        if (!isIntact(block.subarray(at, at + batch.bytes))) return
      }
      yield { batch, position }
      position += batch.bytes
    }
  }

  close(): void {
    closeSync(this.fd)
  }

  remove(): void {
    this.close()
    unlinkSync(this.path)
  }

  #locate(offset: number): Located | undefined {
    const start = this.#positionBefore(offset)
    for (const located of this.batches(start, this.#bytes, { blockBytes: 2 * indexEveryBytes })) {
      if (located.batch.lastOffset >= offset) return located
    }
    return undefined
  }

  #readAt(position: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(Math.max(0, length))
    let read = 0
    while (read < bytes.length) {
      const got = readSync(this.fd, bytes, read, bytes.length - read, position + read)
      if (got === 0) break
      read += got
    }
    return bytes.subarray(0, read)
  }

  #positionBefore(offset: number): number {
    const index = this.#load()
    let low = 0
    let high = index.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((index[middle] as IndexEntry).offset <= offset) low = middle
      else high = middle - 1
    }
    return index[low]?.position ?? 0
  }

  #load(): IndexEntry[] {
    if (this.#index) return this.#index
    this.#index = []
    for (const { batch, position } of this.batches(0, this.#bytes)) this.#note(batch, position)
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

export function segmentName(baseOffset: number): string {
  return `${String(baseOffset).padStart(20, '0')}.log`
}
