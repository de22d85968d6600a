/**
 * Runs third-party Kafka clients against the local broker, or the one in `KAFKA_BROKERS`:
 * `npm run clients [-- NAME ...]`. Each produces with all its codecs, with and without idempotence,
 * consumes in a group, resumes at its commit, shares the topic with a second member, and lists
 * offsets and partitions. Clients are installed below `.runtime`, in exact versions; those whose
 * language is missing on this machine are skipped with a notice. Exits 1 when one fails.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTestConfig } from '../../config/config.ts'
import { startBroker } from '../../local/broker/broker.ts'
import { asksForHelp, refuseUsage, showHelp } from '../../platform/process/options.ts'
import { freePort } from '../../platform/process/ports.ts'
import { cache, once, pythonWith, run } from '../installed.ts'
import { codecsOf, createTopicRaw, RawKafka } from '../raw-kafka.ts'

const here = import.meta.dir
const clientTimeoutMs = 300_000

type Answer = {
  codecs: string[]
  first: string[]
  second: string[]
  shares: number[]
  begins: number[]
  ends: number[]
}
type Client = {
  name: string
  /** The command to run, or why the client cannot run. */
  install(): Promise<string[] | string>
}

const clients: Client[] = [
  { name: 'aiokafka', install: () => python('aiokafka_client.py', ['aiokafka==0.14.0', 'cramjam==2.14.0']) },
  {
    name: 'kafka-python-2.0.2',
    install: () =>
      python('kafka_python_client.py', [
        'kafka-python==2.0.2',
        'six==1.17.0',
        'python-snappy==0.7.3',
        'lz4==4.4.5',
      ]),
  },
  {
    name: 'kafka-python-3.0.12',
    install: () =>
      python('kafka_python_client.py', ['kafka-python==3.0.12', 'python-snappy==0.7.3', 'lz4==4.4.5']),
  },
  { name: 'confluent-kafka', install: () => python('confluent_client.py', ['confluent-kafka==2.16.1']) },
  { name: 'sarama', install: () => go('sarama') },
  { name: 'sarama-fixed-versions', install: () => go('sarama') },
  { name: 'kafka-go', install: () => go('kafka-go') },
  { name: 'franz-go', install: () => go('franz') },
  { name: 'platformatic', install: () => npm('platformatic.mjs', { '@platformatic/kafka': '2.12.1' }) },
]

const names = clients.map(({ name }) => name).join(', ')
const usage = `Usage: npm run clients [-- NAME ...], where NAME is ${names}`
const selected = process.argv.slice(2)
if (asksForHelp(selected)) showHelp(usage)
const stranger = selected.find((name) => !clients.some((client) => client.name === name))
if (stranger) refuseUsage(`There is no client ${stranger}.`, usage)

await using broker = await openBroker()
let passed = 0
let failed = 0
for (const client of clients.filter(({ name }) => selected.length === 0 || selected.includes(name))) {
  const startedAt = performance.now()
  const faults = await tryClient(client).catch((error: Error) => [error.message])
  const seconds = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`
  if (typeof faults === 'string') console.log(`${client.name} is skipped: ${faults}`)
  else if (faults.length === 0) {
    passed++
    console.log(`(pass) ${client.name} (${seconds})`)
  } else {
    failed++
    console.log(`(fail) ${client.name} (${seconds})\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
  }
}
console.log(`\n ${passed} pass\n ${failed} fail`)
process.exitCode = failed > 0 ? 1 : 0

async function openBroker() {
  const { brokers } = readTestConfig(process.env)
  if (brokers) return { brokers: brokers.join(), async [Symbol.asyncDispose]() {} }
  const dataDir = mkdtempSync(join(tmpdir(), 'broker-clients-'))
  const broker = await startBroker({ dataDir, port: freePort(), fsync: false })
  return {
    brokers: broker.brokers,
    async [Symbol.asyncDispose]() {
      await broker.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** The failed checks, or the reason why the client cannot run. */
async function tryClient({ name, install }: Client): Promise<string[] | string> {
  const command = await install()
  if (typeof command === 'string') return command
  await using raw = await RawKafka.connect(broker.brokers)
  const topic = `clients-${name}-${randomUUID()}`
  await createTopicRaw(raw, topic, 2)
  const child = Bun.spawn(
    [
      ...command,
      broker.brokers,
      topic,
      `group-${topic}`,
      ...(name.endsWith('fixed-versions') ? ['fixed'] : []),
    ],
    {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: clientTimeoutMs,
    },
  )
  const [output, complaints, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  if (code !== 0) return [`ended with ${code ?? child.signalCode}: ${complaints.trim().slice(-2000)}`]
  const answer = JSON.parse(output.trim().split('\n').at(-1) ?? '') as Answer
  const stored = await Promise.all([0, 1].map((partition) => codecsOf(raw, topic, partition)))
  return compare(answer, new Set(stored.flat()))
}

function compare(answer: Answer, stored: Set<string>): string[] {
  const produced = answer.codecs.flatMap((codec) => numbered(`${codec} record`, 40))
  const later = numbered('later', 10)
  const ends = answer.ends.reduce((sum, end) => sum + end, 0)
  const checks: [string, unknown, unknown][] = [
    ['first read', answer.first.toSorted(), produced.toSorted()],
    ['second read', answer.second.toSorted(), later.toSorted()],
    ['partitions of each of two members', answer.shares, [1, 1]],
    ['first offsets', answer.begins, [0, 0]],
    ['sum of the end offsets', ends, produced.length + later.length],
    // A client that lacks a codec silently stores uncompressed batches.
    ['codecs stored', [...stored].toSorted(), answer.codecs.toSorted()],
  ]
  return checks
    .filter(([, seen, right]) => !Bun.deepEquals(seen, right))
    .map(([what, seen, right]) => `${what}: ${JSON.stringify(seen)} instead of ${JSON.stringify(right)}`)
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${name} ${index}`)
}

async function python(script: string, packages: string[]): Promise<string[] | string> {
  const installed = await pythonWith(packages)
  return installed.ok ? [join(installed.bin, 'python'), join(here, script)] : installed.reason
}

async function go(program: string): Promise<string[] | string> {
  if (!Bun.which('go')) return 'go is missing'
  const binary = join(cache, 'go', program)
  const failure = await run(['go', 'build', '-o', binary, `./${program}`], join(here, 'go'))
  return failure ?? [binary]
}

/** Runs on the current Bun. */
async function npm(script: string, dependencies: Record<string, string>): Promise<string[] | string> {
  const dir = join(cache, `npm-${Bun.hash(JSON.stringify(dependencies)).toString(36)}`)
  const failure = await once(dir, async () => {
    mkdirSync(dir, { recursive: true })
    writeFileSync(join(dir, 'package.json'), JSON.stringify({ private: true, dependencies }))
    return run([process.execPath, 'install', '--ignore-scripts'], dir)
  })
  if (failure) return failure
  const copy = join(dir, script)
  await Bun.write(copy, Bun.file(join(here, script)))
  return [process.execPath, copy]
}
