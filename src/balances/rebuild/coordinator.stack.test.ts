/**
 * Rebuilds in a running service: reads continue, differences are named, and a crash loses nothing.
 */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import postgres from 'postgres'
import { rebuild } from '../../cli/rebuild'
import { createLog } from '../../platform/telemetry/log'
import { runCommand } from '../../testing/command'
import { parseEvents } from '../../testing/event-source'
import { eventually } from '../../testing/eventually'
import { callerOf, type Stack, startStack } from '../../testing/stack'
import { startBalances } from '../service'
import { whileLeading } from './rebuild-store'
import { createShadow } from './shadow-store'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'

const pay = async ({ wallet }: Pick<Stack, 'wallet'>, amount: number) => {
  const paid = await wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount })
  expect(paid.status).toBe(201)
  return { 'consistency-token': paid.headers.get('consistency-token') ?? '', prefer: 'wait=20' }
}

/** The first event of the stream of all accounts. */
async function positionOf({ balances }: Pick<Stack, 'balances'>, lastEventId?: string) {
  const { body } = await fetch(`http://127.0.0.1:${balances.port}/balances/stream`, {
    headers: lastEventId ? { 'last-event-id': lastEventId } : {},
  })
  for await (const event of parseEvents(body as AsyncIterable<Uint8Array>)) return event
  throw new Error('the stream sent no event')
}

const rebuildOf = async ({ balances }: Pick<Stack, 'balances'>) => (await balances.get('/rebuild')).body

const reaches = (stack: Pick<Stack, 'balances'>, state: string) =>
  eventually(async () => expect(await rebuildOf(stack)).toMatchObject({ state }))

/** Everything stored, except the times of offsets and the ids of dead letters. */
const tablesOf = async (sql: postgres.Sql) => ({
  balances: await sql`select * from balances order by account_id`,
  entries: await sql`select * from entries order by account_id, version`,
  clients: await sql`select * from clients order by id`,
  offsets: await sql`select topic, partition, next_offset from consumed_offsets order by 1, 2`,
  deadLetters: await sql`select topic, partition, record_offset, cause from dead_letters order by 1, 2, 3`,
})

test('a rebuild during reads and writes ends with the same tables and the new writes', async () => {
  await using stack = await startStack()
  await using sql = Object.assign(postgres(stack.databases.balances.url, { max: 1, onnotice: () => {} }), {
    [Symbol.asyncDispose]: () => sql.end(),
  })
  expect(await rebuildOf(stack)).toEqual({ state: 'none' })
  const hold = await stack.wallet.post('/holds', { account_id_from: eva, account_id_to: frank, amount: 30 })
  await stack.wallet.post(`/holds/${hold.body.id}/capture`, { amount: 10 })
  const token = await pay(stack, 1.5)
  expect((await stack.balances.get(`/balances/${eva}`, token)).status).toBe(200)
  await eventually(async () =>
    expect((await stack.balances.get(`/balances/${eva}`)).headers.get('balances-lag')).toBe('0'),
  )
  const before = await tablesOf(sql)

  expect((await stack.balances.post('/rebuild', {})).status).toBe(202)
  // Each read sees what its caller has just written, before and after the swap.
  for (let paid = 0; (await rebuildOf(stack)).state !== 'swapped'; paid++) {
    const { status, body } = await stack.balances.get(
      `/balances/${frank}`,
      paid < 20 ? await pay(stack, 0.01) : {},
    )
    expect([status, Number(body.balance) >= 1211.5]).toEqual([200, true])
  }
  const { divergence, records } = (await rebuildOf(stack)) as never as Record<string, Record<string, number>>
  expect(divergence).toMatchObject({ accounts: 0, entries: 0, clients: 0, examples: [] })
  expect(records?.done).toBe(records?.total)
  const last = await pay(stack, 0.01)
  expect((await stack.balances.get(`/balances/${frank}`, last)).status).toBe(200)
  const after = await tablesOf(sql)
  expect(after.entries.slice(0, 1)).toEqual(before.entries.slice(0, 1))
  expect(after.entries.filter((row) => before.entries.some((old) => Bun.deepEquals(old, row)))).toHaveLength(
    before.entries.length,
  )
  expect(after.clients).toEqual(before.clients)
  expect(await sql`select nspname from pg_namespace where nspname = 'shadow'`).toHaveLength(0)

  // A client of the stream has to load all accounts again: the new tables were filled in another order.
  const position = await positionOf(stack)
  expect(position.event).toBe('reset')

  // Without writes the second rebuild ends with identical tables.
  await eventually(async () =>
    expect((await stack.balances.get(`/balances/${eva}`)).headers.get('balances-lag')).toBe('0'),
  )
  const quiet = await tablesOf(sql)
  await stack.balances.post('/rebuild', { action: 'start', manual: true })
  await reaches(stack, 'ready')
  // As another version might have left them: the rebuild is restarted.
  await sql`alter table shadow.balances drop column held_minor`
  expect((await stack.balances.post('/rebuild', { action: 'swap' })).status).toBe(202)
  await reaches(stack, 'swapped')
  expect(await tablesOf(sql)).toEqual(quiet)
  expect(await positionOf(stack, position.id)).toMatchObject({ event: 'reset' })
  await sql`alter table previous.balances drop column held_minor`
  expect((await stack.balances.post('/rebuild', { action: 'rollback' })).status).toBe(409)
})

