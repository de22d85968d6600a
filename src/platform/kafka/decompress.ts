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

/** Compressed data, and how far it was read. */
class Input {
  at = 0
  constructor(
    readonly data: Buffer,
    readonly name: string,
  ) {}

  get isAtEnd(): boolean {
    return this.at === this.data.length
  }

  corrupt(): Error {
    return new Error(`corrupt ${this.name} data`)
  }

  skip(bytes: number): void {
    this.at += bytes
    if (this.at > this.data.length) throw this.corrupt()
  }

  part(bytes: number): Buffer {
    this.skip(bytes)
    return this.data.subarray(this.at - bytes, this.at)
  }

  /** A little-endian number of up to four bytes. */
  number(bytes: number): number {
    this.skip(bytes)
    return this.data.readUIntLE(this.at - bytes, bytes)
  }
}

/** The output so far, which later parts refer back to. Grows as needed, up to its bound. */
class Output {
  #buffer: Buffer
  #length = 0
  constructor(
    readonly bytesMax: number,
    bytesExpected: number,
  ) {
    this.#buffer = Buffer.allocUnsafe(Math.min(bytesMax, Math.max(bytesExpected, 1024)))
  }

  get length(): number {
    return this.#length
  }

  literal(input: Input, bytes: number): void {
    input.skip(bytes)
    this.#reserve(bytes)
    input.data.copy(this.#buffer, this.#length, input.at - bytes, input.at)
    this.#length += bytes
  }

  /** Copies from `distance` bytes back. Source and target may overlap. */
  repeat(input: Input, distance: number, count: number): void {
    if (distance < 1 || distance > this.#length) throw input.corrupt()
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
  const output = new Output(bytesMax, data.length * 4)
  const input = new Input(data, 'snappy')
  if (data.subarray(0, xerialMagic.length).equals(xerialMagic)) {
    // A header cut short, and no block.
    input.at = Math.min(xerialHeaderBytes, data.length)
    while (!input.isAtEnd) snappyBlock(input.part(input.part(4).readUInt32BE()), output)
  } else snappyBlock(data, output)
  return output.finish()
}

/** https://github.com/google/snappy/blob/main/format_description.txt */
function snappyBlock(data: Buffer, output: Output): void {
  const input = new Input(data, 'snappy')
  const end = output.length + snappyLength(input)
  if (end > output.bytesMax) throw tooLarge(output.bytesMax)
  while (!input.isAtEnd) {
    const tag = input.number(1)
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >> 2
      output.literal(input, 1 + (short < 60 ? short : input.number(short - 59)))
    } else if (kind === 1) {
      output.repeat(input, ((tag >> 5) << 8) | input.number(1), 4 + ((tag >> 2) & 7))
    } else {
      output.repeat(input, input.number(kind === 2 ? 2 : 4), 1 + (tag >> 2))
    }
    if (output.length > end) throw input.corrupt()
  }
  if (output.length !== end) throw input.corrupt()
}

/** The claimed length of the output. */
function snappyLength(input: Input): number {
  let length = 0
  for (let scale = 1; scale <= 2 ** 28; scale *= 2 ** 7) {
    const byte = input.number(1)
    length += (byte & 0x7f) * scale
    if (byte < 0x80) return length
  }
  throw input.corrupt()
}

const lz4Magic = 0x184d2204

/**
 * A sequence of frames: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. Checksums are
 * skipped, since the record batch has one.
 */
function lz4(data: Buffer, bytesMax: number): Buffer {
  const output = new Output(bytesMax, data.length * 4)
  const input = new Input(data, 'lz4')
  while (!input.isAtEnd) {
    const magic = input.number(4)
    // A skippable frame.
    if (magic >>> 4 === 0x184d2a5) {
      input.skip(input.number(4))
      continue
    }
    const flags = magic === lz4Magic ? input.number(1) : 0
    if (flags >> 6 !== 1) throw input.corrupt()
    const [hasBlockChecksum, hasSize, hasChecksum, hasDictionary] = [16, 8, 4, 1].map(
      (bit) => (flags & bit) !== 0,
    )
    if (hasDictionary) throw new Error('lz4 data needs a dictionary')
    input.skip(1 + (hasSize ? 8 : 0) + 1)
    for (let size = input.number(4); size !== 0; size = input.number(4)) {
      const isStored = size >>> 31 === 1
      if (isStored) output.literal(input, size & 0x7fffffff)
      else lz4Block(input.part(size), output)
      input.skip(hasBlockChecksum ? 4 : 0)
    }
    input.skip(hasChecksum ? 4 : 0)
  }
  return output.finish()
}

/** https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md */
function lz4Block(data: Buffer, output: Output): void {
  const input = new Input(data, 'lz4')
  const lengthFrom = (nibble: number): number => {
    let length = nibble
    if (nibble < 15) return length
    for (let byte = 255; byte === 255; length += byte) byte = input.number(1)
    return length
  }
  while (!input.isAtEnd) {
    const token = input.number(1)
    output.literal(input, lengthFrom(token >> 4))
    // The last sequence has literals only.
    if (input.isAtEnd) return
    output.repeat(input, input.number(2), 4 + lengthFrom(token & 15))
  }
}
