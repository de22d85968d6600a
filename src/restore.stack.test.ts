/**
 * What is restored from a backup, alone or with the rest, ends with equal books: those of the restored
 * ledger. Each loss of docs/backup.md.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { Kafka, logLevel } from 'kafkajs'
import pino from 'pino'
import postgres from 'postgres'
import { startBalances } from './balances/service'
import type { ServiceConfig, ServiceName } from './config/config'
import { connectKafka } from './platform/kafka/client'
import { openDatabase } from './platform/postgres/database'
import type { RunningService } from './platform/process/service'
import { type Backing, backing, log, type TestDatabase } from './testing/backing'
import { eventually } from './testing/eventually'
import { reconciled } from './testing/reconciled'
import { type Caller, callerOf, serviceConfig } from './testing/stack'
import { eva, frank } from './testing/wallets'
import { Epochs } from './wallet/epochs/epochs'
import { republishAll } from './wallet/republish/republish'
import { startWallet } from './wallet/service'

let shared: Backing
let admin: postgres.Sql
beforeAll(async () => {
  shared = await backing()
  admin = postgres(shared.superuserUrl('postgres'), { max: 1, onnotice: () => {} })
})
afterAll(() => admin.end())

const starters = { wallet: startWallet, balances: startBalances }

/** Both services, each of which can be stopped, backed up, and restored to any backup. */
async function startTown() {
  const topicPrefix = shared.topicPrefix()
  const databases = {} as Record<ServiceName, TestDatabase>
  const config = {} as Record<ServiceName, ServiceConfig>
  const running = new Map<ServiceName, RunningService>()
  const callers = {} as Record<ServiceName, Caller>

  const use = (service: ServiceName, database: TestDatabase) => {
    databases[service] = database
    const { brokers } = shared
    config[service] = serviceConfig(service, { database, brokers, topicPrefix, seed: true })
  }
  const start = async (service: ServiceName) => {
    const started = await starters[service](config[service], log)
    running.set(service, started)
    callers[service] = callerOf(service, started.port)
  }
  const stop = async (service: ServiceName) => {
    await running.get(service)?.stop()
    running.delete(service)
  }
  /** As a dump of the stopped service would be. */
  const copy = async (service: ServiceName): Promise<TestDatabase> => {
    const from = databases[service]
    const to = await shared.createDatabase(service)
    await admin.unsafe(`drop database ${to.name}`)
    const owner = decodeURIComponent(new URL(from.url).username)
    await admin.unsafe(`create database ${to.name} template ${from.name} strategy file_copy owner ${owner}`)
    const urlOf = (url: string) => Object.assign(new URL(url), { pathname: `/${to.name}` }).href
    return { name: to.name, url: urlOf(from.url), serviceUrl: urlOf(from.serviceUrl) }
  }
  for (const service of ['wallet', 'balances'] as const) {
    use(service, await shared.createDatabase(service, service, true))
    await start(service)
  }
  return {
    config,
    databases,
    topicPrefix,
    use,
    get wallet() {
      return callers.wallet
    },
    get balances() {
      return callers.balances
    },
    start,
    stop,
    async backUp(service: ServiceName): Promise<TestDatabase> {
      await stop(service)
      const backup = await copy(service)
      await start(service)
      return backup
    },
    /** To a backup, or to an empty database. */
    async restore(service: ServiceName, backup?: TestDatabase) {
      await stop(service)
      use(service, backup ?? (await shared.createDatabase(service, service, true)))
      await start(service)
    },
    async query(service: ServiceName, text: string) {
      const sql = postgres(databases[service].url, { max: 1, onnotice: () => {} })
      return sql.unsafe(text).finally(() => sql.end())
    },
    async [Symbol.asyncDispose]() {
      for (const service of ['wallet', 'balances'] as const) await stop(service)
    },
  }
}
type Town = Awaited<ReturnType<typeof startTown>>

