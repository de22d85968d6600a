import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Catalog } from './catalog.ts'
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
  return Object.assign(catalog, { [Symbol.dispose]: () => catalog.close() })
}
const commit = (topic: string, partition: number, offset: number) => ({
  topic,
  partition,
  offset,
  metadata: null,
})

test('the last commit of each partition survives a restart, unless its topic was deleted', () => {
  {
    using catalog = open()
    const topics = new Topics(directory, catalog)
    topics.create('b')
    catalog.commit('readers', [commit('a', 0, 5), commit('a', 1, 6), commit('b', 0, 7)])
    catalog.commit('readers', [commit('a', 0, 2 ** 53 - 1)])
    topics.delete('b')
  }
  using catalog = open()
  expect(catalog.committedGroups()).toEqual(['readers'])
  expect(catalog.committed('readers')).toEqual([commit('a', 0, 2 ** 53 - 1), commit('a', 1, 6)])
  expect(catalog.committed('others')).toEqual([])
})

test('the commits of a request are stored together or not at all', () => {
  using catalog = open()
  catalog.commit('readers', [commit('a', 0, 5)])
  disk.full = true
  expect(() => catalog.commit('readers', [commit('a', 0, 6), commit('a', 1, 6)])).toThrow('ENOSPC')
  disk.full = false
  expect(() =>
    catalog.commit('readers', [commit('a', 0, 6), { ...commit('a', 1, 6), topic: null as never }]),
  ).toThrow()
  expect(catalog.committed('readers')).toEqual([commit('a', 0, 5)])
})
