/** Text is written as UTF-8. */
export type Bytes = string | Uint8Array

/** Up to this many characters a loop is faster than a call. */
const shortMax = 48

/** Writes what the protocol and its records consist of, into one buffer that grows. */
export class ByteWriter {
  #bytes: Buffer
  #at = 0

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity)
  }

  get length(): number {
    return this.#at
  }

  /** What was written, from `start` on. Not a copy: it is no longer the same once more is written. */
  written(start = 0): Buffer {
    return this.#bytes.subarray(start, this.#at)
  }

  int8(value: number): this {
    this.#reserve(1)
    this.#bytes[this.#at++] = value
    return this
  }

  int16(value: number): this {
    this.#reserve(2)
    this.#at = this.#bytes.writeInt16BE(value, this.#at)
    return this
  }

  int32(value: number): this {
    this.#reserve(4)
    this.#at = this.#bytes.writeInt32BE(value, this.#at)
    return this
  }

  /** Overwrites what is there. */
  int32At(at: number, value: number): this {
    this.#bytes.writeInt32BE(value, at)
    return this
  }

  int64At(at: number, value: bigint): this {
    this.#bytes.writeBigInt64BE(value, at)
    return this
  }

  /** Zigzag-encoded, 32 bits. */
  varint(value: number): this {
    this.#reserve(5)
    this.#at = putVarint(this.#bytes, value, this.#at)
    return this
  }

  /** As they are, without their length. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
    return this
  }

  /** After their length in two bytes, -1 for null. */
  string(text: string | null): this {
    if (text === null) return this.int16(-1)
    const bytes = Buffer.from(text)
    return this.int16(bytes.length).raw(bytes)
  }

  /** After their length as a varint, -1 for null. */
  part(part: Bytes | null): this {
    if (part === null) return this.varint(-1)
    if (typeof part !== 'string') return this.varint(part.length).raw(part)
    const units = part.length
    this.#reserve(5 + 3 * units)
    const bytes = this.#bytes
    // The length stands in front, and nearly all texts have a byte for each character.
    const guessed = this.#at + varintBytes(units)
    const length = putText(bytes, part, guessed)
    const at = this.#at + varintBytes(length)
    if (at !== guessed) bytes.copyWithin(at, guessed, guessed + length)
    putVarint(bytes, length, this.#at)
    this.#at = at + length
    return this
  }

  #reserve(count: number): void {
    const least = this.#at + count
    if (least <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(least, 2 * this.#bytes.length))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
  }
}

/** Returns the bytes of the text. There is room for the longest that it can be. */
function putText(bytes: Buffer, text: string, at: number): number {
  const { length } = text
  if (length > shortMax) return bytes.write(text, at)
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index)
    if (code > 0x7f) return bytes.write(text, at)
    bytes[at + index] = code
  }
  return length
}

/** Returns where it ends. */
function putVarint(bytes: Buffer, value: number, at: number): number {
  let end = at
  let rest = zigzag(value)
  for (; rest > 0x7f; rest >>>= 7) bytes[end++] = (rest & 0x7f) | 0x80
  bytes[end++] = rest
  return end
}

export function varintBytes(value: number): number {
  let count = 1
  for (let rest = zigzag(value) >>> 7; rest > 0; rest >>>= 7) count++
  return count
}

const zigzag = (value: number): number => ((value << 1) ^ (value >> 31)) >>> 0
