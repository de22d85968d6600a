/**
 * The primitive types of the Kafka protocol (https://kafka.apache.org/protocol#protocol_types), non-flexible versions only.
 * Written for a server: whatever a stranger sends is refused before it costs memory.
 */

/** The bytes are not what the protocol says they are. The connection that sent them is closed. */
export class MalformedRequest extends Error {
  override name = 'MalformedRequest'
}

/** Reads one request. Every read is checked against the end of the buffer and throws `MalformedRequest` beyond it. */
export class Reader {
  readonly #buffer: Buffer
  #offset = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  get remaining(): number {
    return this.#buffer.length - this.#offset
  }

  int8(): number {
    return this.#buffer.readInt8(this.#advance(1))
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#advance(2))
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#advance(4))
  }

  /** As a number: offsets, timestamps and producer ids beyond 2^53 are nobody's honest request. */
  int64(): number {
    const value = Number(this.#buffer.readBigInt64BE(this.#advance(8)))
    if (!Number.isSafeInteger(value)) throw new MalformedRequest(`int64 out of range: ${value}`)
    return value
  }

  string(): string {
    return required(this.nullableString())
  }

  nullableString(): string | null {
    const length = this.int16()
    if (length === -1) return null
    const start = this.#advance(length)
    return this.#buffer.toString('utf8', start, start + length)
  }

  bytes(): Buffer {
    return required(this.nullableBytes())
  }

  /** A view of the request, not a copy. */
  nullableBytes(): Buffer | null {
    const length = this.int32()
    if (length === -1) return null
    const start = this.#advance(length)
    return this.#buffer.subarray(start, start + length)
  }

  array<Item>(readItem: () => Item): Item[] {
    return this.nullableArray(readItem) ?? []
  }

  nullableArray<Item>(readItem: () => Item): Item[] | null {
    const length = this.int32()
    if (length === -1) return null
    // No item is shorter than one byte, so a longer claim is a lie and is not worth an allocation.
    if (length < 0 || length > this.remaining) throw new MalformedRequest(`array of ${length} items`)
    const items: Item[] = []
    for (let index = 0; index < length; index++) items.push(readItem())
    return items
  }

  #advance(length: number): number {
    const start = this.#offset
    if (length < 0 || length > this.remaining)
      throw new MalformedRequest(`${length} bytes wanted, ${this.remaining} left`)
    this.#offset = start + length
    return start
  }
}

function required<Value>(value: Value | null): Value {
  if (value === null) throw new MalformedRequest('null where a value is required')
  return value
}

/** Builds one answer in a buffer that grows. */
export class Writer {
  #buffer = Buffer.allocUnsafe(512)
  #length = 0

  int8(value: number): this {
    const at = this.#reserve(1)
    this.#buffer.writeInt8(value, at)
    return this
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  int16(value: number): this {
    const at = this.#reserve(2)
    this.#buffer.writeInt16BE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#reserve(4)
    this.#buffer.writeInt32BE(value, at)
    return this
  }

  int64(value: number): this {
    const at = this.#reserve(8)
    this.#buffer.writeBigInt64BE(BigInt(value), at)
    return this
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1)
    const bytes = Buffer.from(value)
    return this.int16(bytes.length).raw(bytes)
  }

  bytes(value: Buffer | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).raw(value)
  }

  raw(value: Buffer): this {
    const at = this.#reserve(value.length)
    value.copy(this.#buffer, at)
    return this
  }

  array<Item>(items: readonly Item[], writeItem: (item: Item) => void): this {
    this.int32(items.length)
    for (const item of items) writeItem(item)
    return this
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(length: number): number {
    const at = this.#length
    this.#length += length
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, 2 * this.#buffer.length))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    return at
  }
}
