/** Helpers for SQL written by hand: types of values, lists as parameters, pages and snapshots. */
import type { Sql, TransactionSql } from 'postgres'

export type Types = { bigint: bigint }
/**
 * A pool or a transaction. int8 is read as `bigint`, times as RFC 3339 text in UTC; pass times as ISO
 * text, lists with `arrayOf`.
 */
export type Statements = Sql<Types> | TransactionSql<Types>

/** Runs several read-only queries on one snapshot. */
export const inSnapshot = <T>(sql: Sql<Types>, read: (sql: Statements) => Promise<T>): Promise<T> =>
  sql.begin('isolation level repeatable read read only', read) as Promise<T>

/** Pages of a list in key order: `read` returns the rows after a given row, at most `limit`. */
export async function* pagesOf<T>(
  read: (after: T | undefined, limit: number) => PromiseLike<T[]>,
  limit = 5000,
): AsyncGenerator<T[]> {
  for (let rows = await read(undefined, limit); rows.length > 0; rows = await read(rows.at(-1), limit)) {
    yield rows
    if (rows.length < limit) return
  }
}

/**
 * A list as one parameter, in PostgreSQL's array notation. Cast it where it is used:
 * `${arrayOf(ids)}::uuid[]`.
 */
export function arrayOf(values: readonly (string | number | bigint | boolean | null | undefined)[]): string {
  let text = '{'
  for (const value of values) {
    if (text.length > 1) text += ','
    if (value === null || value === undefined) text += 'NULL'
    else if (typeof value !== 'string' || plain.test(value)) text += value
    else text += `"${/["\\]/.test(value) ? value.replace(/["\\]/g, '\\$&') : value}"`
  }
  return `${text}}`
}

/** Needs no quotes. Nearly all values are plain: ids, names, times. */
const plain = /^(?!null$)[\w.:-]+$/i

/**
 * Texts without line breaks, such as JSON, as one parameter that needs no quoting: `string_to_array(…,
 * chr(10))`.
 */
export const linesOf = (texts: readonly string[]): string => texts.join('\n')

/**
 * Converts a time of the server, `2024-01-27 17:13:48.5+00`, of a session in UTC and at most
 * milliseconds. Not with `Date`, which moves the years 1 to 99 to the last century.
 */
export function rfc3339(time: string): string {
  const clock = time.slice(11, -3)
  return `${time.slice(0, 10)}T${clock.length === 8 ? `${clock}.000` : clock.padEnd(12, '0')}Z`
}
