import { afterEach, beforeEach, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createTopicRaw,
  fetchRaw,
  listOffsetRaw,
  produceRaw,
  producerIdRaw,
  RawKafka,
  recordBatch,
} from '../../testing/raw-kafka.ts'
import { startBroker } from './broker.ts'
import { readHeader } from './log/record-batch.ts'

let dataDir: string
const topic = 'durable'

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'broker-main-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

function run(...options: string[]) {
  return Bun.spawn([process.execPath, join(import.meta.dir, 'main.ts'), '--data-dir', dataDir, ...options], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  })
}

async function serving(broker: ReturnType<typeof run>): Promise<string> {
  const { value } = await broker.stdout.getReader().read()
  const [word, brokers] = new TextDecoder().decode(value).trim().split(' ')
  expect(word).toBe('ready')
  return brokers ?? ''
}

const lock = () => join(dataDir, 'lock.pid')

test.each(['SIGTERM', 'SIGINT'] as const)('stops cleanly on %s', async (signal) => {
  const broker = run('--port', '0')
  await serving(broker)
  expect(existsSync(lock())).toBe(true)
  broker.kill(signal)
  expect(await broker.exited).toBe(0)
  expect(existsSync(lock())).toBe(false)
})

test('with --lifeline it exits when its supervisor dies', async () => {
  const broker = run('--port', '0', '--lifeline')
  await serving(broker)
  broker.stdin.end()
  expect(await broker.exited).toBe(0)
})

test('a taken port is named, with the remedy', async () => {
  using taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  // ::1 is localhost, too.
  for (const host of ['127.0.0.1', '0.0.0.0', '::1']) {
    const broker = run('--port', String(taken.port), '--host', host)
    expect(await broker.exited).toBe(1)
    expect(await new Response(broker.stderr).text()).toMatch(
      new RegExp(`port ${taken.port} on ${host} is taken by process ${process.pid} .*--port`),
    )
  }
  expect(existsSync(lock())).toBe(false)
})

test('a second broker on the same directory is refused, naming the pid of the first', async () => {
  const first = run('--port', '0')
  await serving(first)
  const second = run('--port', '0')
  expect(await second.exited).toBe(1)
  expect(await new Response(second.stderr).text()).toContain(`in use by pid ${first.pid}`)
  await expect(startBroker({ dataDir })).rejects.toThrow(`pid ${first.pid}`)
  first.kill()
  await first.exited
  await using here = await startBroker({ dataDir })
  await expect(startBroker({ dataDir })).rejects.toThrow(`pid ${process.pid}`)
  await here.stop()
})

test.each([
  ['of a dead process', 2 ** 22 + 1],
  ['of an earlier process that had our pid', process.pid],
  ['whose pid belongs to another process now', process.ppid],
])('a lock %s is cleaned up', async (_, pid) => {
  writeFileSync(lock(), String(pid))
  await using broker = await startBroker({ dataDir })
  expect(Number(readFileSync(lock(), 'utf8'))).toBe(process.pid)
  expect(broker.port).toBeGreaterThan(0)
})

test('kill -9 at any moment loses nothing that was acknowledged, and writes nothing twice', async () => {
  const acknowledged: number[] = []
  let sequence = 0
  let producerId = -1
  for (let round = 0; round < 6; round++) {
    const broker = run('--port', '0')
    const raw = await RawKafka.connect(await serving(broker))
    if (round === 0) {
      await createTopicRaw(raw, topic)
      producerId = await producerIdRaw(raw)
    }
    // Killed while batches are in flight, each round after a different number of responses.
    const killAfter = acknowledged.length + 1 + round * 7
    const sendNext = async () => {
      const baseSequence = sequence
      const batch = recordBatch([{ value: String(baseSequence) }], {
        producerId,
        producerEpoch: 0,
        baseSequence,
      })
      const { errorCode, baseOffset } = await produceRaw(raw, { topic, batch })
      expect([errorCode, baseOffset]).toEqual([0, baseSequence])
      acknowledged.push(baseOffset)
      sequence++
      if (acknowledged.length >= killAfter) broker.kill('SIGKILL')
    }
    // The batch in flight is resent in the next round with the same sequence.
    for (;;) {
      const lost = await sendNext().then(
        () => false,
        (error: Error) => error.message.includes('closed') || Promise.reject(error),
      )
      if (lost) break
    }
    await broker.exited
  }

  const broker = run('--port', '0')
  await using raw = await RawKafka.connect(await serving(broker))
  const { offset: end } = await listOffsetRaw(raw, topic, -1)
  expect(acknowledged).toEqual([...Array(acknowledged.length).keys()])
  // The batch in flight at the last kill may be there, but nothing more.
  expect(end - acknowledged.length).toBeOneOf([0, 1])
  const { records } = await fetchRaw(raw, { topic, offset: 0, bytesMax: 10 << 20 })
  let expected = 0
  for (let at = 0; at < records.length; expected++) {
    const batch = readHeader(records, at)
    expect(batch).toMatchObject({ baseOffset: expected, baseSequence: expected })
    at += batch?.bytes ?? records.length
  }
  expect(expected).toBe(end)
  broker.kill()
  await broker.exited
})
