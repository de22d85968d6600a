/** What `/metrics` of both services shows of a stack that works, and of one that does not. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import postgres, { type Sql } from 'postgres'
import { serviceNames } from './config/config'
import { pathOf } from './platform/http/docs/openapi'
import { connectKafka } from './platform/kafka/client'
import { openDatabase } from './platform/postgres/database'
import { routesOf } from './testing/documented'
import { eventually } from './testing/eventually'
import { definitionsOf } from './testing/metrics-docs'
import { startProxy } from './testing/proxy'
import { head, rawRequest } from './testing/raw-http'
import { scrape } from './testing/scrape'
import { callerOf, type Stack, startStack } from './testing/stack'
import { eva, frank, log, startWallets } from './testing/wallets'
import { overdueSeconds } from './wallet/ledger/store/rows'
import { startWallet } from './wallet/service'

let stack: Stack
let owner: Record<'wallet' | 'balances', Sql>
beforeAll(async () => {
  stack = await startStack()
  const open = (url: string) => postgres(url, { max: 1, onnotice: () => {} })
  owner = { wallet: open(stack.databases.wallet.url), balances: open(stack.databases.balances.url) }
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  await Promise.all(Object.values(owner).map((sql) => sql.end()))
})

const pay = (headers: Record<string, string> = {}) =>
  stack.wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount: 1 }, headers)
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'

test.each(serviceNames)('%s shows what is documented, and nothing else', async (service) => {
  const page = await scrape(stack[service])
  const documented = definitionsOf(service)
  expect([...page.types].sort()).toEqual(
    documented.map(({ name, type }): [string, string] => [name, type]).sort(),
  )
  for (const { name, help, labels = {}, type } of documented) {
    expect(page.help.get(name)).toBe(help)
    const ownLabels = page.series
      .filter((one) => one.name.replace(type === 'histogram' ? /_(bucket|sum|count)$/ : '', '') === name)
      .map((one) => Object.keys(one.labels).filter((label) => label !== 'le'))
    for (const names of ownLabels) expect(names).toEqual(Object.keys(labels))
  }
})

test('one trace leads from the request over append and send to the applied balance', async () => {
  const traced = async (service: 'wallet' | 'balances') => {
    const { headers, body } = await stack[service].get('/metrics', { accept: 'application/openmetrics-text' })
    expect(headers.get('content-type')).toStartWith('application/openmetrics-text; version=1.0.0')
    const lines = String(body.text).matchAll(/^(\w+)_bucket\{.*# \{trace_id="(\w+)"\}/gm)
    return new Set(Array.from(lines, ([, name, id]) => (id === traceId ? name : undefined)))
  }
  await eventually(async () => {
    // Again, since of a send with several traces the first one is noted.
    expect((await pay({ traceparent: `00-${traceId}-00f067aa0ba902b7-01` })).status).toBe(201)
    const atWallet = ['http_request_duration', 'append_duration', 'relay_send_duration']
    for (const name of atWallet) expect(await traced('wallet')).toContain(`saldo_${name}_seconds`)
    expect(await traced('balances')).toContain('saldo_commit_to_applied_seconds')
  })
})

test('outcomes are counted, and no label has what a caller sent', async () => {
  const { values } = await scrape(stack.wallet)
  const before = values('saldo_commands_total', { outcome: 'insufficient_funds' })[0] ?? 0
  const body = { account_id_from: eva, account_id_to: frank, amount: 999_999_999 }
  expect((await stack.wallet.post('/transactions', body)).status).toBe(422)
  for (const path of ['/accounts/no-such', '/x/<script>', '/transactions?limit=oops', '/metrics/', '/%00'])
    await fetch(`http://127.0.0.1:${stack.wallet.port}${path}`, { method: 'GET' })
  await rawRequest(stack.wallet.port, [head('PURGE /accounts', { 'X-Account': eva })])
  const page = await scrape(stack.wallet)
  const [insufficient] = page.values('saldo_commands_total', {
    command: 'transfer',
    outcome: 'insufficient_funds',
  })
  expect(insufficient).toBe(before + 1)
  const of = (label: string) =>
    new Set(page.series.flatMap(({ labels }) => (label in labels ? [labels[label] as string] : [])))
  const routes = new Set(['none', ...routesOf.wallet.map(pathOf)])
  expect([...of('route')].filter((route) => !routes.has(route))).toEqual([])
  expect(of('route')).toContain('none')
  expect(of('route')).toContain('/accounts/{id}')
  expect([...of('method')].sort()).toEqual(['GET', 'POST', 'other'].sort())
  for (const status of of('status')) expect(status).toMatch(/^[2-5]\d\d$/)
  for (const { labels } of page.series)
    for (const value of Object.values(labels))
      expect(value).not.toMatch(/script|oops|no-such|%|-[0-9a-f]{12}$/)
})

const seconds = async (service: 'wallet' | 'balances', name: string) =>
  Math.max(...(await scrape(stack[service])).values(name))

test('the age of what is not applied grows while balances applies nothing', async () => {
  const name = 'saldo_consumer_oldest_unapplied_seconds'
  await eventually(async () => expect(await seconds('balances', name)).toBe(0))
  await owner.balances.begin(async (tx) => {
    await tx`select from consumed_offsets for update`
    await pay()
    await eventually(async () => {
      expect(await seconds('balances', name)).toBeGreaterThan(1.5)
      expect(await seconds('balances', 'saldo_consumer_lag_records')).toBeGreaterThan(0)
    })
    expect(await seconds('balances', 'saldo_read_model_age_seconds')).toBeGreaterThan(1)
  })
  await eventually(async () => expect(await seconds('balances', name)).toBe(0))
  const page = await scrape(stack.balances)
  expect(page.values('saldo_sample_age_seconds', { part: 'watermark' })[0]).toBeLessThan(5)
})

test('the age of the outbox grows while nothing leaves it', async () => {
  const name = 'saldo_outbox_oldest_age_seconds'
  await owner.wallet.begin(async (tx) => {
    await tx`lock table append_deliveries in share row exclusive mode`
    await pay()
    await eventually(async () => expect(await seconds('wallet', name)).toBeGreaterThan(0.5))
    expect(await seconds('wallet', 'saldo_outbox_pending_events')).toBeGreaterThan(1)
  })
  await eventually(async () => expect(await seconds('wallet', name)).toBe(0))
})

test('the age of what the reaction has not read grows while it waits', async () => {
  const name = 'saldo_large_movements_oldest_unread_seconds'
  await eventually(async () => expect(await seconds('balances', name)).toBe(0))
  await owner.balances.begin(async (tx) => {
    await tx`lock table reaction_last_records in exclusive mode`
    await pay()
    await eventually(async () => {
      expect(await seconds('balances', name)).toBeGreaterThan(1.5)
      expect(await seconds('balances', 'saldo_large_movements_lag_records')).toBeGreaterThan(0)
    })
    // Balances go on meanwhile.
    expect(await seconds('balances', 'saldo_consumer_oldest_unapplied_seconds')).toBe(0)
  })
  await eventually(async () => expect(await seconds('balances', name)).toBe(0))
})

test('a dead letter is counted by its cause, and ages', async () => {
  const kafka = connectKafka(stack.config.wallet.kafka, log)
  const publisher = kafka.publisher()
  const topic = `${stack.config.wallet.kafka.topicPrefix}balances`
  await publisher.send([{ topic, key: 'poison', value: 'not JSON', headers: {} }])
  await publisher.close()
  await kafka.close()
  await eventually(async () => {
    const page = await scrape(stack.balances)
    expect(page.values('saldo_dead_lettered_records_total', { cause: 'not_json' })).toEqual([1])
    expect(page.values('saldo_dead_letters')).toEqual([1])
    expect(page.values('saldo_dead_letter_oldest_age_seconds')[0]).toBeGreaterThan(0)
  })
})

test('an open hold that has expired is overdue', async () => {
  const body = { account_id_from: eva, account_id_to: frank, amount: 1 }
  const { body: hold } = await stack.wallet.post('/holds', body)
  const admin = openDatabase({
    ...{ url: stack.backing.superuserUrl(stack.databases.wallet.name), poolMax: 1, prepare: true },
    applicationName: 'test',
  })
  const undo = new Error('undone')
  const overdue: number[] = []
  await admin.sql
    .begin(async (tx) => {
      await tx`set local session_replication_role = replica`
      overdue.push(await overdueSeconds(tx))
      const id = String(hold.id)
      await tx`update holds set expires_at = now() - interval '90 seconds' where id = ${id}::uuid`
      overdue.push(await overdueSeconds(tx))
      throw undo
    })
    .catch((error) => expect(error).toBe(undo))
  await admin.close()
  expect(overdue[0]).toBe(0)
  expect(overdue[1]).toBeCloseTo(90, 2)
})

test('a scrape answers in time while the database is silent, and says how old its samples are', async () => {
  await using wallets = await startWallets(0)
  await using proxy = await startProxy(wallets.config.database.url)
  const database = { ...wallets.config.database, url: proxy.through(wallets.config.database.url) }
  const service = await startWallet({ ...wallets.config, database }, log)
  const caller = callerOf('wallet', service.port)
  const outboxAge = async () => (await scrape(caller)).values('saldo_outbox_oldest_age_seconds')
  // The seed is published first.
  await eventually(async () => expect(await outboxAge()).toEqual([0]))
  proxy.silenceAll()
  const body = { account_id_from: eva, account_id_to: frank, amount: 1 }
  const paying = caller.post('/transactions', body, { 'idempotency-key': 'silent' })
  const begunMs = performance.now()
  await eventually(async () => {
    const startedMs = performance.now()
    const page = await scrape(caller)
    expect(performance.now() - startedMs).toBeLessThan(2500)
    const ages = ['database', 'outbox', 'expire_holds'].map(
      (part) => page.values('saldo_sample_age_seconds', { part })[0] ?? 0,
    )
    expect(Math.min(...ages)).toBeGreaterThan(2)
    expect(page.values('saldo_relay_leader')).toHaveLength(1)
    expect(page.values('saldo_outbox_oldest_age_seconds')).toEqual([0])
    expect(page.values('saldo_idempotency_key_in_progress_seconds')[0]).toBeGreaterThan(1)
    expect(page.values('saldo_database_pool_in_use', { pool: 'saldo-wallet-writer' })).toEqual([1])
  })
  expect(performance.now() - begunMs).toBeLessThan(20_000)
  proxy.heal()
  proxy.release()
  expect((await paying).status).toBeOneOf([201, 503])
  await service.stop()
})
