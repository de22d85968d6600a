/**
 * The consumer over a real database. The test plays the broker: it delivers batches, assigns and
 * revokes partitions.
 */
import { expect, test } from 'bun:test'
import { BalanceUpdated } from '../../contract/events/events'
import { encodeEvent } from '../../contract/wire/envelope'
import type { Kafka } from '../../platform/kafka/client'
import type { PartitionOffset } from '../../platform/kafka/offsets'
import type { RecordHeader } from '../../platform/kafka/record-set'
import type { IncomingBatch } from '../../platform/kafka/records'
import type { SubscriptionOptions } from '../../platform/kafka/subscription'
import { type Database, openDatabase } from '../../platform/postgres/database'
import type { Log } from '../../platform/telemetry/log'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { listDeadLetters } from '../dead-letters/dead-letters-store'
import { redrive } from '../dead-letters/redrive'
import { findBalances } from '../queries/balances-store'
import { type Consumer, startConsumer } from './consumer'
import { decodeFrom } from './topics'

const topic = 'balances'
const all = { cause: undefined, topic: undefined }

const course = (account: string, balance: number) =>
  JSON.stringify({
    Name: 'BalanceUpdated',
    Payload: {
      account_id_from: account,
      account_id_to: account,
      balance_account_id_from: 0,
      balance_account_id_to: balance,
    },
  })

/** A batch from offset `from` of a partition that ends at `highWatermark`. */
function batchOf(
  from: number,
  values: string[],
  highWatermark = from + values.length,
  partition = 0,
): IncomingBatch {
  const records = values.map((value, index) => ({
    offset: BigInt(from + index),
    key: null,
    value: Buffer.from(value),
    headers: [],
    timestampMs: Date.UTC(2024, 0, 27) + from + index,
  }))
  return {
    topic,
    partition,
    fetchedFrom: BigInt(from),
    next: BigInt(from + values.length),
    highWatermark: BigInt(highWatermark),
    watchedSinceMs: 0,
    records,
  }
}

type Member = {
  consumer: Consumer
  assign(partitions?: number[]): Promise<PartitionOffset[]>
  deliver(batch: IncomingBatch, signal?: AbortSignal): Promise<bigint>
  /** What one fetch brought. */
  deliverTogether(batches: IncomingBatch[]): Promise<bigint[]>
  /** What the broker answers about partition 0. */
  broker: PlayedLog
  /** Messages of warnings and errors. */
  warnings: string[]
}

/** Without a batch nothing is known of the log. */
type PlayedLog = { batch: IncomingBatch | undefined; questions: number }

type Desk = {
  database: Database
  /** Another consumer of the same group and database. */
  join(): Promise<Member>
  accounts(...ids: string[]): Promise<string[]>
  [Symbol.asyncDispose](): Promise<void>
}

async function openDesk({ clusterId = 'cluster' } = {}): Promise<Desk> {
  const shared = await backing()
  const { url } = await shared.createDatabase('balances', 'balances')
  const database = openDatabase({ url, poolMax: 4, prepare: true, applicationName: 'test' })
  const consumers: Consumer[] = []
  return {
    database,
    async join() {
      const warnings: string[] = []
      const broker: PlayedLog = { batch: undefined, questions: 0 }
      const { kafka, subscribed } = playedBroker(clusterId, broker)
      const log = listeningLog(warnings)
      const consumer = startConsumer({
        database,
        kafka,
        groupId: 'balances',
        topics: [topic],
        partitions: 1,
        log,
        read: decodeFrom,
      })
      consumers.push(consumer)
      const options = await subscribed
      const never = new AbortController().signal
      return {
        consumer,
        warnings,
        broker,
        assign: (partitions = [0]) => options.onAssigned({ [topic]: partitions }, never),
        deliver: async (batch, signal = never) => {
          const [offset = -1n] = await options.onBatches([batch], signal)
          return offset
        },
        deliverTogether: (batches) => options.onBatches(batches, never),
      }
    },
    async accounts(...ids) {
      const found = await findBalances(database.sql, ids)
      return ids.flatMap((id) => {
        const row = found.get(id)
        return row ? [`${id} v${row.version} ${row.balanceMinor}`] : []
      })
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(consumers.map((consumer) => consumer.stop()))
      await database.close()
    },
  }
}

