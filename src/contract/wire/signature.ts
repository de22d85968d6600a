/**
 * Signatures of records: an HMAC-SHA256 in a header, over topic, key, value and every header that a
 * reader uses. Without a key no record can be made, changed, or moved to another topic.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { ReceivedRecord, Unreadable } from './envelope'

export const signatureHeader = 'saldo-signature'

/** A secret that signs and verifies. */
export type SigningKey = { id: string; secret: Uint8Array }

type Bytes = string | Uint8Array
type Header = readonly [name: Bytes, value: Bytes | null]

export type SignedRecord = {
  /** The full name, with the prefix of the installation: signatures of another one are not valid here. */
  topic: string
  key: Bytes | null
  value: Bytes | null
  headers: readonly Header[]
}

/** The value of the header for a record that has none yet. */
export type Sign = (record: SignedRecord) => string

export function createSigner({ id, secret }: SigningKey): Sign {
  const key = createSecretKey(secret)
  return (record) => signatureOf(record, id, key)
}

/** Why a record is not accepted; undefined for one that a key of ours has signed as it is. */
export type Verify = (
  topic: string,
  record: ReceivedRecord & { key: Uint8Array | null },
) => Unreadable | undefined

export function createVerifier(keys: readonly SigningKey[]): Verify {
  const known = new Map(keys.map(({ id, secret }) => [id, createSecretKey(secret)]))
  return (topic, { key, value, headers = [] }) => {
    const [signature, ...others] = headers.filter(([name]) => isEqual(name, signatureName))
    if (!signature) return fault('signature_missing', `the record has no header ${signatureHeader}`)
    if (others.length > 0)
      return fault('signature_invalid', `the record has ${others.length + 1} headers ${signatureHeader}`)
    const [, text] = signature
    const id = text && text.length <= lengthMax ? pattern.exec(textOf(text))?.[1] : undefined
    if (!text || id === undefined)
      return fault('signature_invalid', `the header ${signatureHeader} is not v1;<key id>;<base64>`)
    const secret = known.get(id)
    if (!secret)
      return fault('signature_key_unknown', `it is signed with the key ${id}, which is not known here`)
    const expected = Buffer.from(signatureOf({ topic, key, value, headers }, id, secret), 'latin1')
    if (expected.length === text.length && timingSafeEqual(expected, text)) return undefined
    return fault('signature_invalid', `the record is not what the key ${id} has signed`)
  }
}

/** The text is compared, not the bytes that it stands for: Base64 may spell the same ones differently. */
const pattern = /^v1;([a-z0-9-]{1,32});[A-Za-z0-9+/]{43}=$/
const lengthMax = 'v1;'.length + 32 + ';'.length + 44

function signatureOf(record: SignedRecord, id: string, key: KeyObject): string {
  return `v1;${id};${createHmac('sha256', key).update(signedBytes(record, id)).digest('base64')}`
}

/**
 * What is signed. Each field is its length, in four bytes, and its bytes; so no other record has the
 * same. Headers are in their order, with every repetition: of a repeated name a reader uses one.
 */
export function signedBytes({ topic, key, value, headers }: SignedRecord, keyId: string): Buffer {
  const fields: (Bytes | null)[] = [domain, keyId, topic, key, value]
  for (const [name, text] of headers) if (isSigned(name)) fields.push(name, text)
  let bytesMax = 0
  for (const field of fields) bytesMax += 4 + bytesMaxOf(field)
  const signed = Buffer.allocUnsafe(bytesMax)
  let at = 0
  for (const field of fields) {
    const length = field === null ? 0 : writeAt(signed, field, at + 4)
    writeLength(signed, field === null ? absent : length, at)
    at += 4 + length
  }
  return signed.subarray(0, at)
}

/** No field is as long. */
const absent = 0xffff_ffff
/** The same secret, used elsewhere, makes no signature of a record. */
const domain = 'saldo-signature/v1'

/** Of a text at most three bytes for each unit of UTF-16. */
const bytesMaxOf = (field: Bytes | null): number =>
  typeof field === 'string' ? 3 * field.length : (field?.length ?? 0)

function writeAt(target: Buffer, field: Bytes, at: number): number {
  if (typeof field === 'string') return target.write(field, at)
  target.set(field, at)
  return field.length
}

/** As `writeUInt32BE`, at a fraction of its time. */
function writeLength(target: Buffer, length: number, at: number): void {
  target[at] = length >>> 24
  target[at + 1] = length >>> 16
  target[at + 2] = length >>> 8
  target[at + 3] = length
}

/** Whether a signature covers a header: every CloudEvents attribute, used here or not. */
export const isSigned = (name: Bytes): boolean =>
  typeof name === 'string'
    ? name.startsWith('ce_') || name === 'content-type'
    : (name[0] === attributePrefix[0] && name[1] === attributePrefix[1] && name[2] === attributePrefix[2]) ||
      isEqual(name, contentType)

const signatureName = Buffer.from(signatureHeader)
const attributePrefix = Buffer.from('ce_')
const contentType = Buffer.from('content-type')

/** Most names differ in length, which is faster to see. */
const isEqual = (one: Uint8Array, other: Buffer): boolean => one.length === other.length && other.equals(one)

/** Each byte as a character: a text that is not ASCII does not match. */
const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')

const fault = (cause: Unreadable['cause'], detail: string): Unreadable => ({ cause, detail })
