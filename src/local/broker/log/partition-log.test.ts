import { afterEach, beforeEach, expect, test } from 'bun:test'
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { snappyCompress } from '@platformatic/wasm-utils'
import fc from 'fast-check'
import { openLog } from '../../../testing/partition-log.ts'
import { type RawProducer, recordBatch } from '../../../testing/raw-kafka.ts'
import { Disk } from './disk.ts'
import type { LogLimits, PartitionLog } from './partition-log.ts'
import { readHeader } from './record-batch.ts'

let root: string
let directory: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'partition-log-'))
  directory = join(root, 'log')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Reports how many bytes of a torn batch were cut off. */
function open(limits: Partial<LogLimits> = {}, disk = new Disk(false)) {
  const log = openLog(root, limits, disk)
  return Object.assign(log, { torn: log.damages.at(-1)?.bytes ?? 0 })
}

const numbered = (number: number, timestamp?: number) =>
  recordBatch([{ value: `record ${number}`, timestamp }])
const segments = () =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.log'))
    .sort()

/** All offsets, read batch by batch as a consumer would. */
function offsetsOf(log: PartitionLog, bytesMax = 1 << 20): number[] {
  const offsets: number[] = []
  for (let offset = log.startOffset; offset < log.highWatermark; ) {
    const block = log.read(offset, bytesMax)
    for (let at = 0; at < block.length; ) {
      const batch = readHeader(block, at)
      if (!batch) throw new Error('half a batch')
      if (batch.lastOffset >= offset)
        for (let each = batch.baseOffset; each <= batch.lastOffset; each++) offsets.push(each)
      offset = batch.lastOffset + 1
      at += batch.bytes
    }
  }
  return offsets
}

test('appended records are read at their offsets, in blocks of any size and across segments', () => {
  using log = open({ segmentBytes: 2_000 })
  for (let number = 0; number < 300; number++) expect(log.put(numbered(number))).toBe(number)
  expect(segments().length).toBeGreaterThan(5)
  for (const bytesMax of [0, 100, 5_000, 1 << 20])
    expect(offsetsOf(log, bytesMax)).toEqual([...Array(300).keys()])
  for (const offset of [0, 1, 17, 150, 299]) expect(readHeader(log.read(offset, 0))?.baseOffset).toBe(offset)
  expect(log.read(300, 1_000).length).toBe(0)
  expect(() => log.read(301, 1_000)).toThrow('OFFSET_OUT_OF_RANGE')
})

test('a reopened log has the same records and appends after them', () => {
  {
    using log = open({ segmentBytes: 2_000 })
    for (let number = 0; number < 100; number++) log.put(numbered(number))
  }
  using log = open({ segmentBytes: 2_000 })
  expect(log.torn).toBe(0)
  expect(log.put(numbered(100))).toBe(100)
  expect(offsetsOf(log)).toEqual([...Array(101).keys()])
})

test('wherever a crash tore the last batch, the ones before it are kept and the rest is cut off', () => {
  const path = join(directory, '00000000000000000000.log')
  let wholeBytes = 0
  {
    using log = open()
    for (let number = 0; number < 3; number++) log.put(numbered(number))
    wholeBytes = statSync(path).size
    log.put(numbered(3))
  }
  const bytes = statSync(path).size
  copyFileSync(path, `${path}.whole`)
  const whole = readFileSync(path)
  for (let cut = wholeBytes; cut < bytes; cut++) {
    copyFileSync(`${path}.whole`, path)
    truncateSync(path, cut)
    using log = open()
    expect(offsetsOf(log)).toEqual([0, 1, 2])
    // Zeros count as preallocated space.
    expect(log.torn).toBe(whole.subarray(wholeBytes, cut).findLastIndex((byte) => byte !== 0) + 1)
    expect(statSync(path).size).toBe(wholeBytes)
    expect(log.put(numbered(3))).toBe(3)
  }
})

