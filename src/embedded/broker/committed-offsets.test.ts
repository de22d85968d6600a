import { afterEach, beforeEach, expect, test } from 'bun:test'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommittedOffsets } from './committed-offsets.ts'
import { Disk } from './log/disk.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'committed-offsets-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function open() {
  const offsets = new CommittedOffsets(directory, new Disk(false))
  return Object.assign(offsets, { [Symbol.dispose]: () => offsets.close() })
}
const commit = (topic: string, partition: number, offset: number) => ({ topic, partition, offset, metadata: null })
const path = () => join(directory, 'offsets.jsonl')

test('the last commit of each partition is there after a restart, deleted groups and topics are not', async () => {
  {
    using offsets = open()
    await offsets.commit('readers', [commit('a', 0, 5), commit('a', 1, 6), commit('b', 0, 7)])
    await offsets.commit('readers', [commit('a', 0, 8)])
    await offsets.commit('gone', [commit('a', 0, 1)])
    await offsets.deleteGroup('gone')
    await offsets.deleteTopic('b')
  }
  using offsets = open()
  expect(offsets.groups()).toEqual(['readers'])
  expect(offsets.committed('readers')).toEqual([{ name: 'a', partitions: [0, 1] }])
  expect([offsets.find('readers', 'a', 0), offsets.find('readers', 'a', 1)]).toEqual([
    commit('a', 0, 8),
    commit('a', 1, 6),
  ])
  expect(offsets.find('readers', 'b', 0)).toBeUndefined()
})

test('a commit that a crash cut anywhere never was, and the next one is readable', async () => {
  let wholeBytes = 0
  {
    using offsets = open()
    await offsets.commit('readers', [commit('a', 0, 5)])
    wholeBytes = statSync(path()).size
    await offsets.commit('readers', [commit('a', 0, 6)])
  }
  const whole = readFileSync(path())
  for (let cut = wholeBytes; cut < whole.length; cut++) {
    truncateSync(path(), 0)
    appendFileSync(path(), whole.subarray(0, cut))
    {
      using offsets = open()
      expect(offsets.find('readers', 'a', 0)?.offset).toBe(5)
      await offsets.commit('readers', [commit('a', 0, 7)])
    }
    using offsets = open()
    expect(offsets.find('readers', 'a', 0)?.offset).toBe(7)
  }
})

test('a file grown large is rewritten with the newest commits alone', async () => {
  {
    using offsets = open()
    const metadata = 'm'.repeat(4_000)
    for (let offset = 0; offset <= 1_100; offset++)
      await offsets.commit('readers', [{ ...commit('a', 0, offset), metadata }])
    offsets.compact()
    expect(statSync(path()).size).toBeLessThan(10_000)
    await offsets.commit('readers', [commit('a', 1, 3)])
  }
  using offsets = open()
  expect([offsets.find('readers', 'a', 0)?.offset, offsets.find('readers', 'a', 1)?.offset]).toEqual([1_100, 3])
})
