import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Catalog } from './catalog.ts'
import { CommittedOffsets } from './committed-offsets.ts'
import { Disk } from './log/segment.ts'
import { Topics } from './topics.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'committed-offsets-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const disk = new Disk(false)
function open() {
  const catalog = new Catalog(directory, disk)
  return Object.assign(new CommittedOffsets(catalog), { [Symbol.dispose]: () => catalog.close() })
}
const commit = (topic: string, partition: number, offset: number) => ({
  topic,
  partition,
  offset,
  metadata: null,
})

test('the last commit of each partition survives a restart, unless its topic was deleted', () => {
  {
    using offsets = open()
    const topics = new Topics(directory, offsets.catalog)
    topics.create('b')
    offsets.commit('readers', [commit('a', 0, 5), commit('a', 1, 6), commit('b', 0, 7)])
    offsets.commit('readers', [commit('a', 0, 2 ** 53 - 1)])
    topics.delete('b')
  }
  using offsets = open()
  expect(offsets.groups()).toEqual(['readers'])
  expect(offsets.committed('readers')).toEqual([commit('a', 0, 2 ** 53 - 1), commit('a', 1, 6)])
  expect(offsets.committed('others')).toEqual([])
})

test('the commits of a request are stored together or not at all', () => {
  using offsets = open()
  offsets.commit('readers', [commit('a', 0, 5)])
  disk.full = true
  expect(() => offsets.commit('readers', [commit('a', 0, 6), commit('a', 1, 6)])).toThrow('ENOSPC')
  disk.full = false
  expect(() =>
    offsets.commit('readers', [commit('a', 0, 6), { ...commit('a', 1, 6), topic: null as never }]),
  ).toThrow()
  expect(offsets.committed('readers')).toEqual([commit('a', 0, 5)])
})