test('bytes after the last valid batch are cut off, also a batch with a wrong checksum', () => {
  const path = join(directory, '00000000000000000000.log')
  {
    using log = open()
    log.put(numbered(0))
  }
  const spoiled = numbered(1)
  spoiled[spoiled.length - 1] = 99
  // Zeros are preallocated space: nothing is lost with them.
  const cases: [Buffer, number][] = [
    [spoiled, spoiled.length],
    [Buffer.from('nothing of ours'), 15],
    [Buffer.concat([spoiled, Buffer.alloc(500)]), spoiled.length],
    [Buffer.alloc(500), 0],
  ]
  const { size } = statSync(path)
  for (const [garbage, torn] of cases) {
    appendFileSync(path, garbage)
    using log = open()
    expect(log.torn).toBe(torn)
    expect(offsetsOf(log)).toEqual([0])
    expect(statSync(path).size).toBe(size)
  }
})

test('after a kill, preallocated space is left in the file and ignored', async () => {
  const killed = open({}, new Disk(true))
  for (let number = 0; number < 50; number++) await killed.append(numbered(number)).durable
  const [name = ''] = readdirSync(join(root, 'journal'))
  expect(readFileSync(join(root, 'journal', name)).at(-1)).toBe(0)
  using log = open({}, new Disk(true))
  expect([log.torn, log.highWatermark, log.bytes]).toEqual([0, 50, killed.bytes])
  await log.append(numbered(50)).durable
  expect(offsetsOf(log)).toEqual([...Array(51).keys()])
})

test('full segments and those of a closed log have no preallocated space', async () => {
  {
    using log = open({ segmentBytes: 2_000 }, new Disk(true))
    for (let number = 0; number < 100; number++) await log.append(numbered(number)).durable
  }
  const sizes = segments().map((name) => statSync(join(directory, name)).size)
  using log = open({ segmentBytes: 2_000 })
  expect(sizes.reduce((total, size) => total + size, 0)).toBe(log.bytes)
  expect(offsetsOf(log)).toEqual([...Array(100).keys()])
})

test('readers see a record only once it is on disk', async () => {
  using log = open({}, new Disk(true))
  const { durable } = log.append(numbered(0))
  expect(log.highWatermark).toBe(0)
  let woken = 0
  log.watchers.add(() => woken++)
  await durable
  expect([log.highWatermark, woken]).toEqual([1, 1])
})

test('appends of one tick are written together, in order', async () => {
  using log = open({}, new Disk(true))
  const appended = Array.from({ length: 20 }, (_, number) => log.append(numbered(number)))
  expect(appended.map(({ baseOffset }) => baseOffset)).toEqual([...Array(20).keys()])
  expect(new Set(appended.map(({ durable }) => durable)).size).toBe(1)
  await appended[0]?.durable
  expect(offsetsOf(log)).toEqual([...Array(20).keys()])
})

test.each([true, false])(
  'a batch refused by a full disk leaves no trace: its producer may retry (fsync: %p)',
  async (fsync) => {
    const disk = new Disk(fsync)
    using log = open({ segmentBytes: 1_100 }, disk)
    const sent = (baseSequence: number) =>
      recordBatch([{ value: 'x'.repeat(500) }], { producerId: 7, producerEpoch: 0, baseSequence })
    await log.append(sent(0)).durable
    disk.full = true
    // The third would start a segment.
    const refused = [log.append(sent(1)), log.append(sent(2)), log.append(sent(1))]
    for (const { durable } of refused) expect(durable).rejects.toThrow('ENOSPC')
    await Promise.allSettled(refused.map(({ durable }) => durable))
    expect([log.highWatermark, offsetsOf(log)]).toEqual([1, [0]])
    disk.full = false
    for (const sequence of [1, 2, 3]) {
      const { baseOffset, durable } = log.append(sent(sequence))
      await durable
      expect(baseOffset).toBe(sequence)
    }
    expect(log.put(sent(1))).toBe(1)
    expect(offsetsOf(log)).toEqual([0, 1, 2, 3])
  },
)

test('retention works while records wait to be written, and appends continue', async () => {
  using log = open({ retentionMs: 1_000 }, new Disk(true))
  await log.append(numbered(0, 1)).durable
  const waiting = log.append(numbered(1, 999_999))
  log.retain(1_000_000)
  await waiting.durable
  expect([log.startOffset, log.highWatermark]).toEqual([1, 2])
  expect(offsetsOf(log)).toEqual([1])
})

