import { expect, test } from 'bun:test'
import { Kafka } from 'kafkajs'
import kafkajs from 'kafkajs/package.json'
import { files, imports, textOf } from '../../testing/rules/source'
import { instrument } from './kafkajs-internals'

test('the inner modules are of the version they were read in', async () => {
  // Another version: read the modules that kafkajs-internals.ts imports again, then change this line.
  expect(kafkajs.version).toBe('2.2.4')
  expect(() => instrument({} as never)).toThrow('is this kafkajs 2.2.4?')
})

test('nothing else reaches inside kafkajs', async () => {
  const inner = imports.filter(({ to }) => to.startsWith('kafkajs/src'))
  expect(new Set(inner.map(({ from }) => from))).toEqual(new Set(['platform/kafka/kafkajs-internals.ts']))
  expect(files).toContain('platform/kafka/kafkajs-internals.ts')
  expect(await textOf('platform/kafka/kafkajs-internals.ts')).toContain('kafkajs/src')
})

test('a broker that knows no headers is refused, rather than read as if it had no records', async () => {
  const client = new Kafka({ brokers: ['localhost:1'] })
  instrument(client)
  const key = Object.getOwnPropertySymbols(client).find(({ description }) =>
    description?.endsWith('createCluster'),
  )
  const { brokerPool } = Reflect.get(client, key as symbol).call(client, {})
  const broker = brokerPool.createBroker({
    connectionPool: { host: 'localhost', port: 1 },
    logger: client.logger(),
  })
  const knows = (version: number) => {
    broker.lookupRequest = (_: number, { protocol }: { protocol: (options: object) => unknown }) =>
      protocol({ version })
  }
  const older = 'the broker is older than Apache Kafka 0.11'
  knows(3)
  await expect(broker.fetch({ topics: [] })).rejects.toThrow(older)
  knows(2)
  await expect(broker.produce({ topicData: [] })).rejects.toThrow(older)
})
