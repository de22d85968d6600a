import { expect, test } from 'bun:test'
import { getTableName, is } from 'drizzle-orm'
import { PgTable } from 'drizzle-orm/pg-core'
import { grants } from './grants'
import * as schema from './schema'

test('every table has a line that says what the service may do with it', () => {
  const tables = Object.values(schema)
    .filter((value) => is(value, PgTable))
    .map(getTableName)
  expect(Object.keys(grants).toSorted()).toEqual(tables.toSorted())
})
