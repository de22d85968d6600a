/**
 * Cursors of lists: opaque, and bound to a filter. A cursor holds the position of the last row, not a
 * count of rows, so that concurrent inserts neither repeat nor hide rows.
 */
import { InvalidCursor, MalformedRequest } from './invalid'

export const pageSizeDefault = 50
export const pageSizeMax = 200

/** The order of members makes no difference. */
export type Filter = Record<string, string | undefined>

export function encodeCursor(position: string, filter: Filter): string {
  return Buffer.from(JSON.stringify([position, seal(filter)])).toString('base64url')
}

/** The position in a cursor. Throws `MalformedRequest`. */
export function parseCursor(cursor: string, filter: Filter): string {
  const [position, sealed] = readParts(cursor)
  if (sealed !== seal(filter))
    throw new MalformedRequest('cursor belongs to another filter; restart without one')
  return position
}

function readParts(cursor: string): [position: string, sealed: string] {
  try {
    const parts = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (parts.length === 2 && parts.every((part: unknown) => typeof part === 'string')) return parts
  } catch {}
  throw new InvalidCursor()
}

function seal(filter: Filter): string {
  const members = Object.entries(filter).filter(([, value]) => value !== undefined)
  const text = JSON.stringify(members.sort(([one], [other]) => (one < other ? -1 : 1)))
  return new Bun.CryptoHasher('sha256').update(text).digest('base64url').slice(0, 16)
}
