/**
 * Throughput, latency and startup of the local broker, compared with the one in `KAFKA_BROKERS`: the
 * same client, in turns within one run, so that other load affects both. Ratios mean more than rates.
 */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { readTestConfig } from '../../config/config.ts'
import { eventually } from '../eventually.ts'
import { createTopicRaw, fetchRaw, produceRaw, RawKafka, recordBatch } from '../raw-kafka.ts'
import { type BrokerProcess, startBrokerProcess } from './broker-process.ts'
import { cpuMicrosOf, peakMegabytesOf } from './processes.ts'

type Target = { name: string; kafka: Kafka; pid?: number; config?: { name: string; value: string }[] }
type Measured = { perSecond: number; clientMicros: number; brokerMicros: number }

const rounds = 6
const records = { small: { batch: 100, count: 60_000 }, large: { batch: 1_000, count: 60_000 } }
const value = Buffer.alloc(100, 'v')

export async function benchBroker(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-broker-'))
  let local: BrokerProcess | undefined
  try {
    local = await startBrokerProcess(join(directory, 'data'))
    const targets: Target[] = [{ name: 'local', kafka: client(local.brokers), pid: local.pid }]
    const given = readTestConfig(process.env).brokers?.join()
    // Apache Kafka acknowledges before it syncs, unless configured per topic; the local broker always
    // syncs first.
    const flushed = [{ name: 'flush.messages', value: '1' }]
    if (given) targets.push({ name: 'given', kafka: client(given) })
    if (given) targets.push({ name: 'given, flushed', kafka: client(given), config: flushed })
    await benchThroughput(targets)
    await benchLatency(targets)
    await local.end('SIGTERM')
    await benchStart(directory)
  } finally {
    await local?.end('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
}

function client(brokers: string): Kafka {
  return new Kafka({ brokers: [brokers], clientId: 'bench', logLevel: logLevel.NOTHING })
}

async function newTopic({ kafka, config: configEntries = [] }: Target): Promise<string> {
  const topic = `bench-${randomUUID()}`
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1, configEntries }] })
  await admin.disconnect()
  return topic
}

async function benchThroughput(targets: Target[]): Promise<void> {
  const kinds = ['produce, batches of 100', 'produce, batches of 1000', 'consume'] as const
  const measured = new Map<string, Measured[]>()
  const note = (kind: string, target: Target, one: Measured) => {
    const key = `${kind} ${target.name}`
    measured.set(key, [...(measured.get(key) ?? []), one])
  }
  // The first round is a warm-up.
  for (let round = 0; round <= rounds; round++) {
    for (const target of round % 2 ? targets : targets.toReversed()) {
      const topic = await newTopic(target)
      const small = await measureProduce(target, topic, records.small)
      const large = await measureProduce(target, topic, records.large)
      const consumed = await measureConsume(target, topic, records.small.count + records.large.count)
      if (round > 0)
        for (const [at, one] of [small, large, consumed].entries()) note(kinds[at] ?? '', target, one)
    }
  }
  console.log(`\n100-byte records, kafkajs, acks -1, one partition; median of ${rounds} rounds in turns`)
  row('', 'records/s', 'client µs', 'broker µs', 'ratio')
  for (const kind of kinds) {
    const [first, ...others] = targets.map((target) => measured.get(`${kind} ${target.name}`) ?? [])
    for (const [at, target] of targets.entries()) {
      const runs = measured.get(`${kind} ${target.name}`) ?? []
      // Ratios within a round, so that other load affects both sides.
      const ratios = others[at - 1]?.map(
        (other, run) => (first?.[run]?.perSecond ?? Number.NaN) / other.perSecond,
      )
      row(
        `${kind}, ${target.name}`,
        number(median(runs.map(({ perSecond }) => perSecond))),
        number(median(runs.map(({ clientMicros }) => clientMicros)), 1),
        number(median(runs.map(({ brokerMicros }) => brokerMicros)), 1),
        ratios ? `local is ${number(median(ratios), 2)}×` : '',
      )
    }
  }
}

/** Runs it and returns the cost per record on both sides. */
async function measure(target: Target, count: number, run: () => Promise<void>): Promise<Measured> {
  const brokerCpu = () => (target.pid ? cpuMicrosOf(target.pid) : Number.NaN)
  const [begun, cpuBegun, brokerBegun] = [performance.now(), process.cpuUsage(), brokerCpu()]
  await run()
  const { user, system } = process.cpuUsage(cpuBegun)
  return {
    perSecond: (count / (performance.now() - begun)) * 1_000,
    clientMicros: (user + system) / count,
    brokerMicros: (brokerCpu() - brokerBegun) / count,
  }
}

async function measureProduce(
  target: Target,
  topic: string,
  { batch, count }: { batch: number; count: number },
) {
  const producer = target.kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  const messages = Array.from({ length: batch }, () => ({ value, partition: 0 }))
  const measured = await measure(target, count, async () => {
    for (let sent = 0; sent < count; sent += batch) await producer.send({ topic, messages })
  })
  await producer.disconnect()
  return measured
}

