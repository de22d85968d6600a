import { afterEach, beforeEach, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encode, recordBatch } from '../../testing/raw-kafka.ts'
import type { Context } from './api.ts'
import { fetch } from './apis/records.ts'
import { Disk } from './log/disk.ts'
import { Topics } from './topics.ts'
import { Reader } from './wire.ts'

let dataDir: string

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'topics-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

function open() {
  const topics = new Topics(dataDir, new Disk(false))
  return Object.assign(topics, { [Symbol.dispose]: () => topics.close() })
}

test('files of a deleted topic left by a crash are removed, and never join a new topic', () => {
  open().close()
  const ghost = join(dataDir, 'logs', 'a@1', '0')
  mkdirSync(ghost, { recursive: true })
  writeFileSync(join(ghost, '00000000000000000000.log'), recordBatch([{ value: 'ghost' }]))
  using topics = open()
  expect(existsSync(ghost)).toBe(false)
  topics.create('a')
  expect(topics.partition('a', 0).highWatermark).toBe(0)
})

test('deleting leaves no file behind', () => {
  using topics = open()
  topics.create('a', 3)
  topics.partition('a', 1).append(recordBatch([{ value: 'x' }]))
  topics.delete('a')
  expect(() => topics.delete('a')).toThrow('UNKNOWN_TOPIC')
  expect(readdirSync(join(dataDir, 'logs'))).toEqual([])
})

test('a fetch that waits ends with its connection, and with its topic', async () => {
  using topics = open()
  topics.create('a')
  const client: { onClose?: () => void } = {}
  const body = { waitMaxMs: 60_000, bytesMin: 1, bytesMax: 1, topics: [] }
  const wait = async () => {
    const asked = [{ name: 'a', partitions: [{ index: 0, offset: 0, bytesMax: 1 }] }]
    const wanted = { ...fetch.request.read(new Reader(encode(fetch.request, body))), topics: asked }
    return (await fetch.serve(wanted as never, { topics, client } as unknown as Context))?.topics
  }
  const first = wait()
  client.onClose?.()
  expect(await first).toMatchObject([{ partitions: [{ errorCode: 0 }] }])
  const second = wait()
  topics.delete('a')
  expect(await second).toMatchObject([{ partitions: [{ errorCode: 3 }] }])
})
