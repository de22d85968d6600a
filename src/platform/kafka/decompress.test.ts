/**
 * What libraries compress is decoded within the bound; anything else is refused, at no cost in memory
 * or time.
 */
import { expect, test } from 'bun:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { lz4Compress, snappyCompress } from '@platformatic/wasm-utils'
import fc from 'fast-check'
import { casesOf } from '../../testing/random'
import { decompress, TooLarge } from './decompress'

const xerial = (...parts: Buffer[]) =>
  Buffer.concat([
    Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]),
    ...parts.flatMap((part) => {
      const block = snappyCompress(part)
      const size = Buffer.alloc(4)
      size.writeUInt32BE(block.length)
      return [size, block]
    }),
  ])

const codecs: [name: string, codec: number, compress: (data: Buffer) => Buffer][] = [
  ['none', 0, (data) => data],
  ['gzip', 1, (data) => gzipSync(data)],
  ['snappy', 2, snappyCompress],
  ['snappy, framed as in Java', 2, (data) => xerial(data.subarray(0, 100), data.subarray(100))],
  ['lz4', 3, lz4Compress],
  ['zstd', 4, (data) => zstdCompressSync(data)],
]

/**
 * Runs of repeated and of random bytes, to exercise literals and repetitions. Never empty: the
 * compressor of the tests throws on empty input after its memory has grown.
 */
const data = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 3000 })), {
    minLength: 1,
    maxLength: 12,
  })
  .map((runs) =>
    Buffer.concat(runs.flatMap(([bytes, times]) => Array<Buffer>(times).fill(Buffer.from(bytes)))),
  )

test.each(codecs)('%s: a round trip, bounded to the byte', (_, codec, compress) => {
  fc.assert(
    fc.property(data, (whole) => {
      const packed = compress(whole)
      expect(decompress(codec, packed, Math.max(1, whole.length)).equals(whole)).toBe(true)
      if (codec !== 0 && whole.length > 1)
        expect(() => decompress(codec, packed, whole.length - 1)).toThrow(TooLarge)
    }),
    { numRuns: casesOf(60) },
  )
})

test.each(codecs.slice(1))('%s: corrupt data is an error, at once', (_, codec, compress) => {
  const whole = Buffer.from('some text that is repeated, some text that is repeated. '.repeat(50))
  const packed = compress(whole)
  // Some decoders return what they have when the rest is missing: the record count reveals it.
  for (let length = 1; length < packed.length; length++) {
    try {
      expect(decompress(codec, packed.subarray(0, length), 1 << 20).length).toBeLessThan(whole.length + 1)
    } catch (error) {
      expect(error).toBeInstanceOf(Error)
    }
  }
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(packed.length - 1),
      fc.nat(255),
      (noise, at, byte) => {
        const flipped = Buffer.from(packed)
        flipped[at] = byte
        for (const bytes of [Buffer.from(noise), flipped, Buffer.concat([packed.subarray(0, at), noise])]) {
          try {
            expect(decompress(codec, bytes, 1 << 16).length).toBeLessThanOrEqual(1 << 16)
          } catch (error) {
            expect(error).toBeInstanceOf(Error)
          }
        }
      },
    ),
    { numRuns: casesOf(300) },
  )
})

test.each(codecs.slice(1))('%s: hundreds of megabytes are not inflated', (_, codec, compress) => {
  const packed = compress(Buffer.alloc(200 << 20))
  const before = process.memoryUsage().rss
  expect(() => decompress(codec, packed, 16 << 20)).toThrow(TooLarge)
  expect(process.memoryUsage().rss - before).toBeLessThan(100 << 20)
})

test('a snappy literal that claims too much neither loops nor allocates', () => {
  for (const length of [0x7fffffff, 0x80000000, 0xffffffff - 5, 0xffffffff]) {
    const claim = Buffer.alloc(9)
    claim[0] = 100
    claim[1] = 63 << 2
    claim.writeUInt32LE(length >>> 0, 2)
    expect(() => decompress(2, claim, 1 << 20)).toThrow()
  }
})

test('lz4 as its own tool writes it: linked blocks, block checksums, several frames', () => {
  const whole = Buffer.from('linked blocks refer to what came before them. '.repeat(3000))
  expect(decompress(3, Buffer.from(linked, 'base64'), 1 << 20).equals(whole)).toBe(true)
  const twice = Buffer.concat([lz4Compress(Buffer.from('one, ')), lz4Compress(Buffer.from('two'))])
  expect(decompress(3, twice, 100).toString()).toBe('one, two')
})

test('other codec numbers are refused', () => {
  for (const codec of [5, 6, 7]) expect(() => decompress(codec, Buffer.from('x'), 10)).toThrow(`${codec}`)
})

/** `lz4 -B4 -BD -BX`. */
const linked =
  'BCJNGFRArjkBAAD/H2xpbmtlZCBibG9ja3MgcmVmZXIgdG8gd2hhdCBjYW1lIGJlZm9yZSB0aGVtLiAuAP//////////////////' +
  '////////////////////////////////////////////////////////////////////////////////////////////////////' +
  '////////////////////////////////////////////////////////////////////////////////////////////////////' +
  '////////////////////////////////////////////////////////////////////////////////////////////////////' +
  '//////////////////////+6UCBjYW1lTICiugoBAAAP4P//////////////////////////////////////////////////////' +
  '////////////////////////////////////////////////////////////////////////////////////////////////////' +
  '////////////////////////////////////////////////////////////////////////////////////////////////////' +
  '////////////////////////////////////////////////////////////////////////////////////////6FAgcmVmZXAw' +
  'cvxTAAAA/x9yIHRvIHdoYXQgY2FtZSBiZWZvcmUgdGhlbS4gbGlua2VkIGJsb2NrcyByZWZlLgD/////////////////////////' +
  '/////////+RQaGVtLiANbVyCAAAAADTNOOc='
