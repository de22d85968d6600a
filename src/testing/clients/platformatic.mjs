// What `main.ts` asks of every client, with @platformatic/kafka.
import {
  Admin,
  Consumer,
  ListOffsetTimestamps,
  MessagesStreamModes,
  Producer,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'

const [brokers, topic, group] = process.argv.slice(2)
const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const common = { clientId: 'saldo-clients', bootstrapBrokers: brokers.split(',') }

async function produce(codec, idempotent, values) {
  const producer = new Producer({ ...common, idempotent, compression: codec, serializers: stringSerializers })
  await producer.send({ messages: values.map((value) => ({ topic, key: value, value })) })
  await producer.close()
}

const newConsumer = () =>
  new Consumer({
    ...common,
    groupId: group,
    deserializers: stringDeserializers,
    heartbeatInterval: 300,
    sessionTimeout: 10_000,
    rebalanceTimeout: 10_000,
  })
const consume = (consumer) =>
  consumer.consume({
    topics: [topic],
    autocommit: false,
    mode: MessagesStreamModes.COMMITTED,
    fallbackMode: 'earliest',
  })

async function read(count) {
  const consumer = newConsumer()
  const stream = await consume(consumer)
  const values = []
  const last = new Map()
  for await (const message of stream) {
    values.push(message.value)
    last.set(message.partition, message)
    if (values.length === count) break
  }
  for (const message of last.values()) await message.commit()
  await consumer.close(true)
  return values
}

for (const codec of codecs) {
  await produce(
    codec,
    codec !== 'none',
    Array.from({ length: 40 }, (_, number) => `${codec} record ${number}`),
  )
}
const first = await read(40 * codecs.length)
await produce(
  'none',
  true,
  Array.from({ length: 10 }, (_, number) => `later ${number}`),
)
const second = await read(10)

const members = [newConsumer(), newConsumer()]
for (const member of members) (await consume(member)).on('data', () => {})
let shares = []
for (let round = 0; round < 1200; round++) {
  shares = members.map((member) => member.assignments?.[0]?.partitions.length ?? 0)
  if (shares.every((share) => share === 1)) break
  await new Promise((resolve) => setTimeout(resolve, 50))
}
for (const member of members) await member.close(true)

const admin = new Admin(common)
const metadata = await admin.metadata({ topics: [topic] })
const indexes = [...Array(metadata.topics.get(topic).partitionsCount).keys()]
const bound = async (timestamp) => {
  const partitions = indexes.map((partitionIndex) => ({ partitionIndex, timestamp }))
  const [listed] = await admin.listOffsets({ topics: [{ name: topic, partitions }] })
  return indexes.map((index) => Number(listed.partitions.find((one) => one.partitionIndex === index).offset))
}
const [begins, ends] = [await bound(ListOffsetTimestamps.EARLIEST), await bound(ListOffsetTimestamps.LATEST)]
await admin.close()
console.log(JSON.stringify({ codecs, first, second, shares, begins, ends }))
process.exit(0)
