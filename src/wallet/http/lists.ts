/** Lists in the order of ids, page by page. */
import { isUuid } from '../../contract/id'
import { encodeCursor, type Filter } from '../../platform/http/cursor'
import { InvalidCursor } from '../../platform/http/invalid'
import { pageOf, pageSizeOf, parsePosition, respondWithPage } from '../../platform/http/list'
import { withUnavailableFault } from '../../platform/postgres/failures'
import type { IdPage, Listed } from '../queries/lists-store'

/** `filter` tells the lists of all routes apart. */
export async function answerList<Row extends { id: string }>(
  request: Request,
  {
    limit,
    cursor,
    filter,
  }: { limit?: string | undefined; cursor?: string | undefined; filter: Filter & { list: string } },
  { read, present }: { read: (page: IdPage) => Promise<Listed<Row>>; present: (row: Row) => object },
): Promise<Response> {
  const after = parsePosition(cursor, filter)
  if (after !== undefined && !isUuid(after)) throw new InvalidCursor()
  const size = pageSizeOf(limit)
  const { rows, lookedAt } = await withUnavailableFault(read({ after, limit: size + 1 }))
  const { page, next } = pageOf(rows, size, { filter, positionOf: ({ id }) => id })
  const later = next === null && lookedAt !== undefined ? encodeCursor(lookedAt, filter) : next
  return respondWithPage(request, { data: page.map(present) }, later)
}
