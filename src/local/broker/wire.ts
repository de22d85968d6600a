/**
 * The types of the Kafka protocol (https://kafka.apache.org/protocol#protocol_types), each with both
 * directions. In flexible versions (KIP-482) lengths are compact and every object ends in tagged fields:
 * those of a request are skipped, a response has none. Lengths are validated before allocation.
 */

/** The bytes are not what the protocol says they are. The connection that sent them is closed. */
export class MalformedRequest extends Error {
  override name = 'MalformedRequest'
}

/** What may be written, and what is then read: a field that has a default may be left out. */
export type Type<Written, Read = Written> = {
  read(from: Reader): Read
  write(to: Writer, value: Written): void
}

type Shape = { [field: string]: Shape } | Type<never, unknown>
export type ReadOf<S> = S extends Type<never, infer Read> ? Read : { [Field in keyof S]: ReadOf<S[Field]> }
export type WrittenOf<S> =
  S extends Type<infer Written, unknown>
    ? Written
    : { [F in Exclude<keyof S, HasDefault<S>>]: WrittenOf<S[F]> } & { [F in HasDefault<S>]?: WrittenOf<S[F]> }
type HasDefault<S> = {
  [F in keyof S]: S[F] extends Type<infer Written, unknown> ? (undefined extends Written ? F : never) : never
}[keyof S]

/**
 * Goes through one message. Every step is checked against the end of the buffer and throws
 * `MalformedRequest` beyond it.
 */
export class Reader {
  #at = 0
  flexible = false

  constructor(
    readonly buffer: Buffer,
    public version = 0,
  ) {}

  get remaining(): number {
    return this.buffer.length - this.#at
  }

  /** Where the next `length` bytes begin, which are then behind us. */
  take(length: number): number {
    const { remaining } = this
    if (length < 0 || length > remaining)
      throw new MalformedRequest(`${length} bytes wanted, ${remaining} left`)
    this.#at += length
    return this.#at - length
  }
}

/** Bytes of at least this length are not copied before the message is finished. */
const longBytes = 1024

/** Builds one message in a buffer that grows, and what is long beside it. */
export class Writer {
  buffer = Buffer.allocUnsafe(512)
  flexible = false
  #length = 0
  #before: Buffer[] = []

  constructor(readonly version = 0) {}

  /** Where the next `length` bytes begin, for which there is room now. */
  take(length: number): number {
    const at = this.#length
    this.#length += length
    if (this.#length > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, 2 * this.buffer.length, 512))
      this.buffer.copy(larger, 0, 0, at)
      this.buffer = larger
    }
    return at
  }

