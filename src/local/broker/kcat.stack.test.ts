import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codecsOf, createTopicRaw, RawKafka } from '../../testing/raw-kafka.ts'
import { type Broker, startBroker } from './broker.ts'

const kcat = Bun.which('kcat') ?? Bun.which('kafkacat')
if (!kcat)
  console.log(
    'librdkafka is not tested against the local broker: install kcat (Debian: kafkacat, Homebrew: kcat)',
  )

let dataDir: string
let broker: Broker

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'broker-kcat-'))
  broker = await startBroker({ dataDir, fsync: false })
  await using raw = await RawKafka.connect(broker.brokers)
  for (const topic of ['plain', 'packed', 'shared']) await createTopicRaw(raw, topic, 2)
})
afterAll(async () => {
  await broker.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

async function run(options: string[], input = ''): Promise<string> {
  const child = Bun.spawn([kcat ?? '', '-b', broker.brokers, ...options], {
    stdin: new TextEncoder().encode(input),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, complaints, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  expect(code, complaints).toBe(0)
  return output
}

const sorted = (lines: string) => lines.trim().split('\n').sort()

if (kcat) {
  test('librdkafka reads the metadata', async () => {
    expect(await run(['-L'])).toContain('topic "plain" with 2 partitions')
  })

  test('librdkafka produces and consumes, by offset too', async () => {
    await run(['-P', '-t', 'plain', '-p', '1', '-K', ':', '-H', 'origin=kcat'], 'a:1\nb:2\nc:3\n')
    expect(await run(['-C', '-t', 'plain', '-p', '1', '-o', '1', '-e', '-f', '%o %k %s %h\n'])).toBe(
      '1 b 2 origin=kcat\n2 c 3 origin=kcat\n',
    )
    expect((await run(['-Q', '-t', 'plain:1:-1'])).trim()).toBe('plain [1] offset 3')
  })

  test.each(['gzip', 'snappy', 'lz4', 'zstd'])(
    'librdkafka reads the %s it wrote as an idempotent producer',
    async (codec) => {
      const lines = Array.from({ length: 500 }, (_, index) => `${codec} line ${index}`)
      const options = [
        '-X',
        'enable.idempotence=true',
        '-X',
        `compression.codec=${codec}`,
        '-X',
        'linger.ms=50',
      ]
      await run(['-P', '-t', 'packed', ...options], `${lines.join('\n')}\n`)
      const read = sorted(await run(['-C', '-t', 'packed', '-o', 'beginning', '-e', '-q']))
      expect(read.filter((line) => line.startsWith(codec))).toEqual(lines.sort())
      // librdkafka silently stores uncompressed batches when the broker seems to lack the codec.
      await using raw = await RawKafka.connect(broker.brokers)
      const stored = await Promise.all([0, 1].map((partition) => codecsOf(raw, 'packed', partition)))
      expect(stored.flat()).toContain(codec)
    },
  )

  test('librdkafka reads in a group and resumes at its commits', async () => {
    const read = () => run(['-G', 'kcats', '-e', '-q', '-X', 'auto.offset.reset=earliest', 'shared'])
    await run(['-P', '-t', 'shared'], 'one\ntwo\n')
    expect(sorted(await read())).toEqual(['one', 'two'])
    await run(['-P', '-t', 'shared'], 'three\n')
    expect(sorted(await read())).toEqual(['three'])
  })
}