/** Some of everything that moves or changes an account. */
async function live({ wallet }: Town, seed: number) {
  const sent: Promise<{ status: number; body: Record<string, unknown> }>[] = []
  const amountOf = (index: number) => ((seed + index) % 7) + 1
  for (let index = 0; index < 12; index++) {
    const [from, to] = index % 3 === 0 ? [frank, eva] : [eva, frank]
    const transfer = { account_id_from: from, account_id_to: to, amount: amountOf(index) }
    sent.push(wallet.post('/transactions', transfer))
  }
  sent.push(wallet.post('/holds', { account_id_from: eva, account_id_to: frank, amount: 3 }))
  for (const { status } of await Promise.all(sent)) expect(status).toBe(201)
  const client = await wallet.post('/clients', { name: `Ana ${seed}`, email: `ana${seed}@example.com` })
  expect(client.status).toBe(201)
  const account = await wallet.post('/accounts', { client_id: client.body.id, currency: 'BRL' })
  expect(account.status).toBe(201)
  const id = String(account.body.id)
  expect((await wallet.post(`/accounts/${id}/deposits`, { amount: 10 + seed })).status).toBe(201)
  expect((await wallet.post(`/accounts/${id}/freeze`, { scope: 'debits' })).status).toBe(200)
  return { account: id, client: String(client.body.id) }
}

/** Nothing differs and nothing is in flight. Returns the report. */
const expectEqualBooks = (town: Town) =>
  eventually(
    async () => {
      const report = await reconciled(town, { waitMs: 10_000 })
      expect(report.differences).toEqual([])
      expect(report.counts).toMatchObject({ waiting: 0, behind: 0, unchecked: 0, lag: 0 })
      return report
    },
    { intervalMs: 200 },
  )

test('the wallet alone: the read side follows the restored ledger, and so does a rebuild', async () => {
  await using town = await startTown()
  const kept = await live(town, 1)
  const backup = await town.backUp('wallet')
  const lost = await live(town, 2)
  await live(town, 3)
  const transfer = { account_id_from: eva, account_id_to: frank, amount: 0.01 }
  const lostToken = (await town.wallet.post('/transactions', transfer)).headers.get('consistency-token') ?? ''
  await expectEqualBooks(town)
  const before = await town.balances.get(`/balances/${eva}`)

  const streamed = fetch(`http://127.0.0.1:${town.balances.port}/balances/${eva}/stream`)
  const ended = (await streamed).text()
  await town.restore('wallet', backup)
  expect((await town.wallet.post('/transactions', transfer)).status).toBe(201)
  const report = await expectEqualBooks(town)
  expect(report.counts.lost).toBeGreaterThan(20)

  const read = (token: string) =>
    town.balances.get(`/balances/${eva}`, { 'consistency-token': token, prefer: 'wait=20' })
  const paid = await town.wallet.post('/transactions', transfer)
  const token = paid.headers.get('consistency-token') ?? ''
  expect(token).toContain('@2')
  for (const one of [token, lostToken]) {
    const { status, body } = await read(one)
    expect([status, body.version]).toEqual([200, paid.body.version_account_id_from])
  }
  expect(Number(paid.body.version_account_id_from)).toBeLessThan(Number(before.body.version))
  expect((await town.balances.get(`/balances/${lost.account}`)).status).toBe(404)
  expect((await town.balances.get(`/balances/${kept.account}`)).status).toBe(200)
  expect(await town.query('balances', `select from clients where id = '${lost.client}'`)).toHaveLength(0)
  const [epoch] = await town.query('wallet', 'select * from ledger_epochs order by epoch desc limit 1')
  expect(epoch).toMatchObject({ epoch: 2, cause: 'detected' })

  // Its position is lost: the client comes back, and gets a reset.
  expect(await ended).toContain(`id: ${before.body.version}\n`)
  const headers = { 'last-event-id': String(before.body.version) }
  const again = await fetch(`http://127.0.0.1:${town.balances.port}/balances/${eva}/stream`, { headers })
  const reader = again.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  while (!text.includes('event: ')) text += (await reader?.read())?.value ?? ''
  expect(text).toContain('event: reset')
  await reader?.cancel()

  // Life goes on, also where the lost future had accounts of the same versions.
  await live(town, 4)
  await expectEqualBooks(town)
  expect((await town.balances.post('/rebuild', {})).status).toBe(202)
  await eventually(async () => expect((await town.balances.get('/rebuild')).body.state).toBe('swapped'))
  await expectEqualBooks(town)

  // A restart is no restore, and neither is a second look at the ends of the topics.
  await town.stop('wallet')
  await town.start('wallet')
  await live(town, 5)
  await expectEqualBooks(town)
  expect(await town.query('wallet', 'select from ledger_epochs')).toHaveLength(2)
})