async function measureConsume(target: Target, topic: string, count: number) {
  const consumer = target.kafka.consumer({ groupId: `bench-${randomUUID()}` })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const joined = new Promise<void>((resolve) => consumer.on(consumer.events.GROUP_JOIN, () => resolve()))
  const done = Promise.withResolvers<void>()
  let read = 0
  await consumer.run({
    eachBatch: async ({ batch }) => {
      read += batch.messages.length
      if (read >= count) done.resolve()
    },
  })
  await joined
  const measured = await measure(target, count - read, () => done.promise)
  await consumer.disconnect()
  return measured
}

async function benchLatency(targets: Target[]): Promise<void> {
  const first = new Map<string, number[]>(targets.map(({ name }) => [name, []]))
  const single = new Map<string, number[]>(targets.map(({ name }) => [name, []]))
  for (let round = 0; round < 5; round++) {
    for (const target of targets) {
      const topic = await newTopic(target)
      const producer = target.kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
      await producer.connect()
      for (let sent = 0; sent < 120; sent++) {
        const begun = performance.now()
        await producer.send({ topic, messages: [{ value }] })
        if (sent >= 20) single.get(target.name)?.push(performance.now() - begun)
      }
      await producer.disconnect()
      first.get(target.name)?.push(await firstRecordMs(target, topic))
    }
  }
  console.log('\nmilliseconds; first record: from connecting to the first record of a new group')
  row('', 'send p50', 'send p99', 'first record')
  for (const { name } of targets) {
    const sends = (single.get(name) ?? []).sort((left, right) => left - right)
    const [p50, p99] = [0.5, 0.99].map((part) =>
      number(sends[Math.floor(sends.length * part)] ?? Number.NaN, 1),
    )
    row(name, p50 ?? '', p99 ?? '', number(median(first.get(name) ?? [])))
  }
}

async function firstRecordMs(target: Target, topic: string): Promise<number> {
  const begun = performance.now()
  const consumer = target.kafka.consumer({ groupId: `bench-${randomUUID()}` })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const arrived = Promise.withResolvers<number>()
  await consumer.run({ eachMessage: async () => arrived.resolve(performance.now() - begun) })
  const ms = await arrived.promise
  await consumer.disconnect()
  return ms
}

/**
 * Time to start, empty and with a gigabyte after kill -9, and the peak memory when that is read and
 * written.
 */
async function benchStart(directory: string): Promise<void> {
  const dataDir = join(directory, 'start')
  const empty: number[] = []
  for (let round = 0; round < 5; round++) {
    const broker = await startBrokerProcess(join(directory, `empty-${round}`))
    empty.push(broker.readyMs)
    await broker.end('SIGTERM')
  }

  const [topic, partitions, megabytes] = ['large', 64, 1_024]
  const filled = await startBrokerProcess(dataDir)
  const writer = await RawKafka.connect(filled.brokers)
  await createTopicRaw(writer, topic, partitions)
  const batch = recordBatch(Array.from({ length: 1_000 }, () => ({ value: Buffer.alloc(1_000, 'v') })))
  for (let sent = 0; sent < megabytes; sent += partitions) {
    const produced = Array.from({ length: partitions }, (_, partition) =>
      produceRaw(writer, { topic, partition, acks: 1, batch }),
    )
    await Promise.all(produced)
  }
  // Killed during a write, so that a log has a torn end.
  const killed = eventually(() => filled.end('SIGKILL'))
  await Promise.all([killed, produceRaw(writer, { topic, acks: 1, batch }).catch(() => {})])

  const full: number[] = []
  const recovered: number[] = []
  let peak = Number.NaN
  for (let round = 0; round < 5; round++) {
    const begun = performance.now()
    const broker = await startBrokerProcess(dataDir)
    full.push(broker.readyMs)
    const raw = await RawKafka.connect(broker.brokers)
    for (let partition = 0; partition < partitions; partition++)
      await fetchRaw(raw, { topic, partition, offset: 0 })
    recovered.push(performance.now() - begun)
    if (round === 4) {
      await readAndWriteAll(raw, { topic, partitions, batch })
      peak = peakMegabytesOf(broker.pid)
    }
    raw.close()
    await broker.end('SIGKILL')
  }
  console.log(`\nstart, milliseconds; ${megabytes} MB in ${partitions} partitions after kill -9`)
  row('empty, until ready', number(median(empty)))
  row('full, until ready', number(median(full)))
  row('full, until each partition was read', number(median(recovered)))
  row('peak memory after reading everything, MB', number(peak))
}

async function readAndWriteAll(
  raw: RawKafka,
  { topic, partitions, batch }: { topic: string; partitions: number; batch: Buffer },
): Promise<void> {
  for (let partition = 0; partition < partitions; partition++) {
    for (let offset = 0; ; ) {
      const { highWatermark, records: block } = await fetchRaw(raw, {
        topic,
        partition,
        offset,
        waitMaxMs: 0,
      })
      if (block.length === 0 || offset >= highWatermark) break
      offset += 1_000 * Math.floor(block.length / batch.length)
    }
    await produceRaw(raw, { topic, partition, batch })
  }
}

function median(values: number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN
}

function number(value: number, digits = 0): string {
  return Number.isNaN(value) ? '–' : value.toLocaleString('en', { maximumFractionDigits: digits })
}

function row(...cells: string[]): void {
  const [first = '', ...others] = cells
  console.log(`${first.padEnd(46)}${others.map((cell) => `  ${cell}`.padStart(18)).join('')}`)
}
