import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { headersOf } from '../../testing/headers'
import { events, type SaldoEvent } from '../events/events'
import { attributeNames, cloudEventHeaders, decodeRecord, encodeEvent, walletSource } from './envelope'
import {
  createSigner,
  createVerifier,
  isSigned,
  type SignedRecord,
  signatureHeader,
  signedBytes,
} from './signature'

const keyOf = (id: string, fill: number) => ({ id, secret: new Uint8Array(32).fill(fill) })
const old = keyOf('2025', 1)
const current = keyOf('2026', 2)
const sign = createSigner(current)
const verify = createVerifier([old, current])

type Header = readonly [name: Buffer, value: Buffer | null]
/** A record as it is received. */
type Received = { topic: string; key: Buffer | null; value: Buffer | null; headers: Header[] }

const signatureOf = (text: string): Header => [Buffer.from(signatureHeader), Buffer.from(text)]
const signed = (record: Received, by = sign): Received => ({
  ...record,
  headers: [...record.headers, signatureOf(by(record))],
})
const causeOf = ({ topic, ...record }: Received, by = verify) => by(topic, record)?.cause

const encoded = encodeEvent({ name: 'HoldPlaced', payload: events.HoldPlaced.example } as SaldoEvent, '')
const record: Received = {
  topic: 'shop.transactions',
  key: Buffer.from(encoded.key),
  value: Buffer.from(encoded.value),
  headers: headersOf({ ...cloudEventHeaders(walletSource, encoded), traceparent: '00-1' }) as Header[],
}
const genuine = signed(record)

test('a record is accepted as any of the keys has signed it', () => {
  expect(causeOf(genuine)).toBeUndefined()
  expect(causeOf(signed(record, createSigner(old)))).toBeUndefined()
  // The publisher signs text, and a reader gets bytes.
  const texts: SignedRecord = {
    topic: record.topic,
    key: encoded.key,
    value: encoded.value,
    headers: Object.entries(cloudEventHeaders(walletSource, encoded)),
  }
  expect(sign(texts)).toBe(sign(record))
})

// Computed by another program: Python's hmac and struct.
test('the signature is the one that the documentation describes', () => {
  const secret = Uint8Array.from({ length: 32 }, (_, index) => index)
  const headers = [
    ['ce_type', 'saldo.example.v1'],
    ['traceparent', 'not signed'],
    ['content-type', 'application/json'],
    ['ce_empty', null],
  ] as const
  expect(createSigner({ id: 'demo', secret })({ topic: 'balances', key: null, value: 'né', headers })).toBe(
    'v1;demo;bY3rFBeGLS7570xr8Y/f45aiQlnBeWOo4X9odxv3fMo=',
  )
})

const signatureText = sign(record)
const mac = signatureText.slice(-44)
const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const invalid: [string, Received][] = [
  ['another topic', { ...genuine, topic: 'shop.balances' }],
  ['the topic of another installation', { ...genuine, topic: 'transactions' }],
  ['another key', { ...genuine, key: Buffer.from('eva') }],
  ['no key', { ...genuine, key: null }],
  ['an empty value', { ...genuine, value: Buffer.alloc(0) }],
  ['no value', { ...genuine, value: null }],
  ['an attribute more', { ...genuine, headers: [...genuine.headers, ...headersOf({ ce_extra: '' })] }],
  [
    'a content type more',
    {
      ...genuine,
      headers: [...genuine.headers, ...headersOf({ 'content-type': 'application/cloudevents+json' })],
    },
  ],
  [
    'an attribute less',
    { ...genuine, headers: genuine.headers.filter(([name]) => String(name) !== 'ce_time') },
  ],
  ['other order', { ...genuine, headers: genuine.headers.toReversed() }],
  ['the same signature twice', { ...genuine, headers: [...genuine.headers, signatureOf(signatureText)] }],
  [
    'a signature before the genuine one',
    { ...genuine, headers: [signatureOf(`v1;2026;${'A'.repeat(43)}=`), ...genuine.headers] },
  ],
  ...[
    `v1;2025;${mac}`,
    `v2;2026;${mac}`,
    `v1;2026;${mac.toLowerCase()}`,
    // Base64 that stands for the same bytes.
    `v1;2026;${mac.slice(0, -2)}${base64[base64.indexOf(mac.at(-2) as string) + 1]}=`,
    `v1;2026;${mac.slice(0, -1)}`,
    `v1;2026;${mac} `,
    `v1;2026;${mac}\n`,
    `v1;;${mac}`,
    `v1;${'x'.repeat(33)};${mac}`,
    `v1;2026`,
    '',
    '\u0000',
    `v1;2026;${'A'.repeat(1_000_000)}`,
  ].map((text): [string, Received] => [
    `the header ${JSON.stringify(text.slice(0, 60))}`,
    { ...record, headers: [...record.headers, signatureOf(text)] },
  ]),
  [
    'a header without a value',
    { ...record, headers: [...record.headers, [Buffer.from(signatureHeader), null]] },
  ],
]

