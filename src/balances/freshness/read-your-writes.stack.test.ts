/** Read-your-writes while events are late: with the consistency token of the write, and without it. */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBroker } from '../../local/broker/broker'
import { createLog } from '../../platform/telemetry/log'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { callerOf, serviceConfig } from '../../testing/stack'
import { startWallet } from '../../wallet/service'
import { startBalances } from '../service'

const log = createLog({ service: 'test', level: 'error', format: 'json' })
const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'

/** Both services, with several read replicas, on a broker of their own that can be made to fail. */
async function startReplicas(readers: number) {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-broker-'))
  const broker = await startBroker({ dataDir: join(folder, 'broker'), fsync: false })
  const shared = await backing()
  const topicPrefix = shared.topicPrefix()
  const settings = { brokers: [broker.brokers], topicPrefix, seed: true }
  const wallet = await startWallet(
    serviceConfig('wallet', { ...settings, database: await shared.createDatabase('wallet', 'wallet') }),
    log,
  )
  const database = await shared.createDatabase('balances', 'balances')
  const config = serviceConfig('balances', { ...settings, database })
  const services = await Promise.all(Array.from({ length: readers }, () => startBalances(config, log)))
  const balances = services.map((service) => callerOf('balances', service.port))
  for (const one of balances)
    await eventually(async () => {
      const { body } = await one.get('/readyz')
      expect(body.checks).toMatchObject({ consumer: { status: 'pass' } })
    })
  return {
    broker,
    balances,
    config,
    wallet: callerOf('wallet', wallet.port),
    /** From here on no replica gets a record: each of its two consumers has a fetch outstanding. */
    async delayFetches(until: Promise<void>) {
      const delayed = broker.faults.inject('Fetch', { kind: 'delay', until }, Number.POSITIVE_INFINITY)
      await eventually(() => expect(delayed.hits).toBeGreaterThanOrEqual(2 * readers))
    },
    async [Symbol.asyncDispose]() {
      broker.faults.clear()
      await Promise.all([wallet.stop(), ...services.map((service) => service.stop())])
      await broker.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The version of an account in a token. */
const versionIn = (token: string, account: string) =>
  Number(new RegExp(`${account}:(\\d+)`).exec(token)?.[1] ?? Number.NaN)

test('500 reads after 500 writes, events late: none is stale with the token, some without', async () => {
  await using system = await startReplicas(1)
  const [balances] = system.balances
  if (!balances) throw new Error('no reader')
  const late = new Promise((resolve) => setTimeout(resolve, 2000))
  system.broker.faults.inject('Fetch', { kind: 'delay', until: late }, Number.POSITIVE_INFINITY)

  let staleWithout = 0
  const versions = await Promise.all(
    Array.from({ length: 500 }, async () => {
      const body = { account_id_from: eva, account_id_to: frank, amount: 0.01 }
      const moved = await system.wallet.post('/transactions', body)
      expect(moved.status).toBe(201)
      const token = moved.headers.get('consistency-token') ?? ''
      const written = versionIn(token, eva)

      const without = await balances.get(`/balances/${eva}`)
      if (Number(without.body.version) < written) staleWithout++
      const impatient = await balances.get(`/balances/${eva}`, { 'consistency-token': token })
      if (impatient.status === 200) expect(Number(impatient.body.version)).toBeGreaterThanOrEqual(written)
      else expect(impatient.body.code).toBe('NOT_YET_CONSISTENT')

      const headers = { 'consistency-token': token, prefer: 'wait=20' }
      const found = await balances.get(`/balances/${eva}`, headers)
      expect(found.status).toBe(200)
      expect(found.headers.get('preference-applied')).toBe('wait=20')
      expect(Number(found.body.version)).toBeGreaterThanOrEqual(written)
      return written
    }),
  )
  expect(staleWithout).toBeGreaterThan(0)
  expect(new Set(versions).size).toBe(500)
})

test('a replica that applies nothing is notified of what the others apply', async () => {
  await using system = await startReplicas(3)
  for (let turn = 0; turn < 10; turn++) {
    system.broker.faults.pause(true)
    const body = { account_id_from: eva, account_id_to: frank, amount: 0.01 }
    const token = (await system.wallet.post('/transactions', body)).headers.get('consistency-token') ?? ''
    const headers = { 'consistency-token': token, prefer: 'wait=25' }
    const answers = Promise.all(system.balances.map((one) => one.get(`/balances/${frank}`, headers)))
    system.broker.faults.pause(false)
    const startedAt = performance.now()
    for (const { status, body } of await answers) {
      expect(status).toBe(200)
      expect(Number(body.version)).toBeGreaterThanOrEqual(versionIn(token, frank))
    }
    // Long before the end of the wait, when it would query again.
    expect(performance.now() - startedAt).toBeLessThan(15_000)
  }
})

test.concurrent('balances-as-of and balances-lag follow late events and a broker outage', async () => {
  await using system = await startReplicas(2)
  const sample = async () => {
    const answers = await Promise.all(system.balances.map((one) => one.get(`/balances/${eva}`)))
    return answers.map(({ headers }) => ({
      lag: headers.get('balances-lag'),
      asOf: headers.get('balances-as-of') ?? '',
    }))
  }
  const isFresh = (since: string) =>
    eventually(async () => {
      for (const { lag, asOf } of await sample()) expect([lag, asOf > since]).toEqual(['0', true])
    })
  await isFresh('')

  // Log ends can be listed, but records cannot be fetched.
  const { promise: until, resolve: arrive } = Promise.withResolvers<void>()
  await system.delayFetches(until)
  const body = { account_id_from: eva, account_id_to: frank, amount: 0.01 }
  for (let turn = 0; turn < 3; turn++) await system.wallet.post('/transactions', body)
  const after = new Date().toISOString()
  await eventually(async () => {
    for (const { lag, asOf } of await sample()) expect([lag, asOf < after]).toEqual(['3', true])
  })
  arrive()
  await isFresh(after)

  system.broker.faults.refuseConnections(true)
  const gone = new Date().toISOString()
  await eventually(async () => {
    const [first, second] = [await sample(), await sample()]
    expect(second).toEqual(first)
    for (const { asOf } of second) expect(asOf < gone).toBe(true)
  })
  system.broker.faults.refuseConnections(false)
  await isFresh(gone)
})

test.concurrent('an answer as of a time is complete once nothing of that time can still arrive', async () => {
  await using system = await startReplicas(1)
  const [balances] = system.balances
  if (!balances) throw new Error('no reader')
  const { promise: until, resolve: arrive } = Promise.withResolvers<void>()
  const seen = new Map<string, { balance: unknown; complete: unknown }[]>()
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const { status, body } = await balances.get(path, headers)
    expect([path, status]).toEqual([path, 200])
    const { balance = body.data, complete } = body
    seen.set(path, [...(seen.get(path) ?? []), { balance, complete }])
    return body
  }

  // Long before anything late: complete after the first sample.
  const past = `/balances/${eva}?at=2024-02-01T00:00:00Z`
  await eventually(async () => expect(await ask(past)).toMatchObject({ balance: 800, complete: true }))
  for (const path of [`/balances/${eva}/explain`, `/balances/${eva}/statement?until=2024-02-01T00:00:00Z`])
    await eventually(async () => expect(await ask(path)).toMatchObject({ complete: true }))

  await system.delayFetches(until)
  const backdated = {
    account_id_from: eva,
    account_id_to: frank,
    amount: 1,
    effective_at: '2024-01-31T00:00:00Z',
  }
  const moved = await system.wallet.post('/transactions', backdated)
  const at = String(moved.body.created_at)
  const timed = [
    `/balances/${eva}?at=${at}`,
    `/balances/${eva}/explain?at=${at}`,
    `/balances/${eva}/statement?until=${new Date(Date.parse(at) + 1).toISOString()}`,
  ]
  for (const path of timed) expect(await ask(path)).toMatchObject({ complete: false })
  expect(await ask(`/balances/${eva}?at=9999-01-01T00:00:00Z`, { prefer: 'wait=1' })).toMatchObject({
    complete: false,
  })
  // Known to lag now, and a missing entry may be backdated.
  await eventually(async () => expect(await ask(`${past}&time=effective`)).toMatchObject({ complete: false }))
  await eventually(async () => expect(Date.now() - Date.parse(at)).toBeGreaterThan(3000))
  for (const path of timed) expect(await ask(path)).toMatchObject({ complete: false })
  expect(await ask(past)).toMatchObject({ complete: true })

  const waiting = Promise.all(timed.map((path) => ask(path, { prefer: 'wait=20' })))
  arrive()
  for (const body of await waiting) expect(body).toMatchObject({ complete: true })
  expect(await ask(timed[0] as string)).toMatchObject({ balance: 799, complete: true })
  expect(await ask(`${past}&time=effective`, { prefer: 'wait=20' })).toMatchObject({
    balance: 799,
    complete: true,
  })
  for (const path of [past, ...timed]) {
    const complete = seen.get(path)?.filter((answer) => answer.complete === true) ?? []
    expect(new Set(complete.map(({ balance }) => JSON.stringify(balance))).size, path).toBe(1)
  }
})

test.concurrent('a replica that never reached the broker reports complete only what surely is', async () => {
  await using system = await startReplicas(1)
  await eventually(async () => {
    expect((await system.balances[0]?.get(`/balances/${eva}?at=2024-02-01T00:00:00Z`))?.body.complete).toBe(
      true,
    )
  })
  system.broker.faults.refuseConnections(true)
  const again = await startBalances(system.config, log)
  try {
    const balances = callerOf('balances', again.port)
    const newest = await balances.get(`/balances/${eva}?at=2024-02-01T00:00:00Z`)
    expect(newest.body).toMatchObject({ balance: 800, complete: false })
    // A later entry is present, so nothing is missing before it.
    expect((await balances.get(`/balances/${eva}?at=2020-02-01T00:00:00Z`)).body).toMatchObject({
      complete: true,
    })
    expect(
      (await balances.get(`/balances/${eva}?at=2020-02-01T00:00:00Z&time=effective`)).body.complete,
    ).toBe(false)
    // Without a time the answer is about the applied entries.
    const explained = (await balances.get(`/balances/${eva}/explain`)).body
    expect(explained).toMatchObject({ balance: 800, complete: true, at: '2024-01-27T17:13:55.000Z' })
  } finally {
    await again.stop()
  }
})
