import { expect, test } from 'bun:test'
import { getTableName, is } from 'drizzle-orm'
import { PgTable } from 'drizzle-orm/pg-core'
import { grants } from './grants'
import * as schema from './schema'

test('every table has a line that says what the service may do with it', () => {
  const tables = Object.values(schema)
    .filter((value) => is(value, PgTable))
    .map(getTableName)
  expect({ 'tables without a line in grants.ts': tables.filter((table) => !(table in grants)) }).toEqual({
    'tables without a line in grants.ts': [],
  })
  expect(tables.length).toBe(Object.keys(grants).length)
})

test('what happened is read and added, and nothing else', () => {
  for (const table of ['entries', 'transactions'] as const)
    expect(grants[table]).toEqual(['select', 'insert'])
})
