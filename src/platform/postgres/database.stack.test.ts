import { describe, expect, test } from 'bun:test'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { startProxy } from '../../testing/proxy'
import { type Database, inSnapshotOf, openDatabase } from './database'
import { databaseFailure, isConnectionLost } from './failures'
import { keepListening } from './listen'
import { arrayOf } from './statements'

async function open(poolMax = 2) {
  const shared = await backing()
  const { url, name } = await shared.createDatabase('platform')
  const database = openDatabase({ url, poolMax, prepare: true, applicationName: 'test' })
  return {
    url,
    database,
    cut: () => shared.cutConnections(name),
    [Symbol.asyncDispose]: () => database.close(),
  }
}

test.each([
  ['a statement', async ({ sql }: Database) => sql`select 1`],
  ['a transaction', async ({ sql }: Database) => sql.begin(async (tx) => tx`select 1`)],
  ['a query of drizzle', async ({ orm }: Database) => orm.execute('select 1')],
  ['a snapshot', (database: Database) => inSnapshotOf(database, () => database.orm.execute('select 1'))],
])('%s always resolves or rejects, however often its connection is cut', async (_, ask) => {
  await using opened = await open(1)
  let running = true
  const outcomes = { answered: 0, lost: 0 }
  // Retries at once after a failure: in that instant the driver may still use the dead connection.
  const asking = (async () => {
    while (running) {
      await ask(opened.database).then(
        () => outcomes.answered++,
        (error) => {
          if (!isConnectionLost(error)) throw error
          outcomes.lost++
        },
      )
    }
  })()
  for (let round = 0; round < 30; round++) {
    const before = outcomes.answered
    await opened.cut()
    await eventually(() => expect(outcomes.answered).toBeGreaterThan(before), { intervalMs: 1 })
  }
  running = false
  await asking
  expect(outcomes.lost).toBeGreaterThan(0)
})

test('queries in a snapshot see nothing of what is written meanwhile, and write nothing', async () => {
  await using opened = await open(1)
  const { sql, orm } = opened.database
  const writer = openDatabase({ url: opened.url, poolMax: 1, prepare: true, applicationName: 'test' })
  await writer.sql`create table notes (text text)`
  const count = async () => Number((await orm.execute('select count(*) from notes'))[0]?.count)
  const counts = await inSnapshotOf(opened.database, async () => {
    const before = await count()
    await writer.sql`insert into notes values ('one')`
    return [before, await count()]
  })
  expect(counts).toEqual([0, 0])
  const write = inSnapshotOf(opened.database, () => sql`insert into notes values ('two')`)
  expect(await write.catch(({ code }) => code)).toBe('25006')
  expect(await inSnapshotOf(opened.database, count)).toBe(1)
  await writer.close()
})

test('a connection that is cut in the middle of a response leaves nothing of it to the next', async () => {
  await using opened = await open(1)
  const { sql } = opened.database
  for (let round = 0; round < 5; round++) {
    let rows = 0
    const large = sql`select n, repeat('x', 1000) as text from generate_series(1, 300000) as n`.forEach(
      () => {
        rows++
      },
    )
    const outcome = large.then(
      () => 'whole',
      (error) => error,
    )
    await eventually(() => expect(rows).toBeGreaterThan(0), { intervalMs: 0 })
    await opened.cut()
    expect(isConnectionLost(await outcome)).toBe(true)
    const next = await sql`select 7 as seven`
    expect([...next]).toEqual([{ seven: 7 }])
  }
})

test('a transaction ends with its connection, and does not continue in another', async () => {
  await using opened = await open(1)
  const { sql } = opened.database
  await sql`create table steps (name text)`
  const begun = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const late = Promise.withResolvers<unknown>()
  const cut = sql.begin(async (tx) => {
    await tx`insert into steps values ('cut')`
    begun.resolve()
    await goOn.promise
    await tx`insert into steps values ('late')`.catch(late.resolve)
    await tx`rollback`
  })
  cut.catch(() => {})
  await begun.promise
  await opened.cut()
  const next = sql.begin(async (tx) => {
    await tx`insert into steps values ('next')`
    goOn.resolve()
    expect(isConnectionLost(await late.promise)).toBe(true)
    return tx`select name from steps`
  })
  expect([...(await next)]).toEqual([{ name: 'next' }])
  expect(isConnectionLost(await cut.catch((error) => error))).toBe(true)
  expect([...(await sql`select name from steps`)]).toEqual([{ name: 'next' }])
})

