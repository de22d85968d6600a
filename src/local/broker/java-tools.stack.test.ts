import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Broker, startBroker } from './broker.ts'

const libs = join(process.env.KAFKA_HOME ?? '', 'libs')
const java = process.env.KAFKA_HOME && existsSync(libs) ? Bun.which('java') : null
if (!java)
  console.log(
    "Kafka's own tools are not tested against the local broker: KAFKA_HOME names none, or java is missing",
  )

let dataDir: string
let broker: Broker

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'broker-java-'))
  broker = await startBroker({ dataDir, fsync: false })
})
afterAll(async () => {
  await broker.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

/** Runs a tool by its class, since the wrapper scripts differ between distributions. */
async function run(tool: string, options: string[], input = ''): Promise<string> {
  const jvm = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(libs, '*')]
  const child = Bun.spawn([java ?? '', ...jvm, tool, '--bootstrap-server', broker.brokers, ...options], {
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

const topics = 'org.apache.kafka.tools.TopicCommand'
const configs = 'kafka.admin.ConfigCommand'
const offsets = 'org.apache.kafka.tools.GetOffsetShell'
const groups = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'
const deletion = 'org.apache.kafka.tools.DeleteRecordsCommand'
const produce = 'org.apache.kafka.tools.ConsoleProducer'
const consume = 'org.apache.kafka.tools.consumer.ConsoleConsumer'

if (java) {
  test("Kafka's tools create a topic, produce, consume in a group and describe all of it", async () => {
    await run(topics, ['--create', '--topic', 'tried', '--partitions', '2', '--config', 'retention.ms=60000'])
    await run(produce, ['--topic', 'tried'], 'one\ntwo\nthree\n')
    const group = ['--group', 'tools', '--from-beginning', '--max-messages', '3', '--timeout-ms', '20000']
    const [read, described, configured, ends] = await Promise.all([
      run(consume, ['--topic', 'tried', ...group]),
      run(topics, ['--describe']),
      run(configs, ['--describe', '--topic', 'tried']),
      run(offsets, ['--topic', 'tried']),
    ])
    expect(read.trim().split('\n').sort()).toEqual(['one', 'three', 'two'])
    expect(described).toMatch(/Topic: tried\s.*PartitionCount: 2/)
    expect(configured).toContain('retention.ms=60000')
    await run(configs, ['--alter', '--topic', 'tried', '--add-config', 'retention.ms=-1'])
    expect(await run(configs, ['--describe', '--topic', 'tried'])).toContain('retention.ms=-1')
    const total = [...ends.matchAll(/tried:\d:(\d+)/g)].reduce((sum, [, end]) => sum + Number(end), 0)
    expect(total).toBe(3)
    expect(await run(groups, ['--describe', '--group', 'tools'])).toMatch(
      /tools\s+tried\s+\d\s+\d+\s+\d+\s+0/,
    )
    const ofTopic = [0, 1].map((partition) => ({ topic: 'tried', partition, offset: -1 }))
    const file = join(dataDir, 'offsets.json')
    writeFileSync(file, JSON.stringify({ version: 1, partitions: ofTopic }))
    await run(deletion, ['--offset-json-file', file])
    expect(await run(offsets, ['--topic', 'tried', '--time', 'earliest'])).toEqual(ends)
  })
}
