/** Lists in pages: the query, the body and the Link header of each, and how a cursor is read. */
import { type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { encodeCursor, type Filter, pageSizeDefault, pageSizeMax, parseCursor } from './cursor'
import { responseHeaders, sometimes } from './headers'
import { InvalidCursor } from './invalid'
import { closedObject, documentedAs, nullable } from './schemas'

/** As text, because that is what a query is made of. */
const Limit = Type.String({
  pattern: '^([1-9]\\d?|1\\d\\d|200)$',
  expected: `must be a whole number from 1 to ${pageSizeMax}`,
  description: `Rows of a page: ${pageSizeDefault} when absent, at most ${pageSizeMax}.`,
  [documentedAs]: { type: 'integer', minimum: 1, maximum: pageSizeMax, default: pageSizeDefault },
})
const Cursor = Type.String({ description: '`next_cursor` of the page before, for the same filter.' })

/** Members of a query. */
export const paging = { limit: Type.Optional(Limit), cursor: Type.Optional(Cursor) }

export const pageSizeOf = (limit: string | undefined): number =>
  limit === undefined ? pageSizeDefault : Number(limit)

/** Member of a body. */
const NextCursor = nullable(Type.String(), 'Send it as `cursor` for the next page; null on the last one.')

/** Of the answer of a list. */
export const pageHeaders = [sometimes(responseHeaders.link)]

/** A page of a list, with further members beside its rows. */
export const listResponse = <Row extends TSchema, Members extends TProperties = Record<never, never>>(
  title: string,
  row: Row,
  members: Members = {} as Members,
) =>
  closedObject(title, {
    ...members,
    data: Type.Array(row, { description: 'The rows of the page.' }),
    next_cursor: NextCursor,
  })

/**
 * The page among rows that were read with a limit of one more than `size`, and the cursor of the next
 * page if that row exists. `positionOf` is called with the last row of the page.
 */
export function pageOf<Row>(
  rows: readonly Row[],
  size: number,
  { filter, positionOf }: { filter: Filter; positionOf: (last: Row) => string },
): { page: Row[]; next: string | null } {
  const page = rows.slice(0, size)
  const last = page.at(-1)
  const hasMore = rows.length > size && last !== undefined
  return { page, next: hasMore ? encodeCursor(positionOf(last), filter) : null }
}

/** A body with `next_cursor`, and a Link to the next page. */
export function respondWithPage(
  request: Request,
  body: object,
  next: string | null,
  headers: Record<string, string> = {},
): Response {
  return Response.json({ ...body, next_cursor: next }, { headers: { ...headers, ...linkTo(request, next) } })
}

function linkTo(request: Request, next: string | null): Record<string, string> {
  if (next === null) return {}
  const url = new URL(request.url)
  url.searchParams.set('cursor', next)
  return { link: `<${url.pathname}${url.search}>; rel="next"` }
}

/** Where the page before ended; undefined without a cursor. Throws `MalformedRequest`. */
export function parsePosition(cursor: string | undefined, filter: Filter): string | undefined {
  if (cursor === undefined) return undefined
  const position = parseCursor(cursor, filter)
  // Its seal is no secret, so a cursor may hold anything; no stored text holds a NUL.
  if (position.includes('\0')) throw new InvalidCursor()
  return position
}

/** The groups of `pattern` in the position as whole numbers; undefined without a cursor. */
export function parseNumbers(
  cursor: string | undefined,
  filter: Filter,
  pattern: RegExp,
): bigint[] | undefined {
  const position = parsePosition(cursor, filter)
  if (position === undefined) return undefined
  const match = pattern.exec(position)
  if (!match) throw new InvalidCursor()
  return match.slice(1).map(BigInt)
}