test('the read side alone: to an older backup, and to nothing', async () => {
  await using town = await startTown()
  await live(town, 1)
  const backup = await town.backUp('balances')
  await live(town, 2)
  await expectEqualBooks(town)
  await town.restore('balances', backup)
  await expectEqualBooks(town)
  await town.restore('balances')
  await live(town, 3)
  await expectEqualBooks(town)
  expect(await town.query('wallet', 'select from ledger_epochs')).toHaveLength(1)
})

test('both, each from another time, and again from a backup that the first one has made void', async () => {
  await using town = await startTown()
  await live(town, 1)
  const early = { wallet: await town.backUp('wallet'), balances: await town.backUp('balances') }
  await live(town, 2)
  await expectEqualBooks(town)
  const late = { wallet: await town.backUp('wallet'), balances: await town.backUp('balances') }
  await live(town, 3)
  await expectEqualBooks(town)

  await town.stop('wallet')
  await town.restore('balances', late.balances)
  await town.restore('wallet', early.wallet)
  await live(town, 4)
  await expectEqualBooks(town)

  await town.stop('wallet')
  await town.restore('balances', early.balances)
  await town.restore('wallet', late.wallet)
  await live(town, 5)
  await expectEqualBooks(town)
  const epochs = await town.query('wallet', 'select epoch, with_history from ledger_epochs order by epoch')
  expect(epochs.map(({ epoch, with_history }) => [epoch, with_history])).toEqual([
    [1, false],
    [3, true],
  ])
})

test('all topics: published again from the ledger', async () => {
  await using town = await startTown()
  await live(town, 1)
  await expectEqualBooks(town)
  for (const service of ['wallet', 'balances'] as const) await town.stop(service)
  const client = new Kafka({ brokers: shared.brokers, logLevel: logLevel.NOTHING }).admin()
  await client.connect()
  const names = (await client.listTopics()).filter((topic) => topic.startsWith(town.topicPrefix))
  await client.deleteTopics({ topics: names })
  await client.disconnect()
  for (const service of ['wallet', 'balances'] as const) await town.start(service)
  const { url } = town.databases.wallet
  const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'test' })
  const all = { accountId: undefined, since: new Date(0) }
  await republishAll(database, all, { add() {} }, new AbortController().signal)
  await database.close()
  await live(town, 2)
  await expectEqualBooks(town)
  expect(await town.query('wallet', 'select from ledger_epochs')).toHaveLength(1)
})

test('a wallet that dies while an epoch starts goes on; one that may not start it says why', async () => {
  await using town = await startTown()
  await live(town, 1)
  const backup = await town.backUp('wallet')
  await live(town, 2)
  await expectEqualBooks(town)
  await town.stop('wallet')
  town.use('wallet', backup)
  const { url } = town.databases.wallet
  const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'test' })
  const kafka = connectKafka({ ...town.config.wallet.kafka, clientId: 'test' }, log)
  const means = { database, kafka, topicPrefix: town.topicPrefix, log: pino({ level: 'silent' }) }
  await expect(new Epochs({ ...means, onLostEvents: 'refuse' }).settle()).rejects.toThrow(
    /the broker has events that the ledger has lost, such as .*saldo epoch --start/s,
  )
  const dying = new Epochs({ ...means, onLostEvents: 'start_epoch' })
  await dying.settle()
  expect([dying.current, await dying.step()]).toEqual([2, true])
  expect(dying.health(true)).toMatchObject({
    status: 'warn',
    output: expect.stringContaining('epoch 2 starts'),
  })
  await database.close()
  await kafka.close()

  await town.start('wallet')
  await live(town, 3)
  await expectEqualBooks(town)
  const [epoch] = await town.query('wallet', 'select * from ledger_epochs order by epoch desc limit 1')
  const [started] = await town.query('balances', 'select * from ledger_epochs')
  expect(epoch).toMatchObject({ epoch: 2, accounts: started?.accounts })
})