function playedBroker(
  clusterId: string,
  broker: PlayedLog,
): { kafka: Kafka; subscribed: Promise<SubscriptionOptions> } {
  const { promise: subscribed, resolve } = Promise.withResolvers<SubscriptionOptions>()
  const kafka: Kafka = {
    ensureTopics: async () => {},
    describeTopics: async () => ({ described: [], brokers: 1, refused: [] }),
    clusterId: async () => clusterId,
    async endOffsets() {
      broker.questions++
      const { batch } = broker
      return batch ? [{ topic, partition: 0, first: 0n, offset: batch.highWatermark }] : []
    },
    recordsAt: async (places) =>
      places.map(({ offset: at }) => broker.batch?.records.find(({ offset }) => offset === at)),
    groupOffsets: async () => new Map(),
    deleteRecords: async () => {},
    read: () => {
      throw new Error('the consumer reads as a member of its group')
    },
    isReachable: async () => true,
    publisher: () => {
      throw new Error('the consumer publishes nothing')
    },
    subscribe: async (options) => {
      resolve(options)
      return { close: async () => {} }
    },
    close: async () => {},
  }
  return { kafka, subscribed }
}

function listeningLog(warnings: string[]): Log {
  const warn = (_fields: unknown, message?: string) => void warnings.push(message ?? '')
  const log: Log = { debug() {}, info() {}, warn, error: warn, child: () => log }
  return log
}

test('a partition continues at the offset of the database, 0 by default', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  expect(await member.assign()).toEqual([{ topic, partition: 0, offset: 0n }])
  expect(await member.deliver(batchOf(0, [course('a', 1), course('a', 2)]))).toBe(2n)
  expect(await member.assign()).toEqual([{ topic, partition: 0, offset: 2n }])
  expect(await desk.accounts('a')).toEqual(['a v2 200'])
  expect(await member.consumer.health()).toMatchObject({ status: 'pass' })
})

test('a batch from another offset is not applied: the consumer seeks back', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  await member.deliver(batchOf(0, [course('a', 1), course('a', 2)]))
  expect(await member.deliver(batchOf(3, [course('a', 4)]))).toBe(2n)
  expect(await member.deliver(batchOf(0, [course('a', 1), course('a', 2), course('a', 3)]))).toBe(2n)
  expect(await desk.accounts('a')).toEqual(['a v2 200'])
  expect(member.warnings).toEqual([])
})

test('offsets without visible records are no loss', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  const batch = batchOf(3, [course('a', 1)])
  expect(await member.deliver({ ...batch, fetchedFrom: 0n, next: 6n, highWatermark: 6n })).toBe(6n)
  expect(await desk.accounts('a')).toEqual(['a v1 100'])
  expect(member.warnings).toEqual([])
})

test('records deleted before they were read are logged, and the rest is applied', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  expect(await member.deliver(batchOf(0, [course('a', 1)]))).toBe(1n)
  expect(await member.deliver(batchOf(5, [course('a', 9)]))).toBe(1n)
  expect(await member.deliver(batchOf(5, [course('a', 9)]))).toBe(6n)
  expect(await desk.accounts('a')).toEqual(['a v2 900'])
  expect(member.warnings).toEqual(['records were deleted from the topic before they could be applied'])
})

test('a recreated topic is read from its beginning', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  await member.deliver(batchOf(0, [course('a', 1), course('a', 2), course('a', 3)]))
  expect(await member.deliver(batchOf(0, [course('a', 7)]))).toBe(1n)
  expect(await desk.accounts('a')).toEqual(['a v4 700'])
  expect(member.warnings).toEqual([expect.stringContaining('topic was recreated')])
  expect(await member.assign()).toEqual([{ topic, partition: 0, offset: 1n }])
})

