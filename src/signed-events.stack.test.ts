/** Signed events, from the wallet's relay to everything that reads them. */
import { expect, test } from 'bun:test'
import postgres from 'postgres'
import { topics as consumed } from './balances/projection/topics'
import { startBalances } from './balances/service'
import { rebuild } from './cli/rebuild'
import { redriveCommand } from './cli/redrive'
import { topics } from './contract/events/events'
import { createSigner, createVerifier, type SigningKey, signatureHeader } from './contract/wire/signature'
import { connectKafka } from './platform/kafka/client'
import type { IncomingRecord, OutgoingRecord } from './platform/kafka/records'
import { openDatabase } from './platform/postgres/database'
import type { RunningService } from './platform/process/service'
import { createLog } from './platform/telemetry/log'
import { runCommand } from './testing/command'
import { eventually } from './testing/eventually'
import { headersOf, headerText } from './testing/headers'
import { reconciled } from './testing/reconciled'
import { type Caller, callerOf, startStack } from './testing/stack'
import { eva, frank } from './testing/wallets'
import { republishAll } from './wallet/republish/republish'
import { startWallet } from './wallet/service'

// Dead letters are warnings.
const log = createLog({ service: 'test', level: 'error', format: 'json' })
const keyOf = (id: string): SigningKey => ({ id, secret: crypto.getRandomValues(new Uint8Array(32)) })
const [first, second, stranger] = [keyOf('2025'), keyOf('2026'), keyOf('stranger')]

type Placed = Pick<IncomingRecord, 'key' | 'value' | 'headers'> & { topic: string }
type Service = RunningService & Caller

/** A stack whose services are started and stopped one by one, with keys of their own. */
async function openStage() {
  const stack = await startStack({ start: [], partitions: 1 })
  const { config, databases } = stack
  const running: RunningService[] = []
  const started = async (service: RunningService, caller: Caller): Promise<Service> => {
    running.push(service)
    return { ...caller, ...service }
  }
  const kafka = connectKafka(config.wallet.kafka, log)
  const publisher = kafka.publisher()
  const sql = postgres(databases.balances.url, { max: 1, onnotice: () => {} })
  const ledger = postgres(databases.wallet.url, { max: 1, onnotice: () => {} })
  const nameOf = (topic: string) => config.wallet.kafka.topicPrefix + topic
  return {
    ...stack,
    nameOf,
    async wallet(...signingKeys: SigningKey[]): Promise<Service> {
      config.wallet.events.signingKeys = signingKeys
      const service = await startWallet(config.wallet, log)
      return started(service, callerOf('wallet', service.port))
    },
    async balances(verify: 'required' | 'off' | undefined, ...verifyKeys: SigningKey[]): Promise<Service> {
      Object.assign(config.balances.events, { verify, verifyKeys })
      const service = await startBalances(config.balances, log)
      return started(service, callerOf('balances', service.port))
    },
    /** All records of the wallet's topics. */
    async records(): Promise<Placed[]> {
      const ranges = await kafka.endOffsets(topics.map(nameOf))
      const records: Placed[] = []
      for await (const { topic, records: batch } of kafka.read(ranges))
        records.push(...batch.map(({ key, value, headers }) => ({ key, value, headers, topic })))
      return records
    },
    /** Once everything in the outbox is published, and everything in the topics applied. */
    async caughtUp(): Promise<void> {
      await eventually(async () => expect(await ledger`select from outbox limit 1`).toHaveLength(0))
      const ends = await kafka.endOffsets(consumed.map(nameOf))
      await eventually(
        async () => {
          const rows = await sql`select topic, partition, next_offset from consumed_offsets`
          const applied = new Map(rows.map((row) => [row.topic, BigInt(row.next_offset)]))
          for (const { topic, offset } of ends) expect([topic, applied.get(topic)]).toEqual([topic, offset])
        },
        { timeoutMs: 20_000 },
      )
    },
    /** All that is stored of money and people. */
    tables: async () => ({
      balances: await sql`select * from balances order by account_id`,
      entries: await sql`select * from entries order by account_id, version`,
      clients: await sql`select * from clients order by id`,
      large: await sql`select * from large_movements order by transaction_id, leg`,
    }),
    send: (records: OutgoingRecord[]) => publisher.send(records),
    /** Returns the number of events. */
    async republish(): Promise<number> {
      const url = databases.wallet.serviceUrl
      const database = openDatabase({ url, poolMax: 1, prepare: true, applicationName: 'test' })
      const filter = { accountId: undefined, since: new Date(0) }
      try {
        return await republishAll(database, filter, { add() {} }, new AbortController().signal)
      } finally {
        await database.close()
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(running.map((service) => service.stop()))
      await publisher.close()
      await kafka.close()
      await Promise.all([sql.end(), ledger.end()])
    },
  }
}

/** Moves money, and waits until balances shows it. */
async function pay(wallet: Caller, balances: Caller, amount: number): Promise<void> {
  const paid = await wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount })
  expect(paid.status).toBe(201)
  const token = paid.headers.get('consistency-token') ?? ''
  const read = await balances.get(`/balances/${eva}`, { 'consistency-token': token, prefer: 'wait=20' })
  expect(read.status).toBe(200)
}

