/** Rebuilds and redrives under a key, at several processes, some of which are killed. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { openDatabase } from '../../platform/postgres/database'
import type { Statements } from '../../platform/postgres/statements'
import { log } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { type Answer, type Caller, callerOf, type Stack, spawnService, startStack } from '../../testing/stack'
import { applyProjection } from '../projection/apply-store'
import { startBalances } from '../service'
import { removeExpiredKeys } from './idempotency-keys-store'

let stack: Stack
let second: Awaited<ReturnType<typeof startBalances>>
let [one, other]: Caller[] = []
let database: ReturnType<typeof openDatabase>

beforeAll(async () => {
  stack = await startStack({ start: ['balances'] })
  second = await startBalances(stack.config.balances, log)
  ;[one, other] = [stack.balances, callerOf('balances', second.port)]
  const { url, serviceUrl } = stack.databases.balances
  database = openDatabase({ url, poolMax: 3, prepare: true, applicationName: 'test' })
  // Otherwise the owner sees that the service has connections, and not what they do.
  await database.sql.unsafe(`grant "${new URL(serviceUrl).username}" to current_user`)
})
afterAll(async () => {
  await database.close()
  await second.stop()
  await stack[Symbol.asyncDispose]()
})
beforeEach(async () => void (await database.sql`truncate dead_letters restart identity`))

const send = (caller: Caller | undefined, path: string, key: string, body: object) =>
  (caller as Caller).post(path, body, { 'idempotency-key': key })
const rebuild = (key: string, body: object, caller = one) => send(caller, '/rebuild', key, body)
const redrive = (key: string, body: object, caller = one) => send(caller, '/dead-letters/redrive', key, body)

const isReplayed = ({ headers }: Answer) => headers.get('idempotency-replayed') === 'true'
const expectReplay = (again: Answer, first: Answer) =>
  expect([again.status, isReplayed(again), again.body]).toEqual([first.status, true, first.body])

const newest = async () => (await stack.balances.get('/rebuild')).body
const reaches = (state: string) =>
  eventually(async () => expect(await newest()).toMatchObject({ state }), { timeoutMs: 20_000 })

test('a rebuild is started once under a key, also after its tables were swapped in', async () => {
  const first = await rebuild('"first"', {})
  expect([first.status, isReplayed(first)]).toEqual([202, false])
  expectReplay(await rebuild('first', { manual: false, force: null, action: 'start' }, other), first)
  const reused = await rebuild('first', { manual: true })
  expect(reused).toMatchObject({ status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
  await reaches('swapped')
  expectReplay(await rebuild('first', {}), first)
  expect(await newest()).toMatchObject({ state: 'swapped', started_at: first.body.started_at })
})

test('what was refused under a key stays refused, and what was done is not done again', async () => {
  const rolledBack = await rebuild('back', { action: 'rollback' })
  expect(rolledBack).toMatchObject({ status: 202, body: { state: 'rolled_back' } })
  expectReplay(await rebuild('back', { action: 'rollback' }, other), rolledBack)

  const refused = await rebuild('cancel', { action: 'cancel' })
  expect(refused).toMatchObject({ status: 409, body: { type: '/problems/rebuild-conflict' } })
  const { started_at } = (await rebuild('manual', { manual: true })).body
  const again = await rebuild('cancel', { action: 'cancel' }, other)
  expect([again.status, again.body.detail, isReplayed(again)]).toEqual([409, refused.body.detail, true])
  expect(await newest()).toMatchObject({ started_at, ended_at: null })
  expect((await rebuild('cancel now', { action: 'cancel' })).body).toMatchObject({ state: 'cancelled' })
})

test('a request that cannot be read uses up no key', async () => {
  expect((await rebuild('odd', { action: 'cancel', manual: true })).status).toBe(422)
  expect(await rebuild('odd', { action: 'cancel' })).toMatchObject({ status: 409 })
})

test('of many requests under a key, at two processes, one has an effect; early ones are a 409', async () => {
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, index) => rebuild('once', { manual: true }, index % 2 ? one : other)),
  )
  const started = answers.filter(({ status }) => status === 202)
  expect(started.filter((answer) => !isReplayed(answer))).toHaveLength(1)
  expect(new Set(started.map(({ body }) => body.started_at)).size).toBe(1)
  for (const { status, headers, body } of answers.filter(({ status }) => status !== 202))
    expect([status, body.code, headers.get('retry-after')]).toEqual([409, 'IDEMPOTENCY_IN_PROGRESS', '1'])
  // Nothing of it waits for a lock any more.
  await reaches('ready')
})

/** Records of the course: a movement within one account. */
const readable = (account: string) =>
  JSON.stringify({
    Name: 'BalanceUpdated',
    Payload: {
      ...{ account_id_from: account, balance_account_id_from: 0 },
      ...{ account_id_to: account, balance_account_id_to: 1 },
    },
  })