test('a recreated topic that is longer than what was applied is read from its beginning', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  await member.deliver(batchOf(0, [course('a', 1), course('a', 2)]))
  const recreated = batchOf(
    0,
    [3, 4, 5, 6].map((balance) => course('b', balance)),
  )
  member.broker.batch = recreated
  const rest = { ...batchOf(2, [], 4), next: 4n, records: recreated.records.slice(2) }
  expect(await member.deliver({ ...rest, watchedSinceMs: performance.now() })).toBe(0n)
  expect(member.warnings).toEqual([expect.stringContaining('last applied record differs')])
  expect(await member.deliver(recreated)).toBe(4n)
  expect(await desk.accounts('a', 'b')).toEqual(['a v2 200', 'b v4 600'])
})

test('a log is compared once it was unwatched, and not again while it is watched', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  const { broker } = member
  const assigned = broker.questions
  // Nothing could be skipped before it.
  await member.deliver({ ...batchOf(0, [course('a', 1)]), watchedSinceMs: performance.now() })
  expect(broker.questions).toBe(assigned)
  broker.batch = batchOf(0, [course('a', 1), course('a', 2), course('a', 3)])
  const watchedSinceMs = performance.now()
  for (const offset of [1, 2])
    await member.deliver({ ...batchOf(offset, [course('a', offset + 1)]), watchedSinceMs })
  expect(broker.questions).toBe(assigned + 1)
  expect(await desk.accounts('a')).toEqual(['a v3 300'])
  expect(member.warnings).toEqual([])
})

test('offsets of one cluster mean nothing in another', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  await member.deliver(batchOf(0, [course('a', 1)]))
  await desk.database.sql`update consumed_offsets set cluster_id = 'another'`
  expect(await member.assign()).toEqual([{ topic, partition: 0, offset: 0n }])
})

test('two members that both believe to own a partition apply each record once', async () => {
  await using desk = await openDesk()
  const [first, second] = [await desk.join(), await desk.join()]
  await Promise.all([first.assign(), second.assign()])
  const batch = batchOf(0, [course('a', 1), course('a', 2)])
  const answers = await Promise.all([first.deliver(batch), second.deliver(batch)])
  // The slower one seeks to the current offset.
  expect(answers).toEqual([2n, 2n])
  expect(await desk.accounts('a')).toEqual(['a v2 200'])
  expect([...first.warnings, ...second.warnings]).toEqual(['lost ownership of partition'])
})

test('a record that the database rejects is found in its batch and dead-lettered alone', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  await desk.database.sql`alter table balances add constraint odd check (balance_minor <> 666)`
  const values = [1, 2, 6.66, 4, 5, 6.66, 7].map((balance, index) => course(`a${index}`, balance))
  expect(await member.deliver(batchOf(0, values))).toBe(7n)
  expect(await desk.accounts('a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6')).toEqual([
    'a0 v1 100',
    'a1 v1 200',
    'a3 v1 400',
    'a4 v1 500',
    'a6 v1 700',
  ])
  const letters = await listDeadLetters(desk.database.sql, all, { before: undefined, limit: 10 })
  expect(letters.map(({ cause, recordOffset }) => [cause, recordOffset])).toEqual([
    ['not_storable', 5n],
    ['not_storable', 2n],
  ])
})

test('a record too large for an index is dead-lettered and does not block', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  const id = Array.from({ length: 200 }, () => crypto.randomUUID()).join('')
  const state = { version: 1, created_at: '2024-01-27T00:00:00Z' }
  const payload = { change_id: id, id, name: 'Eva', email: 'eva@example.com', ...state }
  const client = JSON.stringify({ Name: 'PersonalDataRecorded', Payload: payload })
  expect(await member.deliver(batchOf(0, [client, course('a', 1)]))).toBe(2n)
  expect(await desk.accounts('a')).toEqual(['a v1 100'])
  expect(await listDeadLetters(desk.database.sql, all, { before: undefined, limit: 10 })).toHaveLength(1)
})

test('a batch without records advances the offset and leaves no lag', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  const nothing = { ...batchOf(0, []), next: 3n, highWatermark: 3n }
  expect(await member.deliver(nothing)).toBe(3n)
  expect(await member.assign()).toEqual([{ topic, partition: 0, offset: 3n }])
  expect(await member.consumer.health()).toMatchObject({
    output: expect.stringContaining('0 records behind'),
  })
})