const lettersOf = async (balances: Caller): Promise<Record<string, number>> => {
  const groups = (await balances.get('/dead-letters/causes')).body.data as { cause: string; count: number }[]
  const counts: Record<string, number> = {}
  for (const { cause, count } of groups) counts[cause] = (counts[cause] ?? 0) + count
  return counts
}

async function rebuilt(balances: Caller): Promise<Record<string, unknown>> {
  expect((await balances.post('/rebuild', {})).status).toBe(202)
  return eventually(
    async () => {
      const { body } = await balances.get('/rebuild')
      expect(body.state).not.toBe('building')
      return body
    },
    { timeoutMs: 30_000 },
  )
}

/** Those that are not signed with the key. */
const notSignedBy = (key: SigningKey, records: Placed[]) => {
  const verify = createVerifier([key])
  return records.filter(({ topic, ...record }) => verify(topic, record))
}

const noDivergence = { accounts: 0, entries: 0, clients: 0 }

/** Moves Eva's balance, if it is believed. */
const forgery = (account = eva) => ({
  Name: 'BalanceUpdated',
  Payload: {
    ...{ account_id_from: frank, balance_account_id_from: 1, version_account_id_from: 900 },
    ...{ account_id_to: account, balance_account_id_to: 999_999, version_account_id_to: 900 },
    ...{ amount: 999_999, currency: 'BRL', transaction_id: 'forged', created_at: '2026-01-31T00:00:00.000Z' },
  },
})

/** What somebody may send who can write to the topics and has read them. */
function forgeriesOf(genuine: Placed[], nameOf: (topic: string) => string): OutgoingRecord[] {
  const balance = genuine.find(({ topic }) => topic === nameOf('balances')) as Placed
  const opening = genuine.find(({ topic }) => topic === nameOf('accounts')) as Placed
  const own = { topic: nameOf('balances'), key: frank, value: JSON.stringify(forgery()), headers: {} }
  const structured = {
    specversion: '1.0',
    id: '1',
    source: '/saldo/wallet',
    type: 'saldo.balance-updated.v1',
  }
  const copies = (headers: Record<string, string>) => [...balance.headers, ...headersOf(headers)]
  return [
    own,
    { ...own, headers: balance.headers },
    { ...own, headers: { [signatureHeader]: createSigner(stranger)({ ...own, headers: [] }) } },
    {
      ...own,
      value: JSON.stringify({ ...structured, data: forgery() }),
      headers: { 'content-type': 'application/cloudevents+json' },
    },
    { ...balance, value: String(balance.value).replace(/("balance_account_id_to":)/, '$19') },
    { ...balance, key: 'another' },
    { ...balance, value: null },
    { ...balance, headers: copies({ 'content-type': 'application/cloudevents+json' }) },
    { ...balance, headers: copies({ ce_type: 'saldo.account-opened.v1' }) },
    { ...balance, headers: copies({ [signatureHeader]: headerText(balance, signatureHeader) }) },
    { ...opening, topic: nameOf('balances') },
    { ...balance, topic: nameOf('personal-data') },
    {
      ...own,
      topic: nameOf('transactions'),
      value: JSON.stringify({
        Name: 'TransactionCreated',
        Payload: { id: 'forged', account_id_from: frank, account_id_to: eva, amount: 999_999 },
      }),
    },
  ]
}

