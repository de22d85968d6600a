import { afterAll, expect, test } from 'bun:test'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTopicRaw, produceRaw, RawKafka, recordBatch } from '../testing/raw-kafka.ts'
import { startBroker } from './broker/broker.ts'
import { makeTreePrivate } from './private-files.ts'

const directory = mkdtempSync(join(tmpdir(), 'private-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const modesBelow = (dir: string) =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => {
    const stat = statSync(join(dir, name))
    return `${stat.isDirectory() ? 'directory' : 'file'} ${(stat.mode & 0o777).toString(8)}`
  })

test('open permissions left by an earlier version are tightened, links are not followed', () => {
  const outside = join(directory, 'outside')
  writeFileSync(outside, '')
  chmodSync(outside, 0o644)
  const tree = join(directory, 'tree')
  mkdirSync(join(tree, 'below'), { recursive: true })
  writeFileSync(join(tree, 'below/file'), '')
  chmodSync(join(tree, 'below'), 0o777)
  chmodSync(join(tree, 'below/file'), 0o666)
  symlinkSync(outside, join(tree, 'link'))
  makeTreePrivate(tree)
  expect(modesBelow(tree).sort()).toEqual(['directory 700', 'file 600', 'file 644'])
})

test('broker files are private to their owner under any umask', async () => {
  const dataDir = join(directory, 'broker')
  const before = process.umask(0)
  try {
    for (let round = 0; round < 2; round++) {
      await using broker = await startBroker({ dataDir })
      await using raw = await RawKafka.connect(broker.brokers)
      if (round === 0) await createTopicRaw(raw, 'kept')
      await produceRaw(raw, { topic: 'kept', batch: recordBatch([{ value: 'x' }]) })
      const modes = modesBelow(dataDir)
      expect(modes.length).toBeGreaterThan(6)
      expect(new Set(modes)).toEqual(new Set(['directory 700', 'file 600']))
    }
  } finally {
    process.umask(before)
  }
})