test.each(invalid)('%s is not accepted', (_, changed) => {
  expect(causeOf(changed)).toBe('signature_invalid')
})

test('no signature and an unknown key have causes of their own', () => {
  expect(causeOf(record)).toBe('signature_missing')
  expect(causeOf({ ...record, headers: [] })).toBe('signature_missing')
  expect(causeOf({ ...record, headers: headersOf({ 'Saldo-Signature': signatureText }) as Header[] })).toBe(
    'signature_missing',
  )
  expect(causeOf(genuine, createVerifier([old]))).toBe('signature_key_unknown')
  expect(causeOf(genuine, createVerifier([{ ...old, id: '2026' }]))).toBe('signature_invalid')
})

test('every header that decides how a record is read is signed', () => {
  expect(attributeNames.filter((name) => !isSigned(Buffer.from(name)))).toEqual([])
})

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
const bytesOrNull = fc.option(bytes, { nil: null })
const known = [...attributeNames, 'ce_id', 'ce_', 'ce', 'CE_TYPE', 'Content-Type', 'traceparent', '']
const name = fc.oneof(
  fc.constantFrom(...known).map((text) => Buffer.from(text)),
  bytes,
)
const anyRecord = fc.record({
  topic: fc.string({ maxLength: 20 }),
  key: bytesOrNull,
  value: bytesOrNull,
  headers: fc.array(fc.tuple(name, bytesOrNull), { maxLength: 6 }),
})
const isSignature = ([name]: Header) => String(name) === signatureHeader

test('different records are different bytes: the fields are read back from them', () => {
  const fieldsIn = (signed: Buffer): (string | null)[] => {
    const fields: (string | null)[] = []
    for (let at = 0; at < signed.length; ) {
      const length = signed.readUInt32BE(at)
      at += 4
      fields.push(length === 0xffffffff ? null : signed.subarray(at, at + length).toString('hex'))
      at += length === 0xffffffff ? 0 : length
    }
    return fields
  }
  const hex = (part: Buffer | string | null) =>
    part === null ? null : Buffer.from(part as string).toString('hex')
  fc.assert(
    fc.property(anyRecord, fc.string({ maxLength: 9 }), (record, id) => {
      const { topic, key, value, headers } = record
      const covered = headers.filter(([name]) => isSigned(name)).flat()
      const fields = ['saldo-signature/v1', id, topic, key, value, ...covered]
      expect(fieldsIn(signedBytes(record, id))).toEqual(fields.map(hex))
    }),
  )
})

/** One byte of these parts is another one. */
function changedAt(record: Received, at: number, by: number): Received {
  const parts = [Buffer.from(record.topic), record.key, record.value, ...record.headers.flat()]
  const sizes = parts.map((part) => part?.length ?? 0)
  let left = at % sizes.reduce((sum, size) => sum + size, 0)
  const part = sizes.findIndex((size) => {
    if (left < size) return true
    left -= size
    return false
  })
  const copies = parts.map((one) => one && Buffer.from(one))
  const changed = copies[part] as Buffer
  changed[left] = ((changed[left] as number) + by) & 0xff
  const [topic, key = null, value = null, ...flat] = copies
  const headers = record.headers.map(
    (_, index): Header => [flat[2 * index] as Buffer, flat[2 * index + 1] ?? null],
  )
  return { topic: (topic as Buffer).toString('latin1'), key, value, headers }
}

test('no byte of topic, key, value, signed header or signature can be changed', () => {
  const ascii = fc.string({ unit: fc.constantFrom(...'abcdefgh.-_'), maxLength: 20 })
  fc.assert(
    fc.property(
      fc.record({
        topic: ascii,
        key: bytesOrNull,
        value: bytesOrNull,
        headers: fc.array(fc.tuple(name, bytesOrNull), { maxLength: 6 }),
      }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (random, at, by) => {
        const covered = random.headers.filter(([name]) => isSigned(name))
        const record = signed({ ...random, headers: covered })
        expect(causeOf(record)).toBeUndefined()
        expect(causeOf(changedAt(record, at, by))).toBeString()
      },
    ),
    { numRuns: 2000 },
  )
})

test('headers that are not signed change neither the signature nor what is read', () => {
  fc.assert(
    fc.property(anyRecord, (random) => {
      const record = { ...random, headers: random.headers.filter((header) => !isSignature(header)) }
      const bare = { ...record, headers: record.headers.filter(([name]) => isSigned(name)) }
      expect(sign(record)).toBe(sign(bare))
      expect(causeOf(signed(record))).toBeUndefined()
      expect(decodeRecord(record)).toEqual(decodeRecord(bare))
    }),
  )
  const withTypes = (...headers: Header[]) =>
    decodeRecord({ ...genuine, headers: [...genuine.headers, ...headers] })
  expect(
    withTypes(
      ...(headersOf({ CE_TYPE: 'x', 'Content-Type': 'application/cloudevents', type: 'x' }) as Header[]),
    ),
  ).toEqual(decodeRecord(genuine))
})
