import { expect, test } from 'bun:test'
import { bigint, boolean, customType, integer, json, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import { backing } from '../../testing/backing'
import { openDatabase } from './database'
import { rowStatements } from './rows'

const time = customType<{ data: Date }>({ dataType: () => 'timestamp (3) with time zone' })
const bytes = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' })
const key = customType<{ data: string }>({ dataType: () => 'text collate "C"' })
const samples = pgTable('samples', {
  id: uuid().primaryKey(),
  name: key().notNull(),
  offset: bigint({ mode: 'bigint' }).notNull(),
  partition: integer(),
  isOpen: boolean('is_open'),
  note: text(),
  metadata: json(),
  body: bytes(),
  createdAt: time('created_at').notNull(),
})
const columns = ['id', 'name', 'offset', 'partition', 'isOpen', 'note', 'metadata', 'body'] as const
const statements = rowStatements(samples, columns, { shared: ['createdAt'] })
const keepNewer = rowStatements(samples, ['id', 'name', 'offset', 'createdAt'], { as: 'held' })

const rowOf = (last: number) => ({
  id: `00000000-0000-0000-0000-00000000000${last}`,
  name: 'a "quoted", name\\',
  offset: 2n ** 62n + BigInt(last),
  partition: null,
  isOpen: true,
  note: 'null',
  metadata: { lines: ['one\ntwo', '{"three"}'], none: null },
  body: new Uint8Array([0, 92, 255]),
})

async function open() {
  const { url } = await (await backing()).createDatabase('rows')
  const database = openDatabase({ url, poolMax: 1, prepare: true, applicationName: 'test' })
  const { sql } = database
  await sql`create table samples (
    id uuid primary key, name text collate "C", "offset" bigint, partition integer, is_open boolean,
    note text,
    metadata json, body bytea, created_at timestamptz(3)
  )`
  return { ...database, [Symbol.asyncDispose]: () => database.close() }
}

test('rows are stored unchanged, for any type of column', async () => {
  await using database = await open()
  const createdAt = new Date('2026-01-02T03:04:05.678Z')
  await statements.insert(database.sql, [rowOf(1), { ...rowOf(2), body: null }], { createdAt })
  const stored = await database.sql`select * from samples order by id`
  const expected = { ...rowOf(1), body: Buffer.from([0, 92, 255]) }
  const rows = stored.map(({ is_open: isOpen, created_at: _, ...row }): object => ({ ...row, isOpen }))
  expect(rows).toEqual([expected, { ...rowOf(2), body: null }])
  expect(new Set(stored.map((row) => new Date(row.created_at).getTime()))).toEqual(
    new Set([createdAt.getTime()]),
  )
})

test('a statement has the same text for any number of rows', async () => {
  await using database = await open()
  const texts = new Set<string>()
  for (const rows of [[], [rowOf(1)], [rowOf(2), rowOf(3)]]) {
    const result = await statements.insert(database.sql, rows, { createdAt: new Date() })
    expect(result.count).toBe(rows.length)
    texts.add(result.statement.string)
  }
  expect(texts.size).toBe(1)
})

test('a statement is a part of a larger one', async () => {
  await using database = await open()
  const { sql } = database
  const store = (offset: bigint) =>
    sql`with stored as (${keepNewer.insert(sql, [{ ...rowOf(1), offset, createdAt: '2026-01-02T03:04:05Z' }])}
      on conflict (id) do update set "offset" = excluded."offset" where held."offset" < excluded."offset"
      returning id) select count(*)::int from stored`
  expect((await store(2n))[0]?.count).toBe(1)
  expect((await store(1n))[0]?.count).toBe(0)
  const found = await sql`
    select incoming.id from ${keepNewer.unnest(sql, [{ ...rowOf(1), offset: 2n, createdAt: new Date() }])}
    join samples on samples.id = incoming.id and samples."offset" = incoming."offset"`
  expect(found.map(({ id }) => id)).toEqual([rowOf(1).id])
})
