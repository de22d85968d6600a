/**
 * Anything a broker can deliver, on real topics: every codec, odd records, unreadable batches. The
 * projection, a rebuild and the large movements get past all of it.
 */
import { afterAll, expect, test } from 'bun:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { lz4Compress, snappyCompress } from '@platformatic/wasm-utils'
import type { RunningService } from '../../platform/process/service'
import { createLog } from '../../platform/telemetry/log'
import { eventually } from '../../testing/eventually'
import {
  createTopicRaw,
  fetchRaw,
  produceRaw,
  type RawCodec,
  RawKafka,
  type RawRecord,
  recordBatch,
} from '../../testing/raw-kafka'
import { callerOf, type Stack, startStack } from '../../testing/stack'
import { startBalances } from '../service'

const codecs: Record<string, RawCodec> = {
  none: { codec: 0, compress: (records) => records },
  gzip: { codec: 1, compress: (records) => gzipSync(records) },
  snappy: { codec: 2, compress: snappyCompress },
  lz4: { codec: 3, compress: lz4Compress },
  zstd: { codec: 4, compress: (records) => zstdCompressSync(records) },
}

async function openStage() {
  const stack = await startStack({ seed: false, start: [] })
  const { kafka } = stack.config.balances
  kafka.partitions = 1
  const client = await RawKafka.connect(stack.backing.brokers.join())
  const nameOf = (topic: string) => kafka.topicPrefix + topic
  for (const topic of ['clients', 'accounts', 'transactions', 'balances'])
    await createTopicRaw(client, nameOf(topic))
  return {
    config: stack.config.balances,
    /** Sends one batch, and answers where it is. */
    async send(topic: string, records: RawRecord[], codec?: RawCodec): Promise<number> {
      // Older ones are past the broker's retention, which may delete them at any time.
      const dated = records.map((record) => ({ timestamp: Date.now(), ...record }))
      const batch = recordBatch(dated, undefined, codec)
      const { errorCode, baseOffset } = await produceRaw(client, { topic: nameOf(topic), batch })
      expect(errorCode).toBe(0)
      // As it was sent: a client library might have left it uncompressed without a word.
      const { records: there } = await fetchRaw(client, { topic: nameOf(topic), offset: Number(baseOffset) })
      expect((there[22] ?? 0) & 7).toBe(codec?.codec ?? 0)
      return Number(baseOffset)
    },
    close: () => client.close(),
  }
}

type Stage = Awaited<ReturnType<typeof openStage>>
let opened: Promise<{ stage: Stage; service: RunningService; balances: Stack['balances'] }> | undefined
const open = async () => {
  const stage = await openStage()
  const service = await startBalances(
    stage.config,
    createLog({ service: 'test', level: 'fatal', format: 'json' }),
  )
  return { stage, service, balances: callerOf('balances', service.port) }
}
const theStage = () => {
  opened ??= open()
  return opened
}
afterAll(async () => {
  const { service, stage } = (await opened) ?? {}
  await service?.stop()
  stage?.close()
})

const update = (account: string, balance: number): RawRecord => ({
  value: JSON.stringify({
    Name: 'BalanceUpdated',
    Payload: {
      ...{ account_id_from: 'world', balance_account_id_from: -balance, version_account_id_from: balance },
      ...{ account_id_to: account, balance_account_id_to: balance, version_account_id_to: balance },
      ...{ amount: 1, currency: 'BRL', created_at: '2024-01-27T00:00:00.000Z' },
    },
  }),
})
const movement = (id: string): RawRecord => ({
  value: JSON.stringify({
    Name: 'TransactionCreated',
    Payload: { id, account_id_from: 'a', account_id_to: 'b', amount: 50_000, currency: 'BRL' },
  }),
})

const reaches = ({ balances }: Pick<Stack, 'balances'>, account: string, balance: number) =>
  eventually(async () => expect((await balances.get(`/balances/${account}`)).body).toMatchObject({ balance }))

const letters = async ({ balances }: Pick<Stack, 'balances'>, cause: string) =>
  (await balances.get(`/dead-letters?cause=${cause}&limit=100`)).body.data as Record<string, unknown>[]

test.each(Object.entries(codecs))(
  '%s: a batch is read, by projection and large movements',
  async (name, codec) => {
    const { stage, balances } = await theStage()
    await stage.send('balances', [update(name, 1), update(name, 2)], codec)
    await stage.send('transactions', [movement(`${name}-1`), movement(`${name}-2`)], codec)
    await reaches({ balances }, name, 2)
    await eventually(async () => {
      const { body } = await balances.get('/large-movements?limit=100')
      const ids = (body.data as { transaction_id: string }[]).map(({ transaction_id: id }) => id)
      expect(ids.filter((id) => id.startsWith(name)).sort()).toEqual([`${name}-1`, `${name}-2`])
    })
  },
)

const deep = (member: string, depth = 200_000) =>
  `{"specversion":"1.0","type":"saldo.balance-updated.v1",` +
  `"${member}":${'['.repeat(depth)}${']'.repeat(depth)}}`