test('a difference is named and refused unless forced, and a swap can be rolled back', async () => {
  await using stack = await startStack()
  await using sql = Object.assign(postgres(stack.databases.balances.url, { max: 1, onnotice: () => {} }), {
    [Symbol.asyncDispose]: () => sql.end(),
  })
  await stack.balances.get(`/balances/${frank}`, await pay(stack, 100))
  const balanceOf = async (id: string) => (await stack.balances.get(`/balances/${id}`)).body.balance
  expect(await balanceOf(frank)).toBe(1300)
  await sql`update balances set balance_minor = balance_minor + 1 where account_id = ${frank}`
  await sql`update entries set actor = 'shop' where account_id = ${frank} and version = 1`

  for (const [action, detail] of [
    ['swap', 'no rebuild that is ready'],
    ['rollback', 'no previous generation'],
    ['cancel', 'no rebuild that could be cancelled'],
  ] as const) {
    const { status, body } = await stack.balances.post('/rebuild', { action })
    expect([status, body.type, String(body.detail).includes(detail)]).toEqual([
      409,
      '/problems/rebuild-conflict',
      true,
    ])
  }
  expect((await stack.balances.post('/rebuild', { action: 'explode' })).status).toBe(422)

  await stack.balances.post('/rebuild', {})
  await reaches(stack, 'refused')
  expect(await rebuildOf(stack)).toMatchObject({
    divergence: { accounts: 1, entries: 1, examples: [`account ${frank}`, `account ${frank} version 1`] },
    message: expect.stringContaining(`Differs from the live tables: 1 account, 1 entry: account ${frank}; `),
  })
  expect(await balanceOf(frank)).toBe(1300.01)
  expect((await stack.balances.post('/rebuild', { action: 'swap' })).body.detail).toContain(
    'swap it with force',
  )
  await stack.balances.post('/rebuild', { action: 'swap', force: true })
  await reaches(stack, 'swapped')
  expect(await balanceOf(frank)).toBe(1300)

  // A rollback loses nothing: what came after the swap is applied again.
  await stack.balances.get(`/balances/${eva}`, await pay(stack, 50))
  await stack.balances.post('/rebuild', { action: 'rollback' })
  await eventually(async () => expect(await balanceOf(frank)).toBe(1350))
  expect(await rebuildOf(stack)).toMatchObject({ state: 'rolled_back' })
  expect((await stack.balances.post('/rebuild', { action: 'rollback' })).status).toBe(409)
})