let recordOffset = 0n
async function deadLetter(...values: string[]): Promise<void> {
  const deadLetters = values.map((value) => ({
    ...{ clusterId: 'cluster', topic: 'balances', partition: 0, recordOffset: recordOffset++ },
    ...{ lastOffset: null, cause: 'not_json' as const, detail: 'not JSON', key: null, headers: [] },
    ...{ value: Buffer.from(value), recordAt: '2024-01-27T00:00:00.000Z' },
  }))
  const nothing = { balances: [], entries: [], clients: [] }
  // Published already, so that nothing else locks them.
  await database.sql.begin(async (tx) => {
    await applyProjection(tx, (sql) => sql`select true`, { ...nothing, deadLetters })
    await tx`update dead_letters set sent_at = now()`
  })
}

const outcomesOf = ({ body }: Answer) =>
  (body.data as { id: string; outcome: string }[]).map(({ id, outcome }) => `${id} ${outcome}`)

test('letters are redriven once under a key, which a dry run does not use', async () => {
  await deadLetter(readable('a'), 'nonsense')
  expect(isReplayed(await redrive('k', { all: true, dry_run: true }))).toBe(false)
  const first = await redrive('k', { all: true })
  expect([outcomesOf(first), isReplayed(first)]).toEqual([['1 applied', '2 still_failing'], false])
  expectReplay(await redrive('k', { all: true, dry_run: false }, other), first)
  expect(isReplayed(await redrive('k', { all: true, dry_run: true }))).toBe(false)
  expect((await redrive('k', { ids: ['2'] })).body.code).toBe('IDEMPOTENCY_KEY_REUSED')
  expect((await stack.balances.get('/dead-letters/2')).body.attempts).toBe(2)
})

test('after a day a key is new, and its row is pruned', async () => {
  const { sql } = database
  const age = (hours: number) =>
    sql`update idempotency_keys set created_at = now() - make_interval(hours => ${hours})`
  await deadLetter(readable('b'))
  const first = await redrive('day', { ids: ['1'] })
  await age(23)
  expectReplay(await redrive('day', { ids: ['1'] }), first)
  await age(25)
  const later = await redrive('day', { ids: ['1'] })
  expect([outcomesOf(later), isReplayed(later)]).toEqual([['1 gone'], false])
  await removeExpiredKeys(sql)
  expect(await sql`select key from idempotency_keys`).toEqual([{ key: 'day' }] as never)
})

