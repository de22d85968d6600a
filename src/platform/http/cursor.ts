/**
 * Cursors of lists: opaque, and bound to a filter. A cursor holds the position of the last row, not a
 * count of rows, so that concurrent inserts neither repeat nor hide rows.
 */
import { InvalidCursor } from './invalid'

export const pageSizeDefault = 50
export const pageSizeMax = 200

/** The order of members makes no difference. */
export type Filter = Record<string, string | undefined>

export type ParsedCursor = { ok: true; position: string } | { ok: false; detail: string }

export function encodeCursor(position: string, filter: Filter): string {
  return Buffer.from(JSON.stringify([position, seal(filter)])).toString('base64url')
}

export function parseCursor(cursor: string, filter: Filter): ParsedCursor {
  const parts = readParts(cursor)
  if (!parts) return { ok: false, detail: new InvalidCursor().message }
  const [position, sealed] = parts
  if (sealed !== seal(filter))
    return { ok: false, detail: 'cursor belongs to another filter; restart without one' }
  return { ok: true, position }
}

function readParts(cursor: string): [string, string] | undefined {
  try {
    const parts = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    const isPair =
      Array.isArray(parts) && parts.length === 2 && parts.every((part) => typeof part === 'string')
    return isPair ? (parts as [string, string]) : undefined
  } catch {
    return undefined
  }
}

function seal(filter: Filter): string {
  const members = Object.entries(filter).filter(([, value]) => value !== undefined)
  const text = JSON.stringify(members.sort(([one], [other]) => (one < other ? -1 : 1)))
  return new Bun.CryptoHasher('sha256').update(text).digest('base64url').slice(0, 16)
}
