/**
 * Topics recreated while balances is stopped or running: their new records are applied from the
 * beginning.
 */
import { expect, test } from 'bun:test'
import { Kafka as KafkaClient, logLevel } from 'kafkajs'
import { connectKafka } from '../../platform/kafka/client'
import { createLog, type Log } from '../../platform/telemetry/log'
import { eventually } from '../../testing/eventually'
import { drawn } from '../../testing/random'
import { type Caller, callerOf, startStack } from '../../testing/stack'
import { createServedTopics } from '../../testing/topics'
import { startBalances } from '../service'

async function openStage(name: 'balances' | 'transactions' = 'balances') {
  const stack = await startStack({ seed: false, start: [] })
  const config = stack.config.balances
  config.kafka.partitions = 1
  const topic = config.kafka.topicPrefix + name
  const complaints: string[] = []
  const warn = (_: unknown, message?: string) => void complaints.push(message ?? '')
  const log = {
    ...createLog({ service: 'test', level: 'fatal', format: 'json' }),
    warn,
    child: () => log,
  } as Log
  const kafka = connectKafka(config.kafka, log)
  const publisher = kafka.publisher()
  const client = new KafkaClient({ brokers: stack.backing.brokers, logLevel: logLevel.NOTHING })
  const admin = client.admin()
  await admin.connect()
  await kafka.ensureTopics([topic], 1)
  return {
    complaints,
    start: async () => {
      const service = await startBalances(config, log, {
        lookEveryMs: 50,
        standstillMaxMs: 5000,
        sessionTimeoutMs: undefined,
        recreationCheckMs: 300,
      })
      return { ...callerOf('balances', service.port), stop: service.stop }
    },
    publish: (...accounts: string[]) =>
      publisher.send(
        accounts.map((account) => ({ topic, key: null, value: records[name](account), headers: {} })),
      ),
    /** Deletes the topic, and creates it with other records at once. */
    async recreate(...accounts: string[]) {
      await admin.deleteTopics({ topics: [topic] })
      // Until then it takes records, which are lost.
      await eventually(async () => expect(await admin.listTopics()).not.toContain(topic))
      await createServedTopics(client, [{ topic }])
      await this.publish(...accounts)
    },
    /** How far the groups are, to be put back: a function that does it. */
    async offsets() {
      const { groups } = await admin.listGroups()
      const committed = await Promise.all(
        groups.map(async ({ groupId }) => {
          const topics = await admin.fetchOffsets({ groupId, topics: [topic] })
          return { groupId, partitions: topics.flatMap(({ partitions }) => partitions) }
        }),
      )
      return async () => {
        for (const { groupId, partitions } of committed)
          if (partitions.some(({ offset }) => offset !== '-1'))
            await admin.setOffsets({ groupId, topic, partitions })
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([publisher.close(), admin.disconnect()])
      await kafka.close()
    },
  }
}

const movement = (id: string) =>
  JSON.stringify({
    Name: 'TransactionCreated',
    Payload: { id, account_id_from: 'x', account_id_to: 'y', amount: 50_000 },
  })

const course = (account: string) =>
  JSON.stringify({
    Name: 'BalanceUpdated',
    Payload: {
      account_id_from: account,
      account_id_to: account,
      balance_account_id_from: 0,
      balance_account_id_to: 1,
    },
  })

const records = { balances: course, transactions: movement }

const shows = (balances: Caller, ...accounts: string[]) =>
  eventually(async () => {
    const { body, headers } = await balances.get('/balances?limit=100')
    expect(
      (body.data as { id: string; version: number }[]).map(({ id, version }) => `${id} v${version}`).sort(),
    ).toEqual(accounts.map((account) => `${account} v1`).sort())
    expect(headers.get('balances-lag')).toBe('0')
  })

test.concurrent.each(
  drawn([
    ['longer', ['c', 'd', 'e', 'f']],
    ['as long', ['c', 'd']],
    ['shorter', ['c']],
  ] as [string, string[]][]),
)('a topic recreated while balances was stopped, %s than before', async (_, accounts) => {
  await using stage = await openStage()
  await stage.publish('a', 'b')
  const before = await stage.start()
  await shows(before, 'a', 'b')
  await before.stop()
  await stage.recreate(...accounts)
  const after = await stage.start()
  await shows(after, 'a', 'b', ...accounts)
  expect(stage.complaints.filter((line) => line.startsWith('topic was recreated'))).toHaveLength(1)
  await after.stop()

  // A topic that was not recreated is not read again.
  const once = await stage.start()
  await stage.publish('z')
  await shows(once, 'a', 'b', ...accounts, 'z')
  expect(stage.complaints.filter((line) => line.startsWith('topic was recreated'))).toHaveLength(1)
  await once.stop()
})

test.concurrent.each(
  drawn([
    ['longer', ['c', 'd', 'e', 'f']],
    ['as long', ['c', 'd']],
    ['shorter', ['c']],
  ] as [string, string[]][]),
)('a topic recreated while balances is running and idle, %s at once', async (_, accounts) => {
  await using stage = await openStage()
  await stage.publish('a', 'b')
  const balances = await stage.start()
  await shows(balances, 'a', 'b')
  await stage.recreate(...accounts)
  await shows(balances, 'a', 'b', ...accounts)
  await balances.stop()
})

test.concurrent.each([
  ['others', ['c', 'd', 'e', 'f']],
  ['nothing', []],
])('a rebuild after the topics were recreated, with %s in them, ends and says why', async (_, accounts) => {
  await using stage = await openStage()
  await stage.publish('a', 'b')
  const before = await stage.start()
  await shows(before, 'a', 'b')
  await before.stop()
  await stage.recreate(...accounts)
  const balances = await stage.start()
  await balances.post('/rebuild', {})
  await eventually(async () =>
    expect((await balances.get('/rebuild')).body).toMatchObject({ state: 'refused' }),
  )
  expect((await balances.get('/rebuild')).body.message).toContain('2 accounts')
  await balances.post('/rebuild', { action: 'swap', force: true })
  await shows(balances, ...accounts)
  await balances.stop()
})

const notes = async (balances: Caller) =>
  ((await balances.get('/large-movements?limit=100')).body.data as { transaction_id: string }[])
    .map(({ transaction_id: id }) => id)
    .sort()

const noted = (balances: Caller, ...ids: string[]) =>
  eventually(async () => expect(await notes(balances)).toEqual(ids))

test.concurrent('a topic recreated while its reaction is idle is read from its beginning', async () => {
  await using stage = await openStage('transactions')
  await stage.publish('a', 'b')
  const balances = await stage.start()
  await noted(balances, 'a', 'b')
  await stage.recreate('c', 'd', 'e', 'f')
  await noted(balances, 'a', 'b', 'c', 'd', 'e', 'f')
  await balances.stop()
})

test.concurrent('a topic recreated while its reaction was stopped is read from its beginning', async () => {
  await using stage = await openStage('transactions')
  await stage.publish('a', 'b')
  const before = await stage.start()
  await noted(before, 'a', 'b')
  await before.stop()
  // As brokers have it that keep the offsets of a group whose topic is gone.
  const restore = await stage.offsets()
  await stage.recreate('c', 'd', 'e', 'f')
  await restore()
  const after = await stage.start()
  await noted(after, 'a', 'b', 'c', 'd', 'e', 'f')
  expect(stage.complaints.filter((line) => line.startsWith('topic was recreated'))).toHaveLength(1)
  await after.stop()

  const once = await stage.start()
  await stage.publish('z')
  await noted(once, 'a', 'b', 'c', 'd', 'e', 'f', 'z')
  expect(stage.complaints.filter((line) => line.startsWith('topic was recreated'))).toHaveLength(1)
  await once.stop()
})
