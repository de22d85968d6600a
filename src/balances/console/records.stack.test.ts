/** What became of records: in the tables, and in a running service whose broker goes away. */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBroker } from '../../local/broker/broker'
import { connectKafka } from '../../platform/kafka/client'
import { createLog } from '../../platform/telemetry/log'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { openReadModel } from '../../testing/read-model'
import { callerOf, serviceConfig } from '../../testing/stack'
import { startBalances } from '../service'
import { findRecord } from './records-store'

test('a record is found by its offset, also within a batch that cannot be read', async () => {
  await using model = await openReadModel()
  const { sql } = model
  await sql`insert into consumed_offsets (cluster_id, topic, partition, next_offset, updated_at) values
    ('one', 'balances', 0, 20, '2024-01-02'), ('two', 'balances', 0, 3, '2024-01-01')`
  const letters = [
    ['one', 0, 5, null, 'not_json'],
    ['one', 0, 8, 11, 'unreadable_batch'],
    ['one', 0, 14, null, 'not_json'],
    ['one', 1, 2, null, 'not_json'],
    ['two', 0, 1, null, 'no_value'],
    ['three', 0, 6, null, 'no_value'],
  ] as const
  for (const [cluster, partition, offset, last, cause] of letters)
    await sql`insert into dead_letters
      (cluster_id, topic, partition, record_offset, last_offset, cause, detail, headers) values
      (${cluster}, 'balances', ${partition}, ${offset}, ${last}, ${cause}, ${'x'.repeat(600)}, '[]')`
  const find = async (offset: number, cluster?: string, partition = 0) => {
    const { nextOffset, deadLetter } = await findRecord(
      sql,
      { topic: 'balances', partition, offset: BigInt(offset) },
      cluster,
    )
    return [nextOffset, deadLetter?.cause]
  }
  const causes = await Promise.all(
    [...Array(16).keys()].map(async (offset) => (await find(offset, 'one'))[1]),
  )
  expect(causes.flatMap((cause, offset) => (cause ? [[offset, cause]] : []))).toEqual([
    [5, 'not_json'],
    ...[8, 9, 10, 11].map((offset) => [offset, 'unreadable_batch']),
    [14, 'not_json'],
  ])
  expect(await find(1, 'two')).toEqual([3n, 'no_value'])
  // Not known yet: the cluster that was applied last.
  expect(await find(5)).toEqual([20n, 'not_json'])
  expect(await find(6)).toEqual([20n, undefined])
  // Never assigned.
  expect(await find(2, 'one', 1)).toEqual([undefined, undefined])
  expect(await find(6, 'three')).toEqual([undefined, undefined])
  // A topic that was created again has another record there.
  await sql`insert into dead_letters
    (cluster_id, topic, partition, record_offset, cause, detail, headers, record_at) values
    ('one', 'balances', 0, 5, 'no_value', '', '[]', now())`
  expect(await find(5, 'one')).toEqual([20n, 'no_value'])
  const { deadLetter } = await findRecord(sql, { topic: 'balances', partition: 0, offset: 14n }, 'one')
  expect(deadLetter?.detail).toHaveLength(500)
})

test('a service says what became of a record, also while its broker is away', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'saldo-broker-'))
  const broker = await startBroker({ dataDir, fsync: false })
  const shared = await backing()
  const database = await shared.createDatabase('balances', 'balances')
  const config = serviceConfig('balances', {
    ...{ database, brokers: [broker.brokers], topicPrefix: shared.topicPrefix(), seed: false },
    partitions: 1,
  })
  config.consoleActions = true
  const log = createLog({ service: 'test', level: 'fatal', format: 'json' })
  const service = await startBalances(config, log, { lookEveryMs: 50, sessionTimeoutMs: 2000 })
  const balances = callerOf('balances', service.port)
  const kafka = connectKafka(config.kafka, log)
  const publisher = kafka.publisher()
  try {
    const topic = `${config.kafka.topicPrefix}balances`
    const of = async (offset: number, name = 'balances') =>
      (await balances.get(`/console/records/${name}/0/${offset}`)).body
    await eventually(async () => expect((await of(0)).next_offset).toBe(0))
    expect(await of(0)).toMatchObject({ topic, consumed: true, applied: false, dead_letter: null })
    await publisher.send([{ topic, key: null, value: 'hello', headers: {} }])
    await eventually(async () => expect((await of(0)).dead_letter).not.toBeNull())
    expect(await of(0, topic)).toMatchObject({
      ...{ topic, partition: 0, offset: 0, consumed: true, applied: false, next_offset: 1, paused: false },
      dead_letter: { cause: 'not_json', detail: expect.stringContaining('hello') },
    })
    await eventually(async () => expect((await of(1)).end_offset).toBe(1))
    expect(await of(1)).toMatchObject({ applied: false, next_offset: 1, consumer: { status: 'pass' } })
    expect(await of(1, 'transactions')).toMatchObject({ consumed: false, applied: false, next_offset: null })

    await balances.post('/console/actions/pause-projection', {})
    expect(await of(1)).toMatchObject({
      paused: true,
      consumer: { status: 'warn', output: expect.stringContaining('paused on purpose') },
    })
    await publisher.send([{ topic, key: null, value: 'hello', headers: {} }])
    await eventually(async () => expect((await of(1)).end_offset).toBe(2))
    expect(await of(1)).toMatchObject({ applied: false, next_offset: 1, dead_letter: null })
    await balances.post('/console/actions/resume-projection', {})
    await eventually(async () => expect(await of(1)).toMatchObject({ paused: false, next_offset: 2 }))

    await broker.stop()
    await eventually(async () => expect((await of(0)).consumer).toMatchObject({ status: 'warn' }))
    const startedMs = performance.now()
    expect(await of(0)).toMatchObject({ next_offset: 2, dead_letter: { cause: 'not_json' } })
    expect(performance.now() - startedMs).toBeLessThan(1000)
    // What the log's end was says nothing any more.
    await eventually(async () => expect((await of(0)).end_offset).toBeNull())
  } finally {
    await publisher.close().catch(() => {})
    await Promise.all([service.stop(), kafka.close()])
    await broker.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
})
