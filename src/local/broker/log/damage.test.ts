import { afterEach, beforeEach, expect, test } from 'bun:test'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { openLog } from '../../../testing/partition-log.ts'
import { recordBatch } from '../../../testing/raw-kafka.ts'
import { Disk } from './disk.ts'
import type { PartitionLog } from './partition-log.ts'
import { readHeader } from './record-batch.ts'
import type { Damage } from './segment.ts'

let root: string
let directory: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'damage-'))
  directory = join(root, 'log')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const open = (path = root, disk = new Disk(false)) => openLog(path, { segmentBytes: 700 }, disk)

/** Values by offset, as read by a consumer that continues after each batch. */
function readAll(log: PartitionLog): Map<number, string> {
  const values = new Map<number, string>()
  for (let offset = log.startOffset; offset < log.highWatermark; ) {
    const block = log.read(offset, 1 << 20)
    if (block.length === 0) break
    for (let at = 0, batch = readHeader(block); batch; batch = readHeader(block, at)) {
      const text = block.toString('latin1', at, at + batch.bytes)
      for (const [index, value] of [...text.matchAll(/value \d+/g)].entries())
        values.set(batch.baseOffset + index, value[0])
      offset = batch.lastOffset + 1
      at += batch.bytes
    }
  }
  return values
}

/**
 * Batches of one to three records over several segments; the value of each record is its offset. In a
 * log that was not closed the last are in the journal.
 */
function write(path: string, close: boolean): number {
  const log = open(path, new Disk(!close))
  let next = 0
  for (let batch = 0; batch < 24; batch++) {
    const records = Array.from({ length: 1 + (batch % 3) }, () => ({ value: `value ${next++}` }))
    log.note(recordBatch(records))
    if (batch === 17) log.persist()
  }
  if (close) log[Symbol.dispose]()
  return next
}

test.each([true, false])(
  'a changed byte costs one batch at most, and the loss is reported (closed: %p)',
  (closed) => {
    const original = join(root, 'original')
    const count = write(original, closed)
    const names = readdirSync(original, { recursive: true }).map(String)
    const files = names.filter((name) => /\.(log|journal)$/.test(name)).sort()
    expect(files.length).toBeGreaterThan(3)
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (which, where, change) => {
        const copy = join(root, 'copy')
        rmSync(copy, { recursive: true, force: true })
        cpSync(original, copy, { recursive: true })
        const file = join(copy, files[which % files.length] ?? '')
        const bytes = readFileSync(file)
        const written = bytes.findLastIndex((byte) => byte !== 0) + 1
        const at = where % written
        bytes[at] = (bytes[at] ?? 0) ^ change
        writeFileSync(file, bytes)

        // Opened twice: the damage is moved out once, and reported once.
        for (const isFirst of [true, false]) {
          using log = open(copy)
          const values = readAll(log)
          const missing = [...Array(count).keys()].filter((offset) => !values.has(offset))
          for (const [offset, value] of values) expect(value).toBe(`value ${offset}`)
          // One whole batch at most.
          expect(missing.length).toBeLessThanOrEqual(3)
          if (missing.length > 0 && isFirst) {
            expect(log.damages).toHaveLength(1)
            const { file, bytes, fromOffset, toOffset } = log.damages[0] as Damage
            expect(statSync(file)).toMatchObject({ size: bytes })
            expect(fromOffset).toBe(missing[0] as number)
            if (toOffset > fromOffset) expect(toOffset).toBe((missing.at(-1) as number) + 1)
          }
          if (!isFirst) expect(log.damages).toEqual([])
        }
      }),
      {
        numRuns: 300,
        includeErrorInReport: true,
        examples: [
          [0, 1972514579, 246],
          [1192012014, 1841540454, 1],
        ],
      },
    )
  },
)

test('offsets of a damaged last batch are not reused across restarts', () => {
  const count = write(root, true)
  const name =
    readdirSync(directory)
      .filter((file) => file.endsWith('.log'))
      .sort()
      .at(-1) ?? ''
  const file = join(directory, name)
  const bytes = readFileSync(file)
  bytes[bytes.length - 2] = (bytes.at(-2) ?? 0) ^ 1
  writeFileSync(file, bytes)
  for (const expected of [count, count + 1]) {
    using log = open()
    const baseOffset = log.note(recordBatch([{ value: 'value 99' }]))
    expect(baseOffset).toBe(expected)
    expect(readAll(log).get(expected)).toBe('value 99')
  }
})

test('a batch inside a damaged one is not recovered', () => {
  const inner = recordBatch([{ value: 'value 5' }])
  inner.writeBigInt64BE(5n, 0)
  inner.writeInt32BE(0, 12)
  const log = open()
  for (const value of ['value 0', inner, 'value 2']) {
    log.put(recordBatch([{ value }]))
  }
  log[Symbol.dispose]()
  const file = join(directory, '00000000000000000000.log')
  const bytes = readFileSync(file)
  // Before the inner batch, in the attributes of the outer.
  const at = bytes.indexOf(inner) - 30
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
  using again = open()
  expect([...readAll(again)]).toEqual([
    [0, 'value 0'],
    [2, 'value 2'],
  ])
  expect(again.damages).toMatchObject([{ fromOffset: 1, toOffset: 2 }])
  expect(existsSync(again.damages[0]?.file ?? '')).toBe(true)
})

test('a deletion takes damaged records along, and keeps those behind it as a gap', () => {
  const log = open(root, new Disk(true))
  for (let number = 0; number < 6; number++) {
    log.put(recordBatch([{ value: `value ${number}` }]))
  }
  log[Symbol.dispose]()
  const file = join(directory, `${'0'.repeat(20)}.log`)
  const bytes = readFileSync(file)
  for (const number of [1, 4]) bytes[bytes.indexOf(`value ${number}`)] = 0
  writeFileSync(file, bytes)
  {
    using damagedLog = open()
    expect(damagedLog.damages.map(({ fromOffset }) => fromOffset)).toEqual([1, 4])
    damagedLog.deleteBefore(3)
  }
  expect(readdirSync(directory).sort()).toEqual([
    `${'3'.padStart(20, '0')}.log`,
    `${'3'.padStart(20, '0')}.log.4.damaged`,
    'start-offset',
  ])
  using reopened = open()
  expect([reopened.damages, [...readAll(reopened).keys()]]).toEqual([[], [3, 5]])
})
