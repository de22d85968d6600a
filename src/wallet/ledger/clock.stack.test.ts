/** Times come from the database's clock, not from the wallet's machine. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { eventually } from '../../testing/eventually'
import { drawn } from '../../testing/random'
import { type Caller, spawnService } from '../../testing/stack'
import { eva, expectSoundLedger, frank, startWallets } from '../../testing/wallets'

const dayMs = 86_400_000
const pay = (caller: Caller, headers = {}, more = {}) =>
  caller.post('/transactions', { account_id_from: eva, account_id_to: frank, amount: 1, ...more }, headers)

/** Seeded by a wallet that is right; then the one under test works alone. */
async function startShifted(...aheadMs: number[]) {
  const wallets = await startWallets(0)
  const services = await Promise.all(aheadMs.map((ms) => spawnService(wallets.config, 0, ms)))
  const databaseMs = async () =>
    Number((await wallets.sql`select extract(epoch from clock_timestamp()) * 1000 as ms`)[0]?.ms)
  return {
    wallets,
    services,
    databaseMs,
    at: async (fromNowMs: number) => new Date((await databaseMs()) + fromNowMs).toISOString(),
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map((service) => service.stop()))
      await wallets[Symbol.asyncDispose]()
    },
  }
}

const shifts = drawn<[string, number]>([
  ['a day behind', -dayMs],
  ['a day ahead', dayMs],
  ['fifty days behind', -50 * dayMs],
  ['fifty days ahead', 50 * dayMs],
])

// Its tests share a service, since each of them works beside the others.
describe.each(shifts)('a clock %s', (_, ms) => {
  let shifted: Awaited<ReturnType<typeof startShifted>>
  beforeAll(async () => {
    shifted = await startShifted(ms)
  })
  afterAll(() => shifted[Symbol.asyncDispose]())

  test('four tries under one key move money once', async () => {
    const { wallets } = shifted
    const service = shifted.services[0] as Caller
    const before = await wallets.made()
    const answers = []
    for (let tries = 0; tries < 4; tries++) answers.push(await pay(service, { 'idempotency-key': 'once' }))
    expect(answers.map(({ status, body }) => [status, body.id])).toEqual(
      Array(4).fill([201, answers[0]?.body.id]),
    )
    expect((await wallets.made()) - before).toBe(1)
    const [key] = await wallets.sql`
      select abs(extract(epoch from now() - created_at)) < 60 as young from idempotency_keys`
    expect(key?.young).toBe(true)
  })

  test('everything is dated by the database', async () => {
    const { wallets } = shifted
    const service = shifted.services[0] as Caller
    const client = await service.post('/clients', { name: 'Ada', email: 'ada@example.org' })
    const account = await service.post('/accounts', { client_id: client.body.id })
    const paid = await pay(service)
    const held = await service.post('/holds', { account_id_from: eva, account_id_to: frank, amount: 1 })
    const hold = `/holds/${held.body.id}`
    const captured = await service.post(`${hold}/capture`, {})
    const nowMs = await shifted.databaseMs()
    for (const { status, body } of [client, account, paid, held, captured]) {
      expect(status).toBe(201)
      expect(Math.abs(Date.parse(String(body.created_at)) - nowMs)).toBeLessThan(10_000)
      // The ids count up with time, and tell which places of events are old.
      expect(
        Math.abs(Number.parseInt(String(body.id).replace('-', '').slice(0, 12), 16) - nowMs),
      ).toBeLessThan(10_000)
    }
    expect(paid.body.effective_at).toBe(paid.body.created_at)
    const [wrong] = await wallets.sql`
      select count(*)::int as count from (
        select created_at from transactions
        union all select created_at from entries
        union all select updated_at from accounts
        union all select occurred_at from outbox
        union all select ended_at from holds
      ) as dated
      where created_at > now() + interval '10 seconds'
        or created_at < (select min(created_at) from clients)`
    expect(wrong?.count).toBe(0)
    await eventually(async () =>
      expect((await service.get(`/transactions/${paid.body.id}/delivery`)).body).toMatchObject({
        status: 'published',
        events: [{ partition: expect.any(Number) }, { partition: expect.any(Number) }],
      }),
    )
  })

  test('holds expire, and times are in the future, by the database', async () => {
    const service = shifted.services[0] as Caller
    const promise = (expires_at: string) =>
      service.post('/holds', { account_id_from: eva, account_id_to: frank, amount: 1, expires_at })
    expect((await promise(await shifted.at(-1000))).status).toBe(422)
    expect((await promise(await shifted.at(367 * dayMs))).status).toBe(422)
    expect((await promise(await shifted.at(365 * dayMs))).status).toBe(201)
    const [short, long] = [await promise(await shifted.at(1500)), await promise(await shifted.at(60_000))]
    const statusOf = async (id: unknown) => (await service.get(`/holds/${id}`)).body.status
    expect(await statusOf(short.body.id)).toBe('placed')
    await eventually(async () => expect(await statusOf(short.body.id)).toBe('expired'))
    expect(await statusOf(long.body.id)).toBe('placed')
    expect((await service.post(`/holds/${long.body.id}/capture`, {})).status).toBe(201)

    expect((await pay(service, {}, { effective_at: await shifted.at(5000) })).status).toBe(422)
    expect((await pay(service, {}, { effective_at: await shifted.at(-1) })).status).toBe(201)
  })
})

test('two wallets with clocks two days apart date entries in version order', async () => {
  await using shifted = await startShifted(-dayMs, dayMs)
  const { wallets, services } = shifted
  for (let round = 0; round < 10; round++)
    for (const service of services) expect((await pay(service)).status).toBe(201)
  await Promise.all(services.flatMap((service) => Array.from({ length: 20 }, () => pay(service))))
  expect(await wallets.made()).toBe(60)
  const [wrong] = await wallets.sql`
    select count(*)::int as count from (
      select created_at < lag(created_at) over (partition by account_id order by version) as back from entries
    ) as entry where back`
  expect(wrong?.count).toBe(0)
  await expectSoundLedger(wallets)
})