const structured = [[Buffer.from('content-type'), Buffer.from('application/cloudevents+json')] as const]
const header = (name: string | Buffer, value: string | Buffer | null) =>
  [[Buffer.from(name), value === null ? null : Buffer.from(value)] as const] as const

const odd: [string, RawRecord][] = [
  ['a header without a value', { value: '{}', headers: header('nul', null) }],
  ['a header without a name', { value: '{}', headers: header('', '') }],
  ['a header called as what objects have', { value: '{}', headers: header('__proto__', 'x') }],
  ['a content type without a value', { value: '{}', headers: header('content-type', null) }],
  ['a type that is no text', { value: '{}', headers: header('ce_type', Buffer.from([0xff])) }],
  ['a name that is no text', { value: '{}', headers: header(Buffer.from([0xff]), 'x') }],
  ['100,000 headers', { value: '{}', headers: Array(100_000).fill(...header('a', '')) }],
  ['a specversion nested deep', { value: deep('specversion'), headers: structured }],
  ['a type nested deep', { value: deep('type'), headers: structured }],
  ['data nested deep', { value: deep('data'), headers: structured }],
  ['a value nested deep', { value: '['.repeat(200_000) }],
  [
    'a payload nested deep',
    { value: `{"Name":"BalanceUpdated","Payload":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_001)}` },
  ],
  ['a name of a megabyte', { value: JSON.stringify({ Name: 'x'.repeat(900_000), Payload: 1 }) }],
  ['a time beyond all time', { value: '{}', timestamp: Number.MAX_SAFE_INTEGER }],
  ['no time', { value: '{}', timestamp: -1 }],
]

test.each(odd)('%s is dead-lettered, and the next record is applied', async (name, record) => {
  const { stage, balances } = await theStage()
  const offset = await stage.send('balances', [record])
  const account = name.replaceAll(/\W/g, '-')
  await stage.send('balances', [update(account, 1)])
  await reaches({ balances }, account, 1)
  const { body } = await balances.get('/dead-letters?limit=1')
  const [letter] = body.data as { offset: number; detail: string }[]
  expect(letter?.offset).toBe(offset)
  expect(letter?.detail.length).toBeLessThan(400)
})

test.each(Object.entries(codecs).slice(1))(
  '%s: a batch that inflates to hundreds of megabytes is one letter with its range',
  async (name, codec) => {
    const { stage, balances } = await theStage()
    const before = process.memoryUsage().rss
    const bomb = {
      codec: codec.codec,
      compress: () => codec.compress(Buffer.alloc(name === 'snappy' ? 20 << 20 : 200 << 20)),
    }
    // Snappy compresses to a twentieth, and brokers take a megabyte: here the claimed size counts.
    const first = await stage.send(
      'balances',
      [update('bomb', 1), update('bomb', 2)],
      name === 'snappy' ? claiming : bomb,
    )
    await stage.send('balances', [update(`after-${name}`, 1)])
    await reaches({ balances }, `after-${name}`, 1)
    const [letter] = await letters({ balances }, 'batch_too_large')
    expect(letter).toMatchObject({ offset: first, offset_last: first + 1, key: null })
    expect(letter?.detail).toStartWith(`offsets ${first} to ${first + 1}: `)
    expect(process.memoryUsage().rss - before).toBeLessThan(600 << 20)
  },
)

/** Snappy compresses to a twentieth at best, too large for brokers: this batch only claims its size. */
const claiming: RawCodec = {
  codec: 2,
  compress(records) {
    const block = snappyCompress(records)
    return Buffer.concat([Buffer.from([0x80, 0x80, 0x80, 0x80, 0x01]), block.subarray(2)])
  },
}

test('an undecodable batch is one letter, on the dead-letter topic and after a redrive too', async () => {
  const { stage, balances } = await theStage()
  for (const { codec } of Object.values(codecs).slice(1)) {
    const first = await stage.send('balances', [update('x', 1), update('x', 2)], {
      codec,
      compress: () => Buffer.from('junk'),
    })
    await stage.send('balances', [update(`after-junk-${codec}`, 1)])
    await reaches({ balances }, `after-junk-${codec}`, 1)
    const [letter] = await letters({ balances }, 'batch_not_readable')
    expect(letter).toMatchObject({ offset: first, offset_last: first + 1 })
    await eventually(async () =>
      expect((await letters({ balances }, 'batch_not_readable'))[0]?.sent_at).toBeString(),
    )
    const { body } = await balances.post('/dead-letters/redrive', { ids: [letter?.id] })
    expect(body).toMatchObject({ data: [{ outcome: 'still_failing', cause: 'batch_not_readable' }] })
  }
})

test('a rebuild gets past all of it, and finds the same', async () => {
  const { balances } = await theStage()
  const before = (await balances.get('/dead-letters/causes')).body.data
  await balances.post('/rebuild', {})
  await eventually(async () =>
    expect((await balances.get('/rebuild')).body).toMatchObject({ state: 'swapped' }),
  )
  const counts = (groups: unknown) =>
    (groups as { cause: string; count: number }[]).map(({ cause, count }) => `${cause} ${count}`)
  expect(counts((await balances.get('/dead-letters/causes')).body.data)).toEqual(counts(before))
})