test.concurrent('the next process resumes a rebuild, and rolls back one without a broker', async () => {
  await using stack = await startStack({ start: ['wallet'] })
  const log = createLog({ service: 'test', level: 'error', format: 'json' })
  const first = await startBalances(stack.config.balances, log)
  await callerOf('balances', first.port).get(`/balances/${frank}`, await pay(stack, 100))
  await first.stop()
  const sql = postgres(stack.databases.balances.url, { max: 1, onnotice: () => {} })
  await sql.begin((tx) =>
    createShadow(tx as never, join(import.meta.dir, '../../../migrations/balances'), {
      manual: false,
      force: false,
    }),
  )
  await sql.end()

  const second = await startBalances(stack.config.balances, log)
  const balances = callerOf('balances', second.port)
  await reaches({ balances }, 'swapped')
  expect((await balances.get(`/balances/${frank}`)).body).toMatchObject({ balance: 1300 })
  await second.stop()

  const { balances: config } = stack.config
  const third = await startBalances({ ...config, kafka: { ...config.kafka, brokers: ['127.0.0.1:1'] } }, log)
  const alone = callerOf('balances', third.port)
  expect((await alone.get('/rebuild')).body).toMatchObject({ state: 'swapped' })
  const rolledBack = await alone.post('/rebuild', { action: 'rollback' })
  expect(rolledBack).toMatchObject({ status: 202, body: { state: 'rolled_back' } })
  expect(rolledBack.body).toEqual((await alone.get('/rebuild')).body)
  await third.stop()
})

test.concurrent('of concurrent requests one is accepted, the others are refused', async () => {
  await using stack = await startStack({ start: ['balances'] })
  const request = async (...actions: string[]) => {
    const answers = await Promise.all(actions.map((action) => stack.balances.post('/rebuild', { action })))
    return answers.map(({ status }) => status).sort()
  }
  // No process runs a rebuild meanwhile.
  await whileLeading(stack.databases.balances.url, async () => {
    expect(await request(...Array(8).fill('start'))).toEqual([202, ...Array(7).fill(409)])
    expect(await request(...Array(8).fill('cancel'))).toEqual([202, ...Array(7).fill(409)])
    const actions = ['start', 'swap', 'rollback', 'cancel']
    for (const one of actions)
      for (const other of actions) {
        const statuses = await request(one, other, one, other)
        expect(statuses.filter((status) => status !== 202 && status !== 409)).toEqual([])
      }
  })
  await stack.balances.post('/rebuild', { action: 'cancel' })
  await stack.balances.post('/rebuild', {})
  await reaches(stack, 'swapped')
  expect(await request(...Array(4).fill('rollback'))).toEqual([202, 409, 409, 409])
})

test.concurrent('a cancelled rebuild is shown as such; the last swap can be rolled back', async () => {
  await using stack = await startStack({ start: ['balances'] })
  const { url } = stack.databases.balances
  await stack.balances.post('/rebuild', {})
  await reaches(stack, 'swapped')
  const { kafka } = stack.config.balances
  const env = {
    DATABASE_URL: url,
    KAFKA_BROKERS: kafka.brokers.join(),
    KAFKA_TOPIC_PREFIX: kafka.topicPrefix,
    KAFKA_PARTITIONS: '3',
  }
  const printed: string[] = []
  const { error } = console
  console.error = (line: string) => printed.push(line)
  try {
    await whileLeading(url, async () => {
      const following = runCommand(rebuild, [], env)
      await reaches(stack, 'building')
      expect((await runCommand(rebuild, ['--cancel'], env)).code).toBe(0)
      expect(printed.at(-1)).toStartWith('cancelled: ')
      expect(await rebuildOf(stack)).toMatchObject({ state: 'cancelled', ended_at: expect.any(String) })
      expect((await following).code).toBe(1)
    })
  } finally {
    console.error = error
  }
  await using sql = Object.assign(postgres(url, { max: 1, onnotice: () => {} }), {
    [Symbol.asyncDispose]: () => sql.end(),
  })
  await eventually(async () =>
    expect(await sql`select to_regclass('shadow.balances') as left`).toMatchObject([{ left: null }]),
  )
  expect((await stack.balances.post('/rebuild', { action: 'rollback' })).status).toBe(202)
  expect(await rebuildOf(stack)).toMatchObject({ state: 'rolled_back' })
})

test.concurrent('members that mean nothing with an action are rejected, and change nothing', async () => {
  await using stack = await startStack({ start: ['balances'] })
  for (const [body, pointer] of [
    [{ action: 'swap', manual: true }, '#/manual'],
    [{ action: 'rollback', force: true }, '#/force'],
    [{ action: 'cancel', manual: true }, '#/manual'],
    [{ action: 'cancel', force: true }, '#/force'],
  ] as const)
    expect(await stack.balances.post('/rebuild', body)).toMatchObject({
      status: 422,
      body: { errors: [{ pointer }] },
    })
  expect(await rebuildOf(stack)).toEqual({ state: 'none' })
})