test('a dead letter is stored as it came, and once', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  const [record] = batchOf(0, ['']).records
  if (!record) throw new Error('no record')
  const odd = {
    ...record,
    key: Buffer.from([0, 255]),
    value: Buffer.from([0xff, 0, 34, 92]),
    headers: [
      [Buffer.from('content-type'), Buffer.from('te\0xt')],
      [Buffer.from([0xff]), Buffer.from([0xfe, 0])],
      [Buffer.from(''), null],
      [Buffer.from('content-type'), Buffer.from('')],
    ] as RecordHeader[],
  }
  const batch = { ...batchOf(0, ['']), records: [odd] }
  await member.deliver(batch)
  await desk.database.sql`update consumed_offsets set next_offset = 0`
  await member.assign()
  await member.deliver(batch)
  expect(await listDeadLetters(desk.database.sql, all, { before: undefined, limit: 10 })).toMatchObject([
    {
      cause: 'not_json',
      topic,
      partition: 0,
      recordOffset: 0n,
      key: odd.key,
      value: odd.value,
      headers: odd.headers,
    },
  ])
})

test('entries that are there at a start cost no dead letter its number', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  const event = encodeEvent({ name: 'BalanceUpdated', payload: BalanceUpdated.example }, '').value
  await member.deliver(batchOf(0, [event]))
  const next = await desk.join()
  await next.assign()
  await next.deliver(batchOf(1, ['hello', event, event]))
  await next.deliver(batchOf(4, ['hello again']))
  const letters = await listDeadLetters(desk.database.sql, all, { before: undefined, limit: 10 })
  expect(letters.map(({ id, recordOffset }) => [id, recordOffset])).toEqual([
    [2n, 4n],
    [1n, 1n],
  ])
})

test('a temporary failure is retried, and nothing is applied twice', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  await desk.database.sql`alter table consumed_offsets rename to elsewhere`
  const delivered = member.deliver(batchOf(0, [course('a', 1), course('a', 2)]))
  await eventually(() => expect(member.warnings.length).toBeGreaterThan(1))
  expect(await member.consumer.health()).toMatchObject({
    status: 'warn',
    output: expect.stringContaining('waiting'),
  })
  await desk.database.sql`alter table elsewhere rename to consumed_offsets`
  expect(await delivered).toBe(2n)
  expect(await desk.accounts('a')).toEqual(['a v2 200'])
})

test('a batch whose partition is revoked while it waits is not applied', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign()
  await desk.database.sql`alter table consumed_offsets rename to elsewhere`
  const taken = new AbortController()
  const delivered = member.deliver(batchOf(0, [course('a', 1)]), taken.signal)
  await eventually(() => expect(member.warnings.length).toBeGreaterThan(0))
  taken.abort()
  expect(await delivered).toBe(0n)
  expect(await desk.accounts('a')).toEqual([])
})

test('records without versions are numbered in order, during a redrive of the account too', async () => {
  await using desk = await openDesk()
  const { sql } = desk.database
  const member = await desk.join()
  await member.assign()
  const broken = batchOf(0, Array(10).fill('nonsense'))
  await member.deliver(broken)
  // Readable now, with times of their own, so that none is superseded.
  await sql`
    update dead_letters
    set value = ${Buffer.from(course('a', 1))}, record_at = now() + id * interval '1 day'`

  const delivering = (async () => {
    for (let from = 10; from < 30; from++) await member.deliver(batchOf(from, [course('a', from)]))
  })()
  const redriven = await redrive(
    desk.database,
    { filter: all, after: undefined },
    { read: decodeFrom, dryRun: false },
  )
  await delivering
  expect(redriven.letters.map(({ outcome }) => outcome)).toEqual(Array(10).fill('applied'))
  expect(await desk.accounts('a')).toEqual([expect.stringContaining('a v30 ')])
})

const ofPartition = (partition: number, from: number, values: string[]) =>
  batchOf(from, values, from + values.length, partition)

test('what one fetch brought is applied in one transaction', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign([0, 1, 2])
  const batches = [0, 1, 2].map((partition) => ofPartition(partition, 0, [course(`a${partition}`, 1)]))
  expect(await member.deliverTogether(batches)).toEqual([1n, 1n, 1n])
  expect(await desk.accounts('a0', 'a1', 'a2')).toEqual(['a0 v1 100', 'a1 v1 100', 'a2 v1 100'])
  const { sql } = desk.database
  expect(
    await sql`select distinct xmin::text from balances union select distinct xmin::text from entries`,
  ).toHaveLength(1)
  expect(await sql`select size from changes`).toEqual([{ size: 3 }] as never)
})