  put(bytes: Buffer): void {
    if (bytes.length < longBytes) {
      const at = this.take(bytes.length)
      bytes.copy(this.buffer, at)
      return
    }
    this.#before.push(this.buffer.subarray(0, this.#length), bytes)
    this.buffer = this.buffer.subarray(this.#length)
    this.#length = 0
  }

  finish(): Buffer {
    const last = this.buffer.subarray(0, this.#length)
    return this.#before.length > 0 ? Buffer.concat([...this.#before, last]) : last
  }
}

const number = (length: number): Type<number> => ({
  read: (from) => from.buffer.readIntBE(from.take(length), length),
  write(to, value) {
    // First the place, since taking it may change the buffer.
    const at = to.take(length)
    to.buffer.writeIntBE(value, at, length)
  },
})
export const int8 = number(1)
export const int16 = number(2)
export const int32 = number(4)

export const boolean: Type<boolean> = {
  read: (from) => int8.read(from) !== 0,
  write: (to, value) => int8.write(to, value ? 1 : 0),
}

/** As a number: no honest client sends offsets, timestamps or producer ids beyond 2^53. */
export const int64: Type<number> = {
  read(from) {
    const value = Number(from.buffer.readBigInt64BE(from.take(8)))
    if (!Number.isSafeInteger(value)) throw new MalformedRequest(`int64 out of range: ${value}`)
    return value
  },
  write(to, value) {
    const at = to.take(8)
    to.buffer.writeBigInt64BE(BigInt(value), at)
  },
}

/**
 * Seven bits a byte, the lowest first. Lengths and tags, so none that is longer than five bytes is honest.
 */
const unsignedVarint: Type<number> = {
  read(from) {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = from.buffer[from.take(1)] as number
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new MalformedRequest('varint of more than five bytes')
  },
  write(to, value) {
    let rest = value
    for (; rest > 0x7f; rest >>>= 7) {
      const at = to.take(1)
      to.buffer[at] = (rest & 0x7f) | 0x80
    }
    const at = to.take(1)
    to.buffer[at] = rest
  },
}

/** A length, -1 for null: as `fixed` says it, or compact, which counts one more. */
const lengthAs = (fixed: Type<number>): Type<number> => ({
  read: (from) => (from.flexible ? unsignedVarint.read(from) - 1 : fixed.read(from)),
  write: (to, length) => (to.flexible ? unsignedVarint.write(to, length + 1) : fixed.write(to, length)),
})

/** At the end of every object of a flexible version. */
export const tags = {
  skip(from: Reader): void {
    if (!from.flexible) return
    for (let count = unsignedVarint.read(from); count > 0; count--) {
      unsignedVarint.read(from)
      from.take(unsignedVarint.read(from))
    }
  },
  writeNone(to: Writer): void {
    if (to.flexible) unsignedVarint.write(to, 0)
  },
}

/** Bytes behind their length. What is read is a view of the message, not a copy. */
const prefixed = <Value>(
  fixed: Type<number>,
  as: (bytes: Buffer) => Value,
  of: (value: Value) => Buffer,
) => ({
  read(from: Reader): Value | null {
    const bytes = lengthAs(fixed).read(from)
    if (bytes === -1) return null
    const at = from.take(bytes)
    return as(from.buffer.subarray(at, at + bytes))
  },
  write(to: Writer, value: Value | null): void {
    const bytes = value === null ? null : of(value)
    lengthAs(fixed).write(to, bytes?.length ?? -1)
    if (bytes) to.put(bytes)
  },
})

const required = <Value>({ read, write }: Type<Value | null>): Type<Value> => ({
  read(from) {
    const value = read(from)
    if (value === null) throw new MalformedRequest('null where a value is required')
    return value
  },
  write,
})

const same = (bytes: Buffer) => bytes
export const nullableString = prefixed(int16, String, (text: string) => Buffer.from(text))
export const string = required(nullableString)
export const nullableBytes = prefixed(int32, same, same)
export const bytes = required(nullableBytes)

export const uuid: Type<Buffer> = {
  read(from) {
    const at = from.take(16)
    return from.buffer.subarray(at, at + 16)
  },
  write(to, value) {
    const at = to.take(16)
    value.copy(to.buffer, at)
  },
}

export function nullableArray<S extends Shape>(
  item: S,
): Type<readonly WrittenOf<S>[] | null, ReadOf<S>[] | null> {
  const type = typeOf(item)
  const count = lengthAs(int32)
  return {
    read(from) {
      const length = count.read(from)
      if (length === -1) return null
      // No item is shorter than one byte, so a longer claim is a lie and is not worth an allocation.
      if (length < 0 || length > from.remaining) throw new MalformedRequest(`array of ${length} items`)
      return Array.from({ length }, () => type.read(from))
    },
    write(to, items) {
      count.write(to, items?.length ?? -1)
      for (const item of items ?? []) type.write(to, item)
    },
  }
}

/** Clients write an empty one as null, too. */
export function array<S extends Shape>(item: S): Type<readonly WrittenOf<S>[], ReadOf<S>[]> {
  const { read, write } = nullableArray(item)
  return { read: (from) => read(from) ?? [], write }
}

/** The shape that most requests and answers about partitions share. */
export const perTopic = <S extends Shape>(partition: S) =>
  array({ name: string, partitions: array(partition) })

/** In versions `first` to `last` only. Elsewhere, and where the writer leaves it out, it is `otherwise`. */
export const between = <Written, Read extends Written>(
  first: number,
  last: number,
  type: Type<Written, Read>,
  otherwise: Read,
): Type<Written | undefined, Read> => ({
  read: (from) => (from.version >= first && from.version <= last ? type.read(from) : otherwise),
  write(to, value = otherwise) {
    if (to.version >= first && to.version <= last) type.write(to, value)
  },
})

export const since = <Written, Read extends Written>(
  first: number,
  type: Type<Written, Read>,
  otherwise: Read,
) => between(first, Number.POSITIVE_INFINITY, type, otherwise)

export const until = <Written, Read extends Written>(
  last: number,
  type: Type<Written, Read>,
  otherwise: Read,
) => between(0, last, type, otherwise)

/** May be left out by who writes it. */
export const optional = <Written, Read extends Written>(type: Type<Written, Read>, otherwise: Read) =>
  since(0, type, otherwise)

/** An object is its fields, one behind the other. */
export function typeOf<S extends Shape>(shape: S): Type<WrittenOf<S>, ReadOf<S>> {
  if (typeof shape.read === 'function') return shape as unknown as Type<WrittenOf<S>, ReadOf<S>>
  const fields = Object.entries(shape).map(([name, field]) => [name, typeOf(field as Shape)] as const)
  return {
    read(from) {
      const value: Record<string, unknown> = {}
      for (const [name, type] of fields) value[name] = type.read(from)
      tags.skip(from)
      return value as ReadOf<S>
    },
    write(to, value) {
      for (const [name, type] of fields) type.write(to, (value as Record<string, never>)[name] as never)
      tags.writeNone(to)
    },
  }
}
