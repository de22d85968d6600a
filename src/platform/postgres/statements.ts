/** What statements written by hand share: types of values, lists as parameters, pages and snapshots. */
import type { Sql, TransactionSql } from 'postgres'

export type Types = { bigint: bigint }
/**
 * Statements written by hand. int8 arrives as `bigint`, timestamps as text; times are passed as ISO
 * text, lists by `arrayOf`.
 */
export type Statements = Sql<Types> | TransactionSql<Types>

/** Lets several queries see one state of the database. They only read. */
export const inSnapshot = <T>(sql: Sql<Types>, read: (sql: Statements) => Promise<T>): Promise<T> =>
  sql.begin('isolation level repeatable read read only', read) as Promise<T>

/**
 * A list in pages, each in the order of a key: `read` answers with the rows that follow a row, at
 * most `limit`.
 */
export async function* pagesOf<T>(
  read: (after: T | undefined, limit: number) => PromiseLike<T[]>,
): AsyncGenerator<T[]> {
  const limit = 5000
  for (let rows = await read(undefined, limit); rows.length > 0; rows = await read(rows.at(-1), limit)) {
    yield rows
    if (rows.length < limit) return
  }
}

/**
 * A list as one parameter, in PostgreSQL's own notation. Cast it where it is used:
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

/** Means the same with quotes and without. Nearly all that is sent is: ids, names, times. */
const plain = /^(?!null$)[\w.:-]+$/i

/**
 * Texts without line breaks, such as JSON, as one parameter: nothing of them needs quoting. Use it
 * as `string_to_array(…, chr(10))`.
 */
export const linesOf = (texts: readonly string[]): string => texts.join('\n')

/**
 * A time as the server writes it, `2024-01-27 17:13:48.5+00`: the session's time zone is UTC, and
 * no time of ours has more than milliseconds. Not to be left to `Date`, which takes the years 1 to
 * 99 for those of the last century.
 */
export function rfc3339(time: string): string {
  const clock = time.slice(11, -3)
  return `${time.slice(0, 10)}T${clock.length === 8 ? `${clock}.000` : clock.padEnd(12, '0')}Z`
}
