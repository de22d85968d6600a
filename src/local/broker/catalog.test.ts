import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { recordBatch } from '../../testing/raw-kafka.ts'
import { Disk } from './log/disk.ts'
import { Topics } from './topics.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'committed-offsets-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const disk = new Disk(false)
function open() {
  const topics = new Topics(directory, disk)
  return Object.assign(topics, { [Symbol.dispose]: () => topics.close() })
}
const commit = (topic: string, partition: number, offset: number) => ({
  topic,
  partition,
  offset,
  metadata: null,
})

test('the last commit of each partition survives a restart, unless its topic was deleted', async () => {
  {
    using topics = open()
    const { catalog } = topics
    topics.create('b')
    await catalog.commit('readers', [commit('a', 0, 5), commit('a', 1, 6), commit('b', 0, 7)])
    await catalog.commit('readers', [commit('a', 0, 2 ** 53 - 1)])
    await catalog.commit('readers of b', [commit('b', 0, 7)])
    topics.delete('b')
  }
  using topics = open()
  const { catalog } = topics
  expect(catalog.committedGroups()).toEqual(['readers'])
  expect(catalog.committed('readers')).toEqual([commit('a', 0, 2 ** 53 - 1), commit('a', 1, 6)])
  expect(catalog.committed('others')).toEqual([])
})

test('after a kill, too: commits, topics, and producer ids that are not given again', async () => {
  const killed = open()
  killed.create('a')
  await killed.catalog.commit('readers', [commit('a', 0, 5)])
  await killed.catalog.commit('readers', [commit('a', 0, 6)])
  const given = [killed.catalog.newProducerId(), killed.catalog.newProducerId()]
  using topics = open()
  expect(topics.names()).toEqual(['a'])
  expect(topics.catalog.committed('readers')).toEqual([commit('a', 0, 6)])
  expect(given).not.toContain(topics.catalog.newProducerId())
  expect(topics.catalog.clusterId).toBe(killed.catalog.clusterId)
})

test('the commits of a request are stored together or not at all', async () => {
  using topics = open()
  const { catalog } = topics
  await catalog.commit('readers', [commit('a', 0, 5)])
  disk.full = true
  await expect(catalog.commit('readers', [commit('a', 0, 6), commit('a', 1, 6)])).rejects.toThrow('ENOSPC')
  disk.full = false
  expect(catalog.committed('readers')).toEqual([commit('a', 0, 5)])
})

/** As version 0.1 had it before its journal. */
function writeSqlite(): void {
  const database = new Database(join(directory, 'catalog.sqlite'))
  database.run(`
    create table topics (
      id integer primary key autoincrement, name unique, partitions, config
    );
    create table commits (
      group_id, topic, partition, "offset", metadata, primary key (group_id, topic, partition)
    ) without rowid;
    create table producers (id integer primary key autoincrement);
    create table cluster (id);
    insert into cluster values ('cluster');
    insert into topics values (7, 'gone', 1, '{}');
    delete from topics;
    insert into topics (name, partitions, config) values ('a', 2, '{"retention.ms":"-1"}');
    insert into commits values ('readers', 'a', 1, 3, null);
    insert into producers values (4);
    delete from producers;
  `)
  database.close()
  mkdirSync(join(directory, 'logs', 'a@8', '1'), { recursive: true })
  const records = recordBatch([{ value: 'before' }])
  // A killed broker left space set aside.
  const file = join(directory, 'logs', 'a@8', '1', `${'0'.repeat(20)}.log`)
  writeFileSync(file, Buffer.concat([records, Buffer.alloc(4096)]))
}

test('a directory of the version with SQLite is taken over, with all that was in it', () => {
  writeSqlite()
  for (const _ of [1, 2]) {
    using topics = open()
    const { catalog } = topics
    expect(catalog.clusterId).toBe('cluster')
    expect(topics.names()).toEqual(['a'])
    expect(topics.require('a')).toMatchObject({ id: 8, partitions: 2, config: { 'retention.ms': '-1' } })
    expect(catalog.committed('readers')).toEqual([commit('a', 1, 3)])
    expect(topics.partition('a', 1).highWatermark).toBe(1)
    expect(topics.partition('a', 1).read(0, 1_000).toString('latin1')).toContain('before')
    expect(existsSync(join(directory, 'catalog.sqlite'))).toBe(false)
  }
  using topics = open()
  expect(topics.catalog.newProducerId()).toBe(5)
  topics.create('b')
  expect(topics.require('b').id).toBe(9)
})

test('records of a version that is not known are refused, and stay', () => {
  const file = join(directory, 'logs', 'a@1', '0', `${'0'.repeat(20)}.log`)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, 'records')
  expect(open).toThrow('another data directory')
  // The catalog of the first version.
  writeFileSync(join(directory, 'catalog.json'), '{"topics":[]}')
  expect(open).toThrow('another data directory')
  expect(readFileSync(file, 'utf8')).toBe('records')
})
