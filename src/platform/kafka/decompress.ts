/**
 * Kafka's compression codecs, with a bound on the output. Snappy and LZ4 are decoded here, because the
 * libraries without native code either do not bound their output or can be made to loop for ever.
 * Tests decode what the libraries compress.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'

/** The output would exceed its bound. */
export class TooLarge extends Error {
  override name = 'TooLarge'
}

/**
 * `codec` as in the attributes of a batch: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. Throws on corrupt
 * data.
 */
export function decompress(codec: number, data: Buffer, bytesMax: number): Buffer {
  if (codec === 0) return data
  if (codec === 1) return bounded(() => gunzipSync(data, { maxOutputLength: bytesMax }), bytesMax)
  if (codec === 2) return snappy(data, bytesMax)
  if (codec === 3) return lz4(data, bytesMax)
  if (codec === 4) return bounded(() => zstdDecompressSync(data, { maxOutputLength: bytesMax }), bytesMax)
  throw new Error(`unknown codec ${codec}`)
}

function bounded(inflate: () => Buffer, bytesMax: number): Buffer {
  try {
    return inflate()
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bytesMax)
    throw error
  }
}

const tooLarge = (bytesMax: number) => new TooLarge(`inflates to more than ${bytesMax} bytes`)
const broken = (what: string) => new Error(`corrupt ${what}`)

/** The output so far, which later parts refer back to. Grows as needed, up to its bound. */
class Output {
  #buffer: Buffer
  #length = 0
  constructor(
    readonly name: string,
    readonly bytesMax: number,
    bytesExpected: number,
  ) {
    this.#buffer = Buffer.allocUnsafe(Math.min(bytesMax, Math.max(bytesExpected, 1024)))
  }

  get length(): number {
    return this.#length
  }

  literal(data: Buffer, from: number, to: number): void {
    if (to > data.length) throw broken(this.name)
    this.#reserve(to - from)
    data.copy(this.#buffer, this.#length, from, to)
    this.#length += to - from
  }

  /** Copies from `distance` bytes back. Source and target may overlap. */
  repeat(distance: number, count: number): void {
    if (distance < 1 || distance > this.#length) throw broken(this.name)
    this.#reserve(count)
    let at = this.#length
    const end = at + count
    // Doubles with each round, since the bytes just written can be copied, too.
    for (let copied = distance; at < end; at += copied, copied *= 2) {
      copied = Math.min(copied, end - at)
      this.#buffer.copyWithin(at, this.#length - distance, this.#length - distance + copied)
    }
    this.#length = end
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed > this.bytesMax) throw tooLarge(this.bytesMax)
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.min(this.bytesMax, Math.max(needed, this.#buffer.length * 2)))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const xerialHeaderBytes = 16

/** A single block, or the framed blocks that Java's library writes. */
function snappy(data: Buffer, bytesMax: number): Buffer {
  const output = new Output('snappy data', bytesMax, data.length * 4)
  if (!data.subarray(0, xerialMagic.length).equals(xerialMagic)) {
    snappyBlock(data, output)
    return output.finish()
  }
  for (let at = xerialHeaderBytes; at < data.length; ) {
    if (at + 4 > data.length) throw broken('snappy data')
    const size = data.readUInt32BE(at)
    const end = at + 4 + size
    if (end > data.length) throw broken('snappy data')
    snappyBlock(data.subarray(at + 4, end), output)
    at = end
  }
  return output.finish()
}

/** https://github.com/google/snappy/blob/main/format_description.txt */
function snappyBlock(data: Buffer, output: Output): void {
  const before = output.length
  let [size, at] = snappyLength(data)
  if (before + size > output.bytesMax) throw tooLarge(output.bytesMax)
  const take = (bytes: number): number => {
    if (at + bytes > data.length) throw broken('snappy data')
    const value = data.readUIntLE(at, bytes)
    at += bytes
    return value
  }
  while (at < data.length) {
    const tag = take(1)
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >> 2
      const count = 1 + (short < 60 ? short : take(short - 59))
      output.literal(data, at, at + count)
      at += count
    } else if (kind === 1) {
      output.repeat(((tag >> 5) << 8) | take(1), 4 + ((tag >> 2) & 7))
    } else {
      output.repeat(take(kind === 2 ? 2 : 4), 1 + (tag >> 2))
    }
    if (output.length - before > size) throw broken('snappy data')
  }
  size -= output.length - before
  if (size !== 0) throw broken('snappy data')
}

/** The claimed length of the output, and where the data begins. */
function snappyLength(data: Buffer): [length: number, next: number] {
  let length = 0
  for (let at = 0; at < 5; at++) {
    const byte = data[at]
    if (byte === undefined) break
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return [length, at + 1]
  }
  throw broken('snappy data')
}

const lz4Magic = 0x184d2204

/**
 * A sequence of frames: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. Checksums are
 * skipped, since the record batch has one.
 */
function lz4(data: Buffer, bytesMax: number): Buffer {
  const output = new Output('lz4 data', bytesMax, data.length * 4)
  let at = 0
  const take = (bytes: number): number => {
    if (at + bytes > data.length) throw broken('lz4 data')
    const value = data.readUIntLE(at, bytes)
    at += bytes
    return value
  }
  while (at < data.length) {
    const magic = take(4)
    // A skippable frame.
    if (magic >>> 4 === 0x184d2a5) {
      at += take(4)
      continue
    }
    if (magic !== lz4Magic) throw broken('lz4 data')
    const flags = take(1)
    if (flags >> 6 !== 1) throw broken('lz4 data')
    const [hasBlockChecksum, hasSize, hasChecksum, hasDictionary] = [16, 8, 4, 1].map(
      (bit) => (flags & bit) !== 0,
    )
    if (hasDictionary) throw new Error('lz4 data needs a dictionary')
    at += 1 + (hasSize ? 8 : 0) + 1
    for (let size = take(4); size !== 0; size = take(4)) {
      const end = at + (size & 0x7fffffff)
      if (end > data.length) throw broken('lz4 data')
      if (size >>> 31 === 1) output.literal(data, at, end)
      else lz4Block(data.subarray(at, end), output)
      at = end + (hasBlockChecksum ? 4 : 0)
    }
    at += hasChecksum ? 4 : 0
  }
  if (at !== data.length) throw broken('lz4 data')
  return output.finish()
}

/** https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md */
function lz4Block(data: Buffer, output: Output): void {
  let at = 0
  const take = (): number => {
    const byte = data[at++]
    if (byte === undefined) throw broken('lz4 data')
    return byte
  }
  const lengthFrom = (nibble: number): number => {
    let length = nibble
    if (nibble < 15) return length
    for (let byte = 255; byte === 255; length += byte) byte = take()
    return length
  }
  while (at < data.length) {
    const token = take()
    const literals = lengthFrom(token >> 4)
    output.literal(data, at, at + literals)
    at += literals
    // The last sequence has literals only.
    if (at === data.length) return
    const distance = take() | (take() << 8)
    output.repeat(distance, 4 + lengthFrom(token & 15))
  }
}