test('forged and changed records move nothing, and each is a dead letter with its cause', async () => {
  await using stage = await openStage()
  const wallet = await stage.wallet(first, second)
  let balances = await stage.balances('required', first, second)
  await wallet.post(`/accounts/${eva}/deposits`, { amount: 50_000 })
  await pay(wallet, balances, 20_000)
  await pay(wallet, balances, 1)
  await stage.caughtUp()
  // A group of its own, at its own pace.
  await eventually(async () => expect((await stage.tables()).large).toHaveLength(2))
  const before = await stage.tables()
  const genuine = await stage.records()
  expect(notSignedBy(first, genuine)).toEqual([])
  // Neither the order nor the timestamp of a record means anything: these are not signed.
  const payloads = genuine.map(({ value }) => JSON.parse(String(value)).Payload)
  expect(payloads.filter(({ created_at }) => typeof created_at !== 'string')).toEqual([])
  const versions = ['version_account_id_from', 'version_account_id_to']
  const moved = payloads.filter((payload) => 'balance_account_id_from' in payload)
  expect(moved.filter((payload) => !versions.every((name) => Number.isInteger(payload[name])))).toEqual([])
  expect(await lettersOf(balances)).toEqual({})

  await stage.send(forgeriesOf(genuine, stage.nameOf))
  // Copies of all that was ever published: no version is newer than what is stored.
  await stage.send(genuine)
  await stage.caughtUp()
  await eventually(async () => {
    const { body } = await balances.get('/readyz')
    expect(JSON.stringify(body)).toContain('1 skipped since the start')
  })
  const letters = { signature_missing: 2, signature_key_unknown: 1, signature_invalid: 9 }
  expect(await lettersOf(balances)).toEqual(letters)
  expect(await stage.tables()).toEqual(before)

  // Another program finds out from the records themselves.
  const report = await reconciled(stage, { differencesMax: 100 })
  const refused = report.differences.filter(({ problem }) => problem.startsWith('invalid signature'))
  expect([report.counts.unsigned, refused.length, report.lacksKeys]).toEqual([4, 9, false])
  expect(refused).toContainEqual(
    expect.objectContaining({ where: 'topic', place: expect.stringContaining('/0/') }),
  )
  const blind = await reconciled(stage, {
    differencesMax: 100,
    events: { ...stage.config.balances.events, verify: undefined },
  })
  expect([blind.counts.unsigned, blind.total, blind.lacksKeys]).toEqual([null, report.total - 9, true])

  // Neither a redrive nor a rebuild applies them.
  const redriven = await balances.post('/dead-letters/redrive', { all: true })
  expect(redriven.body.counts).toMatchObject({ still_failing: 12, applied: 0, skipped: 0 })
  expect(await rebuilt(balances)).toMatchObject({ state: 'swapped', divergence: noDivergence })
  expect(await lettersOf(balances)).toEqual(letters)
  expect(await stage.tables()).toEqual(before)

  // Nor does a command without the settings of the service.
  const { kafka, database } = stage.config.balances
  const env = {
    DATABASE_URL: database.url,
    KAFKA_BROKERS: kafka.brokers.join(),
    KAFKA_TOPIC_PREFIX: kafka.topicPrefix,
  }
  for (const command of [redriveCommand, rebuild])
    for (const settings of [{}, { EVENTS_VERIFY: 'off' }])
      await expect(runCommand(command, [], { ...env, ...settings })).rejects.toThrow(
        'Set EVENTS_VERIFY=required and EVENTS_VERIFY_KEYS as the service has them.',
      )
  await balances.stop()
  await expect(stage.balances(undefined)).rejects.toThrow('or EVENTS_VERIFY=off to accept unsigned events')
  expect(await stage.tables()).toEqual(before)

  // Off, said outright, is off: what was a dead letter for want of a signature alone is applied.
  balances = await stage.balances('off')
  await balances.post('/dead-letters/redrive', {
    cause: 'signature_missing',
    topic: stage.nameOf('balances'),
  })
  expect((await balances.get(`/balances/${eva}`)).body.balance).toBe(999_999)
})

test('records from before the keys are replaced by republished ones', async () => {
  await using stage = await openStage()
  let wallet = await stage.wallet()
  let balances = await stage.balances(undefined)
  await pay(wallet, balances, 1)
  // The wallet signs first, and balances verifies once everything before is applied.
  await wallet.stop()
  wallet = await stage.wallet(first)
  await pay(wallet, balances, 1)
  await stage.caughtUp()
  await balances.stop()
  const unsigned = (await stage.records()).filter((record) => headerText(record, signatureHeader) === '')
  balances = await stage.balances('required', first, second)
  await pay(wallet, balances, 1)
  // The next key is known before it signs.
  await wallet.stop()
  wallet = await stage.wallet(second)
  await pay(wallet, balances, 1)
  await balances.stop()
  balances = await stage.balances('required', second)
  await pay(wallet, balances, 1)
  await stage.caughtUp()
  expect(await lettersOf(balances)).toEqual({})
  const before = await stage.tables()

  // A rebuild reads the old records again. It finds out, and changes nothing.
  const refused = await rebuilt(balances)
  expect(refused).toMatchObject({ state: 'refused', message: expect.stringContaining('npm run republish') })
  expect(await stage.tables()).toEqual(before)

  await stage.republish()
  await stage.caughtUp()
  expect(await rebuilt(balances)).toMatchObject({ state: 'swapped', divergence: noDivergence })
  expect(await stage.tables()).toEqual(before)
  const letters = await lettersOf(balances)
  const names = consumed.map(stage.nameOf)
  const read = unsigned.filter(({ topic }) => names.includes(topic))
  expect(letters).toEqual({ signature_missing: read.length, signature_key_unknown: 2 })

  // In topics that have no other records it ends without a letter.
  await Promise.all([wallet.stop(), balances.stop()])
  for (const { kafka } of Object.values(stage.config)) kafka.topicPrefix += 'signed-'
  wallet = await stage.wallet(second)
  await stage.republish()
  balances = await stage.balances('required', second)
  await pay(wallet, balances, 1)
  await stage.caughtUp()
  expect(await rebuilt(balances)).toMatchObject({ state: 'swapped', divergence: noDivergence })
  expect(await lettersOf(balances)).toEqual({})
  expect(notSignedBy(second, await stage.records())).toEqual([])
  expect(await reconciled(stage)).toMatchObject({ differences: [], counts: { unsigned: 0 } })
})