test('duplicates of an idempotent producer are detected after a restart, in earlier segments too', () => {
  const producer = (baseSequence: number): RawProducer => ({ producerId: 7, producerEpoch: 0, baseSequence })
  const sent = (sequence: number) => recordBatch([{ value: 'x'.repeat(900) }], producer(sequence))
  {
    using log = open({ segmentBytes: 2_000 })
    for (let sequence = 0; sequence < 6; sequence++) log.put(sent(sequence))
  }
  using log = open({ segmentBytes: 2_000 })
  expect([2, 3, 4, 5].map((sequence) => log.put(sent(sequence)))).toEqual([2, 3, 4, 5])
  expect(() => log.append(sent(7))).toThrow('expected 6')
  expect(log.put(sent(6))).toBe(6)
})

test('a replaced epoch is fenced, and a new one starts at sequence 0', () => {
  using log = open()
  const sent = (producerEpoch: number, baseSequence: number) =>
    recordBatch([{ value: 'x' }], { producerId: 7, producerEpoch, baseSequence })
  log.put(sent(1, 0))
  expect(() => log.append(sent(0, 1))).toThrow('INVALID_PRODUCER_EPOCH')
  expect(() => log.append(sent(2, 5))).toThrow('expected 0')
  expect(log.put(sent(2, 0))).toBe(1)
})

test('sequences wrap around to 0', () => {
  using log = open()
  const sent = (baseSequence: number) =>
    recordBatch([{ value: 'a' }, { value: 'b' }], { producerId: 7, producerEpoch: 0, baseSequence })
  log.put(sent(2 ** 31 - 1))
  expect(log.put(sent(1))).toBe(2)
})

test('retention by size removes whole segments, oldest first', () => {
  using log = open({ segmentBytes: 2_000, retentionBytes: 5_000 })
  for (let number = 0; number < 200; number++) log.put(numbered(number))
  log.retain(0)
  expect(log.bytes).toBeGreaterThanOrEqual(5_000)
  expect(log.bytes).toBeLessThan(7_001)
  expect(log.startOffset).toBeGreaterThan(0)
  expect(() => log.read(log.startOffset - 1, 100)).toThrow('OFFSET_OUT_OF_RANGE')
  expect(offsetsOf(log)).toEqual([...Array(200).keys()].slice(log.startOffset))
  expect(readdirSync(directory).sort()).toEqual(segments())
})

test('retention by time removes segments whose newest record is too old, even the last', () => {
  const limits = { segmentBytes: 2_000, retentionMs: 1_000 }
  {
    using log = open(limits)
    for (let number = 0; number < 100; number++) log.put(numbered(number, number * 100))
    log.retain(6_000)
    expect(log.startOffset).toBeGreaterThan(20)
    expect(log.startOffset).toBeLessThanOrEqual(50)
    log.retain(1_000_000)
    expect([log.startOffset, log.highWatermark]).toEqual([100, 100])
  }
  using log = open(limits)
  expect(log.put(numbered(100))).toBe(100)
})

/** The values in all files, those of the journal, too, by the number in each. */
const valuesOnDisk = () =>
  new Set(
    ['log', 'journal'].flatMap((directory) =>
      readdirSync(join(root, directory)).flatMap((name) =>
        [...readFileSync(join(root, directory, name), 'latin1').matchAll(/record (\d+);/g)].map(
          ([, number]) => Number(number),
        ),
      ),
    ),
  )
/** A batch whose values are its offsets. */
const counting = (from: number, size: number) =>
  recordBatch(Array.from({ length: size }, (_, index) => ({ value: `record ${from + index};` })))

