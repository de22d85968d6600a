import { afterEach, beforeEach, expect, test } from 'bun:test'
import {
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
import fc from 'fast-check'
import { eventually } from '../../../testing/eventually.ts'
import { openLog } from '../../../testing/partition-log.ts'
import { recordBatch } from '../../../testing/raw-kafka.ts'
import { Topics } from '../topics.ts'
import { Disk } from './disk.ts'
import { readHeader } from './record-batch.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'journal-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const numbered = (number: number) => recordBatch([{ value: `record ${number};` }])
const files = () => readdirSync(join(root, 'journal')).map((name) => join(root, 'journal', name))

/** The numbers of all records, in order. */
function numbersIn(log: ReturnType<typeof openLog> | ReturnType<Topics['partition']>): number[] {
  const numbers: number[] = []
  for (let offset = log.startOffset; offset < log.highWatermark; ) {
    const block = log.read(offset, 1 << 20)
    numbers.push(
      ...[...block.toString('latin1').matchAll(/record (\d+);/g)].map(([, number]) => Number(number)),
    )
    for (let at = 0, batch = readHeader(block); batch; batch = readHeader(block, at)) {
      offset = batch.lastOffset + 1
      at += batch.bytes
    }
  }
  return numbers
}

class CountingDisk extends Disk {
  writes = 0

  override write(fd: number, bytes: Buffer, position: number): void {
    this.writes++
    super.write(fd, bytes, position)
  }
}

test('all that logs and groups append in one turn is one write', async () => {
  const disk = new CountingDisk(true)
  const topics = new Topics(root, disk)
  topics.create('a', 12)
  topics.create('b', 12)
  const append = (number: number) => {
    const logs = ['a', 'b'].flatMap((name) =>
      Array.from({ length: 12 }, (_, at) => topics.partition(name, at)),
    )
    const commit = { topic: 'a', partition: 0, offset: number, metadata: null }
    const committed = topics.catalog.commit('readers', [commit])
    return [committed, ...logs.map((log) => log.append(numbered(number)).durable)]
  }
  await Promise.all(append(0))
  disk.writes = 0
  await Promise.all(append(1))
  expect(disk.writes).toBe(1)
  expect(numbersIn(topics.partition('b', 11))).toEqual([0, 1])
  topics.close()
})

test('wherever a crash tore the last turn, all that was acknowledged before is kept', () => {
  const killed = openLog(root)
  for (const number of [0, 1]) killed.note(numbered(number))
  const [path = ''] = files()
  const acknowledged = statSync(path).size
  killed.note(numbered(2))
  const whole = readFileSync(path)
  for (let cut = acknowledged; cut < whole.length; cut++) {
    rmSync(root, { recursive: true })
    openLog(root)[Symbol.dispose]()
    writeFileSync(path, whole)
    truncateSync(path, cut)
    {
      using log = openLog(root)
      expect(numbersIn(log)).toEqual([0, 1])
      // Zeros count as space set aside.
      const torn = whole.subarray(acknowledged, cut).findLastIndex((byte) => byte !== 0) + 1
      expect(log.damages.map(({ bytes }) => bytes)).toEqual(torn > 0 ? [torn] : [])
      expect(log.highWatermark).toBe(2)
      log.note(numbered(3))
    }
    using log = openLog(root)
    expect([log.damages, numbersIn(log)]).toEqual([[], [0, 1, 3]])
  }
})

test('wherever a crash tore a segment that the journal has as well, nothing is lost or reported', () => {
  const killed = openLog(root, { segmentBytes: 300 })
  for (const number of [0, 1]) killed.put(numbered(number))
  // What there is now is on disk, and the journal is empty.
  killed[Symbol.dispose]()
  const again = openLog(root, { segmentBytes: 300 })
  for (const number of [2, 3, 4, 5, 6]) again.note(numbered(number))
  again.persist()
  const log = join(root, 'log')
  const before = new Map(readdirSync(log).map((name) => [name, readFileSync(join(log, name))]))
  const [journal = ''] = files()
  const entries = readFileSync(journal)
  expect(before.size).toBeGreaterThan(2)
  for (const [name, bytes] of before) {
    for (
      let cut = name.startsWith('0'.repeat(20)) ? numbered(0).length * 2 : 0;
      cut < bytes.length;
      cut += 7
    ) {
      rmSync(root, { recursive: true })
      openLog(root)[Symbol.dispose]()
      for (const [other, content] of before) writeFileSync(join(log, other), content)
      writeFileSync(journal, entries)
      truncateSync(join(log, name), cut)
      using reopened = openLog(root, { segmentBytes: 300 })
      expect([reopened.damages, numbersIn(reopened)]).toEqual([[], [0, 1, 2, 3, 4, 5, 6]])
    }
  }
})

test('a journal that is full moves to the logs, and goes', async () => {
  const topics = new Topics(root, new Disk(false))
  topics.create('a', 3)
  const open = () => readdirSync('/proc/self/fd').length
  const logs = [0, 1, 2].map((partition) => topics.partition('a', partition))
  const value = 'v'.repeat(50_000)
  const before = open()
  let most = 0
  for (let number = 0; number < 800; number++) {
    const records = recordBatch([{ value: `record ${number};${value}` }])
    await logs[number % 3]?.append(records).durable
    most = Math.max(most, ...files().map((path) => statSync(path).size))
    expect(files().length).toBeLessThanOrEqual(2)
  }
  expect(most).toBeLessThan(9 << 20)
  await eventually(async () => expect(files()).toHaveLength(1))
  // Of 40 MB in ten segments not a file more is open than the journal.
  expect(open()).toBeLessThanOrEqual(before + 1)
  topics.close()
  expect(files()).toEqual([])
  const reopened = new Topics(root, new Disk(false))
  for (const [at] of logs.entries())
    expect(numbersIn(reopened.partition('a', at)).every((number, index) => number === index * 3 + at)).toBe(
      true,
    )
  reopened.close()
})

test('where the disk takes no more, a journal stays until it does', () => {
  const disk = new Disk(true)
  const killed = openLog(root, {}, disk)
  killed.note(numbered(0))
  disk.full = true
  killed[Symbol.dispose]()
  expect(files()).toHaveLength(1)
  disk.full = false
  using log = openLog(root, {}, disk)
  expect(numbersIn(log)).toEqual([0])
  log.deleteBefore(1)
  expect(files()).toEqual([])
})

test('what was moved aside from the journal goes with the next deletion', () => {
  const killed = openLog(root)
  for (const number of [0, 1, 2]) killed.note(numbered(number))
  const [path = ''] = files()
  const bytes = readFileSync(path)
  bytes[bytes.indexOf('record 1')] = 0
  writeFileSync(path, bytes)
  using log = openLog(root)
  expect(log.damages).toMatchObject([{ fromOffset: 1, toOffset: 2 }])
  expect(files()).toHaveLength(1)
  log.deleteBefore(2)
  expect(files()).toEqual([])
  expect(numbersIn(log)).toEqual([2])
})

test('kills in short succession do not add up', async () => {
  const value = 'v'.repeat(500_000)
  for (let run = 0; run < 6; run++) {
    // Not closed, and never full.
    const topics = new Topics(root, new Disk(false))
    if (run === 0) topics.create('a')
    for (let number = 0; number < 10; number++)
      await topics.partition('a', 0).append(recordBatch([{ value }])).durable
    expect(topics.partition('a', 0).highWatermark).toBe(10 * (run + 1))
    await eventually(async () =>
      expect(files().reduce((total, path) => total + statSync(path).size, 0)).toBeLessThan(16 << 20),
    )
  }
})

test('large batches of one log go to its segment, in any order with small ones and kills', () => {
  let number = 0
  const steps = fc.array(fc.constantFrom('small', 'large', 'persist', 'kill', 'close'), { maxLength: 25 })
  let direct = 0
  fc.assert(
    fc.property(steps, (run) => {
      rmSync(root, { recursive: true, force: true })
      const reopen = () => openLog(root, { segmentBytes: 200_000 })
      let log = reopen()
      const expected: number[] = []
      for (const step of run) {
        if (step === 'persist') log.persist()
        else if (step === 'small' || step === 'large') {
          const value = `record ${number};${step === 'large' ? 'v'.repeat(70_000) : ''}`
          log.note(recordBatch([{ value }]))
          expected.push(number++)
          if (step === 'large' && files().length === 0) direct++
        } else {
          if (step === 'close') log[Symbol.dispose]()
          log = reopen()
        }
        expect([log.damages, numbersIn(log)]).toEqual([[], expected])
      }
      log[Symbol.dispose]()
    }),
    { numRuns: 60 },
  )
  expect(direct).toBeGreaterThan(20)
})

test('a disk that refuses a large batch leaves nothing of it', async () => {
  const disk = new Disk(true)
  using log = openLog(root, {}, disk)
  const large = () => recordBatch([{ value: `record 7;${'v'.repeat(70_000)}` }])
  log.note(large())
  disk.full = true
  await expect(log.append(large()).durable).rejects.toThrow('ENOSPC')
  disk.full = false
  expect([log.highWatermark, numbersIn(log)]).toEqual([1, [7]])
  expect(log.note(large())).toBe(1)
  expect(files()).toEqual([])
})

test('a read goes on from segments to what only the journal has', () => {
  using log = openLog(root, { segmentBytes: 150 })
  for (const number of [0, 1, 2]) log.put(numbered(number))
  log.note(numbered(3))
  expect(log.read(0, 1 << 20)).toHaveLength(4 * numbered(0).length)
  expect(log.read(0, 2 * numbered(0).length + 10)).toHaveLength(2 * numbered(0).length)
})