/** Locks something until it is released. */
async function hold(lock: (tx: Statements) => PromiseLike<unknown>): Promise<() => Promise<void>> {
  const [locked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const done = database.sql.begin(async (tx) => {
    await lock(tx)
    locked.resolve()
    await released.promise
  })
  await locked.promise
  return async () => {
    released.resolve()
    await done
  }
}

/** Keeps a letter from being redriven. */
const holdLetter = (id: number) => hold((tx) => tx`select from dead_letters where id = ${id} for update`)

const claims = /delete from dead_letters/
const takesTurn = /pg_advisory_xact_lock/
/** Connections of the services whose statement waits for a lock. */
const waiting = (statement: RegExp) =>
  eventually(async () => {
    const rows = await database.sql<{ pid: number; query: string }[]>`
      select pid, query from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and application_name like 'saldo%'`
    const pids = rows.filter(({ query }) => statement.test(query)).map(({ pid }) => pid)
    expect(pids).not.toEqual([])
    return pids
  })

test('while a redrive is in progress its key is a 409 everywhere, and afterwards its answer', async () => {
  await deadLetter(readable('c'))
  const release = await holdLetter(1)
  const first = redrive('slow', { ids: ['1'] })
  await waiting(claims)
  for (const body of [{ ids: ['1'] }, { all: true }])
    for (const caller of [one, other]) {
      const { status, body: problem, headers } = await redrive('slow', body, caller)
      expect([status, problem.code, headers.get('retry-after')]).toEqual([
        409,
        'IDEMPOTENCY_IN_PROGRESS',
        '1',
      ])
    }
  await release()
  expect(outcomesOf(await first)).toEqual(['1 applied'])
  expectReplay(await redrive('slow', { ids: ['1'] }, other), await first)
})

test('when the lock of a key is lost, both requests get the answer that was stored first', async () => {
  await deadLetter(readable('d'))
  const release = await holdLetter(1)
  const both = [redrive('lost', { ids: ['1'] })]
  await waiting(claims)
  await database.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'saldo-balances-key'`
  both.push(redrive('lost', { ids: ['1'] }, other))
  await waiting(takesTurn)
  await release()
  const [first, again] = await Promise.all(both)
  expect([first?.status, outcomesOf(again as Answer)]).toEqual([200, outcomesOf(first as Answer)])
  expect([first, again].filter((answer) => isReplayed(answer as Answer))).toHaveLength(1)
})

test('a redrive that loses the database does not know what it did; its retry does the rest', async () => {
  await deadLetter(readable('e'), readable('f'))
  const release = await holdLetter(2)
  const cut = redrive('cut', { ids: ['1', '2'] })
  for (const pid of await waiting(claims)) await database.sql`select pg_terminate_backend(${pid})`
  const { status, body } = await cut
  expect([status, body.detail]).toEqual([
    503,
    expect.stringContaining('Retry under the same Idempotency-Key'),
  ])
  await release()
  expect(outcomesOf(await redrive('cut', { ids: ['1', '2'] }))).toEqual(['1 gone', '2 applied'])
})

test('a process that is killed leaves its keys free, and its answer to the retry of a rebuild', async () => {
  const process = await spawnService(stack.config.balances)
  await deadLetter(readable('g'), readable('h'))
  const letters = { ids: ['1', '2'] }
  const release = await holdLetter(2)
  // The commit of a rebuild waits.
  await database.sql.unsafe(`
    create table gate ();
    create function wait() returns trigger language plpgsql set lock_timeout = 0 as
      'begin lock table public.gate; return null; end';
    create constraint trigger wait after insert on idempotency_keys deferrable initially deferred
      for each row execute function wait()`)
  const open = await hold((tx) => tx`lock table gate`)
  const lost = Promise.allSettled([
    redrive('killed', letters, process),
    rebuild('start', { manual: true }, process),
  ])
  await Promise.all([waiting(claims), waiting(/^commit$/)])
  await process.kill()
  expect((await lost).map(({ status }) => status)).toEqual(['rejected', 'rejected'])

  const retry = rebuild('start', { manual: true })
  await waiting(takesTurn)
  await open()
  const started = await retry
  expect([started.status, isReplayed(started), started.body.state]).toEqual([202, true, 'building'])
  expect((await newest()).started_at).toBe(started.body.started_at as string)
  await database.sql`drop trigger wait on idempotency_keys`

  await release()
  const rest = await eventually(async () => {
    const answer = await redrive('killed', letters)
    expect(answer.status).toBe(200)
    return answer
  })
  expect([outcomesOf(rest), isReplayed(rest)]).toEqual([['1 gone', '2 applied'], false])
  expectReplay(await redrive('killed', letters, other), rest)
})
