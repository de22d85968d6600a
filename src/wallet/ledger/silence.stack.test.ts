/** Connections to the database that are cut in silence: nothing is closed, and nothing arrives. */
import { expect, test } from 'bun:test'
import { advisoryLocks } from '../../platform/postgres/locks'
import { eventually } from '../../testing/eventually'
import { countPending } from '../../testing/outbox'
import { type SilentProxy, startProxy } from '../../testing/proxy'
import { type Caller, callerOf } from '../../testing/stack'
import { eva, expectSoundLedger, frank, log, startWallets } from '../../testing/wallets'
import { startWallet } from '../service'

async function start(begin?: (proxy: SilentProxy) => void) {
  const wallets = await startWallets(0)
  const proxy = await startProxy(wallets.config.database.url)
  begin?.(proxy)
  const { url } = wallets.config.database
  const database = { ...wallets.config.database, url: proxy.through(url) }
  const service = await startWallet({ ...wallets.config, database }, log)
  const wallet = callerOf('wallet', service.port)
  return {
    ...wallets,
    proxy,
    wallet,
    pay: (more = {}, headers = {}) => pay(wallet, more, headers),
    async [Symbol.asyncDispose]() {
      await service.stop()
      await proxy[Symbol.asyncDispose]()
      await wallets[Symbol.asyncDispose]()
    },
  }
}
const pay = (caller: Caller, more = {}, headers = {}) =>
  caller.post('/transactions', { account_id_from: eva, account_id_to: frank, amount: 1, ...more }, headers)

// The longest first: a few run at a time.
test.concurrent('behind a silent network, requests get 503 in time; nothing is lost or doubled', async () => {
  await using stack = await start()
  expect((await stack.pay()).status).toBe(201)
  stack.proxy.silenceAll()
  const begunMs = performance.now()
  const keyed = { 'idempotency-key': 'once' }
  const answers = await Promise.all([
    stack.pay({}, keyed),
    stack.pay(),
    stack.wallet.get(`/accounts/${eva}`),
    stack.wallet.get(`/transactions?account_id=${eva}`),
  ])
  for (const { status, headers } of answers) expect([status, headers.get('retry-after')]).toEqual([503, '1'])
  // The first was sent; the other may still have been waiting for its turn.
  expect(answers.map(({ body }) => body.detail).join()).toMatch(/whether this took effect is not known/)
  expect(performance.now() - begunMs).toBeLessThan(40_000)
  stack.proxy.heal()
  const again = await eventually(async () => {
    const answer = await stack.pay({}, keyed)
    expect(answer.status).toBe(201)
    return answer
  })
  expect((await stack.wallet.get(`/accounts/${eva}`)).status).toBe(200)
  stack.proxy.release()
  expect((await stack.pay({}, keyed)).body.id).toBe(again.body.id as string)
  await expectSoundLedger(stack)
})

test.concurrent('a relay that is cut in silence goes on, and every event is published', async () => {
  await using stack = await start()
  const pending = () => countPending(stack.sql)
  await eventually(async () => expect(await pending()).toBe(0))
  stack.proxy.silence()
  expect((await stack.pay()).status).toBe(201)
  await eventually(async () => expect(await pending()).toBe(0))
})

test.concurrent('a relay that leads without knowing it, since the answer was lost, goes on', async () => {
  await using stack = await start((proxy) => proxy.silenceAfter(String(advisoryLocks.relay)))
  expect((await stack.pay()).status).toBe(201)
  await eventually(async () => expect(await countPending(stack.sql)).toBe(0))
})

test.concurrent('readiness fails without any request', async () => {
  await using stack = await start()
  stack.proxy.silenceAll()
  await eventually(async () => expect((await stack.wallet.get('/readyz')).status).toBe(503), {
    timeoutMs: 6000,
  })
  stack.proxy.heal()
  await eventually(async () => expect((await stack.wallet.get('/readyz')).status).toBe(200))
  expect((await stack.pay()).status).toBe(201)
  // A relay that still waits for its lost connection would not stop in time.
  await eventually(async () => expect(await countPending(stack.sql)).toBe(0))
})

test.concurrent('payments are answered in time, money moves once, readiness fails meanwhile', async () => {
  await using stack = await start()
  expect((await stack.pay()).status).toBe(201)
  stack.proxy.silence()
  const begunMs = performance.now()
  const paying = Promise.all([
    ...Array.from({ length: 5 }, () => stack.pay()),
    ...Array.from({ length: 5 }, (_, index) => stack.pay({}, { 'idempotency-key': `key ${index}` })),
  ])
  await eventually(
    async () => {
      const { status, body } = await stack.wallet.get('/readyz')
      expect(status).toBe(503)
      expect(body).toMatchObject({
        checks: { writer: { status: 'fail', output: expect.stringMatching(/no answer from/) } },
      })
    },
    { timeoutMs: 6000 },
  )
  expect((await paying).map(({ status }) => status)).toEqual(Array(10).fill(201))
  expect(performance.now() - begunMs).toBeLessThan(15_000)
  await eventually(async () => expect((await stack.wallet.get('/readyz')).status).toBe(200))
  stack.proxy.release()
  expect((await stack.pay()).status).toBe(201)
  expect(await stack.made()).toBe(12)
  await expectSoundLedger(stack)
})

test.concurrent('what a network gives away late takes no effect any more', async () => {
  await using stack = await start()
  for (let nth = 0; nth < 3; nth++) expect((await stack.pay()).status).toBe(201)
  stack.proxy.silenceOn('late payment')
  expect((await stack.pay({ reference: 'late payment' })).status).toBe(201)
  expect(stack.proxy.held()).toBeGreaterThan(0)
  stack.proxy.release()
  expect((await stack.pay()).status).toBe(201)
  expect(await stack.made()).toBe(5)
  await expectSoundLedger(stack)
})

test.concurrent('a refusal stands, although what was accepted before and lost arrives after it', async () => {
  await using stack = await start()
  const hold = async (lastsMs: number) => {
    const expires_at = new Date(Date.now() + lastsMs).toISOString()
    return (
      await stack.wallet.post('/holds', { account_id_from: eva, account_id_to: frank, amount: 1, expires_at })
    ).body.id
  }
  const capture = (id: unknown, reference: string) => stack.wallet.post(`/holds/${id}/capture`, { reference })
  // So that the statement is known to the server, and is sent as a whole.
  expect((await capture(await hold(60_000), 'first')).status).toBe(201)
  const late = await hold(3000)
  stack.proxy.silenceOn('late capture')
  expect(await capture(late, 'late capture')).toMatchObject({ status: 409, body: { code: 'HOLD_EXPIRED' } })
  stack.proxy.release()
  await eventually(async () => expect((await stack.wallet.get(`/holds/${late}`)).body.status).toBe('expired'))
  await stack.pay()
  expect((await stack.wallet.get(`/holds/${late}`)).body.status).toBe('expired')
  await expectSoundLedger(stack)
})