test('closing does not wait for lost connections', async () => {
  const opened = await open(3)
  const { sql } = opened.database
  const asking = Array.from({ length: 3 }, () => sql`select pg_sleep(60)`.catch((error) => error))
  await eventually(async () => {
    await opened.cut()
    for (const outcome of asking) expect(Bun.peek.status(outcome)).toBe('fulfilled')
  })
  let closed = false
  const closing = opened.database.close(60_000).then(() => {
    closed = true
  })
  await eventually(() => expect(closed).toBe(true), { timeoutMs: 2000 })
  await closing
})

test('a list is received unchanged, with any characters in its elements', async () => {
  await using opened = await open()
  const given = ['plain', 'with "quotes"', 'back\\slash', '{a,b}', '', 'NULL', null, 'två\n']
  const rows = await opened.database.sql`
    select text from unnest(${arrayOf(given)}::text[]) with ordinality as list (text, position)
    order by position`
  expect(rows.map((row) => row.text)).toEqual(given)
})

test('integers of any size are received exactly', async () => {
  await using opened = await open()
  const given = [2n ** 53n + 1n, -(2n ** 63n), 0n]
  const rows = await opened.database
    .sql`select number from unnest(${arrayOf(given)}::bigint[]) as list (number)`
  expect(rows.map((row) => row.number)).toEqual(given)
})

describe.concurrent('a silently lost connection', () => {
  async function openThroughProxy() {
    const shared = await backing()
    const { url } = await shared.createDatabase('platform')
    const proxy = await startProxy(url)
    const options = {
      url: proxy.through(url),
      poolMax: 1,
      prepare: true,
      applicationName: 'test',
      statementMs: 1500,
      silenceMs: 2000,
    }
    const database = openDatabase(options)
    await database.sql`select 1`
    return {
      database,
      proxy,
      url,
      async [Symbol.asyncDispose]() {
        await database.close(100)
        await proxy[Symbol.asyncDispose]()
      },
    }
  }

  test('is given up after its deadline: its queries are rejected once, the next one succeeds', async () => {
    await using opened = await openThroughProxy()
    const { sql } = opened.database
    opened.proxy.silence()
    const begunMs = performance.now()
    const asked = Array.from({ length: 50 }, () => sql`select 1`.catch((error) => error))
    for (const error of await Promise.all(asked)) {
      expect(databaseFailure(error)).toBe('connection_lost')
      expect(['ANSWER_TIMEOUT', 'CONNECTION_CLOSED']).toContain(error.code)
    }
    expect(performance.now() - begunMs).toBeLessThan(10_000)
    expect([...(await sql`select 7 as seven`)]).toEqual([{ seven: 7 }])
  })

  test('ends a transaction, also between two statements', async () => {
    await using opened = await openThroughProxy()
    const { sql } = opened.database
    const cut = sql.begin(async (tx) => {
      await tx`select 1`
      opened.proxy.silence()
      await tx`select 2`
    })
    expect(isConnectionLost(await cut.catch((error) => error))).toBe(true)
    expect([...(await sql.begin(async (tx) => tx`select 7 as seven`))]).toEqual([{ seven: 7 }])
  })

  test('is not confused with a slow or an idle one', async () => {
    await using opened = await openThroughProxy()
    const { sql } = opened.database
    const [before] = await sql`select pg_backend_pid() as pid, pg_sleep(1.1)`
    await sql`select pg_sleep(1.1)`
    const [after] = await sql`select pg_backend_pid() as pid`
    expect(after?.pid).toBe(before?.pid)
    expect(databaseFailure(await sql`select pg_sleep(10)`.catch((error) => error))).toBe('unavailable')
  })

  test('is detected by a listener, too, which listens on another one', async () => {
    await using opened = await openThroughProxy()
    const received: string[] = []
    let beginnings = 0
    const listening = keepListening(
      opened.database.sql,
      { news: (text) => received.push(text) },
      () => beginnings++,
      500,
    )
    await listening.started
    opened.proxy.silence()
    await eventually(() => expect(beginnings).toBe(2))
    // The pool's own connection was cut as well.
    await eventually(() => opened.database.sql.notify('news', 'sent'))
    await eventually(() => expect(received).toEqual(['sent']))
    await listening.end()
  })
})

test('a read-only server is left for the writable one', async () => {
  await using opened = await open(1)
  const { sql } = opened.database
  const pidOf = async () => (await sql`select pg_backend_pid() as pid`)[0]?.pid
  const before = await pidOf()
  await sql`set default_transaction_read_only = on`
  const refused = await sql`create table t (n int)`.catch((error) => error)
  expect([refused.code, databaseFailure(refused)]).toEqual(['25006', 'unavailable'])
  expect(await pidOf()).not.toBe(before)
  await sql`create table t (n int)`
})
