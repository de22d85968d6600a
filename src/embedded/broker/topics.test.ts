import { afterEach, beforeEach, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { recordBatch } from '../../testing/raw-kafka.ts'
import type { Context } from './api.ts'
import { readWhenThere } from './apis/fetch.ts'
import { Disk } from './log/append-file.ts'
import { Topics } from './topics.ts'

let dataDir: string

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'topics-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

function open() {
  const topics = new Topics(dataDir, new Disk(false), () => {})
  return Object.assign(topics, { [Symbol.dispose]: () => topics.close() })
}

test('what a crash left of a deleted topic is removed, and never becomes part of a new one', () => {
  const ghost = join(dataDir, 'logs', 'a@1', '0')
  mkdirSync(ghost, { recursive: true })
  writeFileSync(join(ghost, '00000000000000000000.log'), recordBatch([{ value: 'ghost' }]))
  using topics = open()
  expect(existsSync(ghost)).toBe(false)
  topics.create({ name: 'a', partitions: 1, config: {} })
  expect(topics.find('a')?.log(0)?.highWatermark).toBe(0)
})

test('deleting leaves no file behind', async () => {
  using topics = open()
  topics.create({ name: 'a', partitions: 3, config: {} })
  topics
    .find('a')
    ?.log(1)
    ?.append(recordBatch([{ value: 'x' }]))
  expect(await topics.delete('a')).toBe(true)
  expect(await topics.delete('a')).toBe(false)
  expect(readdirSync(join(dataDir, 'logs'))).toEqual([])
})

test('a fetch that waits ends with its connection, and with its topic', async () => {
  using topics = open()
  topics.create({ name: 'a', partitions: 1, config: {} })
  let disconnect = () => {}
  const client = {
    id: 'c',
    host: '/127.0.0.1',
    onClose: (callback: () => void) => {
      disconnect = callback
      return () => {}
    },
  }
  const wait = () => {
    const topicsWanted = [{ name: 'a', partitions: [{ index: 0, offset: 0, bytesMax: 1 }] }]
    const wanted = { waitMaxMs: 60_000, bytesMin: 1, bytesMax: 1, topics: topicsWanted }
    return readWhenThere(wanted, { topics, client } as unknown as Context)
  }
  const first = wait()
  disconnect()
  expect(await first).toMatchObject([{ partitions: [{ errorCode: 0 }] }])
  const second = wait()
  await topics.delete('a')
  expect(await second).toMatchObject([{ partitions: [{ errorCode: 3 }] }])
})
