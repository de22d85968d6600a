/** SIGTERM under load: each request that was sent is answered. */
import { expect, test } from 'bun:test'
import { eventually } from './testing/eventually'
import { type Asked, keepAsking, nothingAsked } from './testing/keep-alive'
import { head } from './testing/raw-http'
import { spawnService, startStack } from './testing/stack'
import { eva, frank } from './testing/wallets'

const json = { 'Content-Type': 'application/json' }
const body = JSON.stringify({ account_id_from: frank, account_id_to: eva, amount: 0.01 })
const transfer = head('POST /transactions', { ...json, 'Content-Length': String(body.length) }) + body
const read = head(`GET /balances/${eva}`)
const wait = head(`GET /balances/${eva}`, { 'Consistency-Token': `${eva}:999999`, Prefer: 'wait=30' })

const total = ({ answered }: Asked) => Object.values(answered).reduce((sum, count) => sum + count, 0)

/** Callers with one request after the other, and some that pause in between. */
function askAll(port: number, next: () => string) {
  const asked = nothingAsked()
  const callers = Array.from({ length: 12 }, (_, index) =>
    keepAsking({ port, next, asked, ...(index % 3 === 0 ? { thinkMs: () => 15 * Math.random() } : {}) }),
  )
  return { asked, refused: Promise.all(callers) }
}

test('requests at the wallet are all answered, and nothing is written that was not', async () => {
  await using stack = await startStack({ start: [] })
  let answered = 0
  for (let round = 0; round < 3; round++) {
    const wallet = await spawnService(stack.config.wallet)
    const { asked, refused } = askAll(wallet.port, () => transfer)
    await eventually(() => expect(total(asked)).toBeGreaterThan(200))
    expect(await wallet.stop()).toBe(0)
    await refused
    expect(asked).toEqual({ answered: { 201: total(asked) }, last: expect.any(Number), lost: [] })
    expect(asked.last).toBeGreaterThan(0)
    answered += total(asked)
  }
  const wallet = await spawnService(stack.config.wallet)
  const { body: account } = await wallet.get(`/accounts/${eva}`)
  expect(account.version).toBe(4 + answered)
  await wallet.stop()
})

test('reads at balances are all answered, those that wait and streams, too', async () => {
  await using stack = await startStack({ start: [] })
  for (let round = 0; round < 2; round++) {
    const balances = await spawnService(stack.config.balances)
    const { asked, refused } = askAll(balances.port, () => read)
    const waiting = nothingAsked()
    const waiters = [1, 2].map(() => keepAsking({ port: balances.port, next: () => wait, asked: waiting }))
    const streams = await Promise.all(
      ['/balances/stream', `/balances/${eva}/stream`].map((path) =>
        fetch(`http://127.0.0.1:${balances.port}${path}`),
      ),
    )
    await eventually(() => expect(total(asked)).toBeGreaterThan(200))
    const startedMs = performance.now()
    expect(await balances.stop()).toBe(0)
    expect(performance.now() - startedMs).toBeLessThan(stack.config.balances.shutdownTimeoutMs)
    await Promise.all([refused, ...waiters])
    expect(asked).toEqual({ answered: { 200: total(asked) }, last: expect.any(Number), lost: [] })
    expect(waiting).toEqual({ answered: { 503: total(waiting) }, last: 2, lost: [] })
    for (const stream of streams) expect(await stream.text()).toMatch(/\n\nretry: \d+\n\n$/)
  }
})

test('with a delay it serves on while /readyz fails, and a second signal ends it at once', async () => {
  await using stack = await startStack({ start: [] })
  const wallet = await spawnService({ ...stack.config.wallet, shutdownDelayMs: 60_000 })
  let code: number | undefined
  const stopped = wallet.stop().then((exitCode) => {
    code = exitCode
  })
  await eventually(async () =>
    expect(await wallet.get('/readyz')).toMatchObject({
      status: 503,
      body: { checks: { service: { status: 'fail', output: 'stopping' } } },
    }),
  )
  const made = await wallet.post('/transactions', JSON.parse(body))
  expect([made.status, made.headers.get('connection')]).toEqual([201, 'close'])
  // A second after the first one: until then it may be the same one, handed on twice.
  await eventually(() => {
    if (code === undefined) process.kill(wallet.pid, 'SIGTERM')
    expect(code).toBe(143)
  })
  await stopped
})