test('deleted records are gone from readers and from disk, in any order with appends and restarts', () => {
  const step = fc.oneof(
    fc.record({ append: fc.integer({ min: 1, max: 5 }) }),
    // As a share of what there is.
    fc.record({ deleteTo: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.constantFrom('persist', 'reopen', 'reopen after a kill'),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, fsync) => {
      rmSync(root, { recursive: true, force: true })
      const reopen = () => open({ segmentBytes: 600 }, new Disk(fsync))
      let log = reopen()
      let [start, end] = [0, 0]
      /** The first offset of each batch. */
      const batches: number[] = []
      for (const one of steps) {
        if (one === 'persist') log.persist()
        else if (typeof one === 'string') {
          if (one === 'reopen') log[Symbol.dispose]()
          log = reopen()
        } else if ('append' in one) {
          expect(log.note(counting(end, one.append))).toBe(end)
          batches.push(end)
          end += one.append
        } else {
          start = Math.max(start, Math.round(one.deleteTo * end))
          log.deleteBefore(start)
          const holder = start === end ? end : batches.findLast((first) => first <= start)
          expect(Math.min(end, ...valuesOnDisk())).toBe(holder ?? end)
        }
        expect([log.startOffset, log.highWatermark]).toEqual([start, end])
        expect(offsetsOf(log).filter((offset) => offset >= start)).toEqual(
          Array.from({ length: end - start }, (_, index) => start + index),
        )
        if (start > 0) expect(() => log.read(start - 1, 100)).toThrow('OFFSET_OUT_OF_RANGE')
      }
      log[Symbol.dispose]()
    }),
    { numRuns: 60 },
  )
})

test('no deletion beyond the end, and none that goes back', () => {
  using log = open()
  for (let number = 0; number < 4; number++) log.put(numbered(number))
  expect(() => log.deleteBefore(5)).toThrow('OFFSET_OUT_OF_RANGE')
  expect(() => log.deleteBefore(-1)).toThrow('OFFSET_OUT_OF_RANGE')
  log.deleteBefore(3)
  log.deleteBefore(1)
  expect([log.startOffset, offsetsOf(log)]).toEqual([3, [3]])
  expect(log.findTimestamp(0)?.offset).toBe(3)
})

test('a crash between the steps of a deletion leaves nothing of it', () => {
  {
    using log = open()
    for (let number = 0; number < 6; number++) log.put(counting(number, 1))
  }
  const whole = readFileSync(join(directory, segments()[0] ?? ''))
  writeFileSync(join(directory, 'start-offset'), '4')
  {
    using log = open()
    expect([log.startOffset, offsetsOf(log)]).toEqual([4, [4, 5]])
    expect([...valuesOnDisk()]).toEqual([4, 5])
  }
  // The successor was there, and the old segment, too.
  writeFileSync(join(directory, `${'0'.repeat(20)}.log`), whole)
  using log = open()
  expect(segments()).toEqual([`${'4'.padStart(20, '0')}.log`])
  expect([...valuesOnDisk()]).toEqual([4, 5])
  expect(log.put(counting(6, 1))).toBe(6)
})

test('a full disk refuses a deletion as a whole', () => {
  const disk = new Disk(true)
  using log = open({}, disk)
  for (let number = 0; number < 3; number++) log.put(numbered(number))
  disk.full = true
  expect(() => log.deleteBefore(2)).toThrow('ENOSPC')
  expect(log.startOffset).toBe(0)
  disk.full = false
  log.deleteBefore(2)
  expect(offsetsOf(log)).toEqual([2])
})

test('an offset is found by time over all segments', () => {
  using log = open({ segmentBytes: 2_000 })
  for (let number = 0; number < 100; number++) log.put(numbered(number, 1_000 + number * 10))
  expect(log.findTimestamp(0)?.offset).toBe(0)
  expect(log.findTimestamp(1_500)).toEqual({ offset: 50, timestamp: 1_500 })
  expect(log.findTimestamp(1_501)?.offset).toBe(51)
  expect(log.findTimestamp(2_000)).toBeUndefined()
})

test('inside a compressed batch a record is found by its own time', () => {
  using log = open()
  const records = [1_000, 1_010, 1_020].map((timestamp) => ({ value: `at ${timestamp}`, timestamp }))
  log.put(
    recordBatch(records, undefined, { codec: 2, compress: (bytes) => Buffer.from(snappyCompress(bytes)) }),
  )
  expect(log.findTimestamp(1_005)).toEqual({ offset: 1, timestamp: 1_010 })
})
