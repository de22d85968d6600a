import { afterAll, beforeAll, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Statements } from '../../platform/postgres/statements'
import { eventually } from '../../testing/eventually'
import { openReadModel } from '../../testing/read-model'
import { changesChannel } from '../projection/apply-store'
import { listChanges, newestPosition, pruneChanges } from './changes-store'

let model: Awaited<ReturnType<typeof openReadModel>>
beforeAll(async () => {
  model = await openReadModel()
})
afterAll(() => model[Symbol.asyncDispose]())
/** Each test has its own accounts, because no version comes twice. */
const recordAs =
  (accountId: string) =>
  (versions: readonly number[], on: Statements = model.sql) =>
    model.record(versions, { accountId, on })

const upTo = (count: number, from = 1) => Array.from({ length: count }, (_, index) => from + index)

async function begin(sql: Statements): Promise<string> {
  return (await newestPosition(sql)) ?? begin(sql)
}

/** The versions after a position, once the server holds nothing back; undefined for an unknown position. */
const versionsAfter = (sql: Statements, position: string) =>
  eventually(async () => {
    const [found] = await listChanges(sql, [position], 100)
    expect(found?.isHeld).toBe(false)
    return found?.isKnown ? found.changes.map(({ version }) => Number(version)) : undefined
  })

test('pages of any size, from any position, carry every later change once and in order', async () => {
  const { sql } = model
  const record = recordAs('a')
  const first = await begin(sql)
  let count = 0
  for (const size of [1, 3, 1, 0, 7, 2, 2, 1, 11]) {
    await record(upTo(size, count + 1))
    count += size
  }
  expect(await versionsAfter(sql, first)).toEqual(upTo(count))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }), async (sizes) => {
      const versions: number[] = []
      let position = first
      for (let turn = 0; versions.length < count; turn++) {
        const positions = [...new Set([position, first, '0:0'])]
        const found = await listChanges(sql, positions, sizes[turn % sizes.length] as number)
        const page = found.find((one) => one.position === position)?.changes
        expect(page?.length).toBeGreaterThan(0)
        expect(found.filter(({ isKnown }) => !isKnown)).toMatchObject([{ position: '0:0', changes: [] }])
        versions.push(...(page ?? []).map(({ version }) => Number(version)))
        position = page?.at(-1)?.position ?? position
      }
      expect(versions).toEqual(upTo(count))
      expect(await versionsAfter(sql, position)).toEqual([])
    }),
    { numRuns: 15 },
  )
})

test('a transaction that began earlier and ends later comes first, and holds the others back', async () => {
  const { sql } = model
  const record = recordAs('b')
  const first = await begin(sql)
  await sql.begin(async (early) => {
    await early`select pg_current_xact_id()`
    await record([1, 2])
    expect(await listChanges(sql, [first], 10)).toMatchObject([{ isHeld: true, changes: [] }])
    await recordAs('b2')([9], early)
  })
  expect(await versionsAfter(sql, first)).toEqual([9, 1, 2])
})

test('an empty batch is no change; a late entry is one, and is notified', async () => {
  const { sql } = model
  const record = recordAs('c')
  const notifications: string[] = []
  await sql.listen(changesChannel, (notification) => notifications.push(notification))
  const first = await begin(sql)
  await record([])
  expect(await versionsAfter(sql, first)).toEqual([])
  await record([2])
  await record([2])
  await record([1, 2])
  expect(await versionsAfter(sql, first)).toEqual([2, 1])
  await sql`select pg_notify(${changesChannel}, 'end')`
  await eventually(() => expect(notifications).toEqual(['["c"]', '["c"]', 'end']))
})

test('positions are valid until they are pruned, and the newest one forever', async () => {
  const { sql } = model
  const record = recordAs('d')
  const positions: string[] = []
  for (const version of upTo(4)) {
    await record([version])
    positions.push(await begin(sql))
  }
  const [, two = '', , four = ''] = positions
  const known = async () => {
    const found = await Promise.all(positions.map((position) => versionsAfter(sql, position)))
    return found.map((versions) => versions?.length)
  }
  // The clock of the second was ahead, and the fourth is not old yet.
  await sql`
    update changes set applied_at = now() - interval '1 hour' where xid || ':1' not in (${two}, ${four})`
  await pruneChanges(sql)
  expect(await known()).toEqual([undefined, 2, 1, 0])
  await sql`update changes set applied_at = now() - interval '1 hour'`
  await pruneChanges(sql)
  expect(await known()).toEqual([undefined, 2, 1, 0])
  await record([5])
  await pruneChanges(sql)
  expect(await known()).toEqual([undefined, undefined, undefined, undefined])
})

test('in a database restored elsewhere, positions with future transaction ids are unknown', async () => {
  const { sql } = model
  const record = recordAs('e')
  await record([1])
  await sql`update changes set xid = (xid::text::bigint + 1000)::text::xid8`
  const before = `${(await sql<{ xid: string }[]>`select xid::text from changes`)[0]?.xid}:1`
  await pruneChanges(sql)
  const position = await begin(sql)
  await record([2])
  expect(await versionsAfter(sql, before)).toBeUndefined()
  expect(await versionsAfter(sql, position)).toEqual([2])
})
