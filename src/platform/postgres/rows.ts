/**
 * Passes many rows with one parameter per column: `insert into … select unnest(…), …`, with names and
 * types from the schema of the table. The statement does not depend on the number of rows, so it is
 * prepared once. A column without a value in any row is passed as null: lists are padded with nulls.
 */
import { getTableColumns, getTableName } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import type { PendingQuery, Row } from 'postgres'
import { arrayOf, type Statements } from './statements'

/** Times also as RFC 3339 text; JSON also as its text. */
type Value = string | number | bigint | boolean | object | null | undefined
type ColumnOf<Table extends PgTable> = keyof Table['_']['columns'] & string
type Fragment = PendingQuery<Row[]>

/** The columns of a table, all or all but a few. */
export const keysOf = <Table extends PgTable, Omitted extends ColumnOf<Table> = never>(
  table: Table,
  omitted: readonly Omitted[] = [],
) =>
  Object.keys(getTableColumns(table)).filter((key) => !omitted.includes(key as Omitted)) as Exclude<
    ColumnOf<Table>,
    Omitted
  >[]

/** `"entries"."account_id" as "accountId", …`: rows as the schema types them. */
export function selectList<Table extends PgTable>(table: Table, columns = keysOf(table)) {
  const all = getTableColumns(table)
  const names = columns.map((key) => `"${getTableName(table)}"."${all[key]?.name}" as "${key}"`)
  const list = template(names.join(', '))
  return (sql: Statements): Fragment => sql(list)
}

/** What a row lacks is null. */
type RowOf<Column extends string> = { readonly [Key in Column]?: Value }

type RowStatements<Column extends string, Shared extends string> = {
  /** `unnest(…) as incoming (…)`. */
  unnest(sql: Statements, rows: readonly RowOf<Column>[]): Fragment
  /** `insert into … (…) select unnest(…), …`, ready for a `where` or an `on conflict`. */
  insert(sql: Statements, rows: readonly RowOf<Column>[], shared?: Record<Shared, Value>): Fragment
}

/** Build it once per statement, not per call. */
export function rowStatements<
  Table extends PgTable,
  Column extends ColumnOf<Table>,
  Shared extends ColumnOf<Table> = never,
>(
  table: Table,
  columns: readonly Column[],
  {
    shared = [],
    as,
  }: {
    /** Columns of which all rows have the same value. */
    shared?: readonly Shared[]
    /** Another name for the table, for an `on conflict` that compares. */
    as?: string
  } = {},
): RowStatements<Column, Shared> {
  const all = getTableColumns(table)
  const columnOf = (key: string) => {
    const column = all[key]
    if (!column) throw new Error(`${getTableName(table)} has no column ${key}`)
    // A collation belongs to the column, not to its values.
    return { name: `"${column.name}"`, type: column.getSQLType().replace(/ collate .*/, '') }
  }
  const arrays = columns.map(columnOf)
  const scalars = shared.map(columnOf)
  const names = arrays.map(({ name }) => name).join(', ')
  const lists = arrays.map(({ type }) => `${slot}::${type}[]`)
  const source = `unnest(${lists.join(', ')}) as incoming (${names})`
  const target = `"${getTableName(table)}"${as ? ` as ${as}` : ''}`
  const into = [...scalars, ...arrays].map(({ name }) => name).join(', ')
  // Not from a function, whose rows the server would store before it reads them.
  const selected = [
    ...scalars.map(({ type }) => `${slot}::${type}`),
    ...lists.map((list) => `unnest(${list})`),
  ]

  const unnest = template(source)
  const insert = template(`insert into ${target} (${into}) select ${selected.join(', ')}`)
  const parameters = (rows: readonly RowOf<Column>[]) =>
    columns.map((key) =>
      rows.every((row) => row[key] == null) ? null : arrayOf(rows.map((row) => textOf(row[key]))),
    )
  return {
    unnest: (sql, rows) => sql(unnest, ...parameters(rows)),
    insert: (sql, rows, values) =>
      sql(insert, ...shared.map((key) => textOf(values?.[key]) ?? null), ...parameters(rows)),
  }
}

/** Stands for a parameter. No name or type has this character. */
const slot = '\0'

/** The driver's form of a template literal. */
function template(text: string): TemplateStringsArray {
  const strings = text.split(slot)
  return Object.assign(strings, { raw: strings })
}

/** Converts values that `arrayOf` does not take into PostgreSQL's notation. */
function textOf(value: Value): Exclude<Value, object> | null {
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return `\\x${value.toHex()}`
  return JSON.stringify(value)
}