test('a partition that another member has advanced is left out; the others are applied once', async () => {
  await using desk = await openDesk()
  const [first, second] = [await desk.join(), await desk.join()]
  await first.assign([0, 1, 2])
  await second.assign([1])
  const taken = ofPartition(1, 0, [course('b', 1), course('b', 2)])
  await second.deliver(taken)
  const batches = [ofPartition(0, 0, [course('a', 1)]), taken, ofPartition(2, 0, [course('c', 3)])]
  expect(await first.deliverTogether(batches)).toEqual([1n, 2n, 1n])
  expect(await desk.accounts('a', 'b', 'c')).toEqual(['a v1 100', 'b v2 200', 'c v1 300'])
  expect(first.warnings).toEqual(['lost ownership of partition'])
})

test('two members with the same partitions apply each record once', async () => {
  await using desk = await openDesk()
  const members = [await desk.join(), await desk.join()]
  for (let round = 0; round < 10; round++) {
    await Promise.all(members.map((member) => member.assign([0, 1, 2])))
    const batches = [0, 1, 2].map((partition) =>
      ofPartition(partition, round, [course(`a${partition}`, round)]),
    )
    const answers = await Promise.all([
      members[0]?.deliverTogether(batches),
      // One of them has but two of these partitions in hand, in another order.
      members[1]?.deliverTogether(batches.slice(1).reverse()),
    ])
    const next = BigInt(round + 1)
    expect(answers).toEqual([
      [next, next, next],
      [next, next],
    ])
  }
  expect(await desk.accounts('a0', 'a1', 'a2')).toEqual([0, 1, 2].map((one) => `a${one} v10 900`))
})

test('a record that the database rejects spoils no other partition of its fetch', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign([0, 1, 2])
  await desk.database.sql`alter table balances add constraint odd check (balance_minor <> 666)`
  const batches = [
    ofPartition(0, 0, [course('a', 1)]),
    ofPartition(1, 0, [course('b', 1), course('b', 3), course('b', 6.66)]),
    ofPartition(2, 0, [course('c', 1)]),
  ]
  expect(await member.deliverTogether(batches)).toEqual([1n, 3n, 1n])
  expect(await desk.accounts('a', 'b', 'c')).toEqual(['a v1 100', 'b v2 300', 'c v1 100'])
  const letters = await listDeadLetters(desk.database.sql, all, { before: undefined, limit: 10 })
  expect(letters.map(({ cause, partition, recordOffset }) => [cause, partition, recordOffset])).toEqual([
    ['not_storable', 1, 2n],
  ])
})

test('records that come again are applied beside new ones, and nothing twice', async () => {
  await using desk = await openDesk()
  const member = await desk.join()
  await member.assign([0])
  const ours = (version: number) =>
    JSON.stringify({
      Name: 'BalanceUpdated',
      Payload: {
        ...{ account_id_from: 'a', account_id_to: 'b', amount: 1, currency: 'BRL' },
        ...{ balance_account_id_from: -version, balance_account_id_to: version },
        ...{ version_account_id_from: version, version_account_id_to: version },
      },
    })
  await member.deliver(batchOf(0, [1, 2, 3].map(ours)))
  await member.deliver(batchOf(3, [2, 3, 4].map(ours)))
  await member.deliver(batchOf(6, [5, 6].map(ours)))
  await member.deliver(batchOf(8, [6, 7].map(ours)))
  expect(await desk.accounts('a', 'b')).toEqual(['a v7 -700', 'b v7 700'])
  const { sql } = desk.database
  expect([...(await sql`select account_id, version::int from entries order by 1, 2`.values())]).toEqual(
    ['a', 'b'].flatMap((account) => [1, 2, 3, 4, 5, 6, 7].map((version) => [account, version])),
  )
  expect([...(await sql`select size from changes order by xid`.values())].flat()).toEqual([6, 2, 4, 2])
  expect(member.warnings).toEqual([])
})
