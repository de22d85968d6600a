/**
 * Repeatedly kills and restarts the local broker under idempotent kafkajs producers, then checks that
 * each acknowledged record exists once.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { mulberry32, seed as runSeed } from '../random.ts'
import { listOffsetRaw, RawKafka } from '../raw-kafka.ts'
import { startBrokerProcess } from './broker-process.ts'

const [topic, producers] = ['killed', 3]

export async function killBroker([rounds = '200', seed = String(runSeed)]: string[]): Promise<void> {
  console.log(`${rounds} rounds with seed ${seed}`)
  const dataDir = mkdtempSync(join(tmpdir(), 'bench-kill-'))
  const random = mulberry32(Number(seed))
  let broker = await startBrokerProcess(dataDir)
  const port = Number(broker.brokers.split(':')[1])
  const kafka = new Kafka({
    brokers: [broker.brokers],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 10, maxRetryTime: 50, retries: 1_000 },
  })
  // Small segments, so that kills also hit segment rollover.
  const admin = kafka.admin()
  await admin.connect()
  const configEntries = [{ name: 'segment.bytes', value: '65536' }]
  await admin.createTopics({
    topics: [{ topic, numPartitions: producers, replicationFactor: 1, configEntries }],
  })
  await admin.disconnect()

  const acknowledged = new Set<string>()
  let over = false
  const sending = Array.from({ length: producers }, async (_, partition) => {
    const producer = kafka.producer({ idempotent: true, createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    for (let sent = 0; !over; sent += 10) {
      const messages = Array.from({ length: 10 }, (_, index) => ({
        partition,
        value: `${partition}:${sent + index}`,
      }))
      await producer.send({ topic, acks: -1, messages })
      for (const message of messages) acknowledged.add(message.value)
    }
    await producer.disconnect()
  })
  for (let round = 1; round <= Number(rounds); round++) {
    // A random number of acknowledgements and a random delay, so that the kill hits any instruction.
    const enough = acknowledged.size + 10 * Math.ceil(random() * 20)
    while (acknowledged.size < enough) await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setTimeout(resolve, random() * 5))
    await broker.end('SIGKILL')
    broker = await startBrokerProcess(dataDir, port)
    if (round % 20 === 0) console.log(`${round} kills, ${acknowledged.size} records acknowledged`)
  }
  over = true
  await Promise.all(sending)

  const found = await readAll(kafka, broker.brokers)
  await broker.end('SIGTERM')
  rmSync(dataDir, { recursive: true, force: true })
  const distinct = new Set(found)
  const lost = [...acknowledged].filter((value) => !distinct.has(value))
  const twice = found.length - distinct.size
  console.log(
    `${acknowledged.size} acknowledged, ${found.length} found, ${lost.length} lost, ${twice} duplicates`,
  )
  if (lost.length + twice > 0)
    throw new Error(`acknowledged records were lost or duplicated, with seed ${seed}`)
}

async function readAll(kafka: Kafka, brokers: string): Promise<string[]> {
  await using raw = await RawKafka.connect(brokers)
  let count = 0
  for (let partition = 0; partition < producers; partition++) {
    count += (await listOffsetRaw(raw, topic, -1, partition)).offset
  }
  const found: string[] = []
  const done = Promise.withResolvers<void>()
  const consumer = kafka.consumer({ groupId: 'count' })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message }) => {
      if (found.push(String(message.value)) === count) done.resolve()
    },
  })
  await done.promise
  await consumer.disconnect()
  return found
}
