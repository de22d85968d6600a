/** Reads holds. Written by `append` only. */
import { and, eq, lte, sql } from 'drizzle-orm'
import type { Database } from '../../../platform/postgres/database'
import { arrayOf } from '../../../platform/postgres/statements'
import { holds } from '../../db/schema'
import type { Hold } from '../../domain/types'

export async function findHold({ orm }: Database, id: string): Promise<Hold | undefined> {
  const [row] = await orm.select().from(holds).where(eq(holds.id, id))
  return row
}

/** By id; missing holds are absent. */
export async function loadHolds({ orm }: Database, ids: string[]): Promise<Map<string, Hold>> {
  if (ids.length === 0) return new Map()
  const rows = await orm
    .select()
    .from(holds)
    .where(sql`${holds.id} = any(${arrayOf(ids)}::uuid[])`)
  return new Map(rows.map((row) => [row.id, row]))
}

/** Open holds that have expired at `at`, the oldest first. */
export function listExpiredHolds({ orm }: Database, at: Date, limit: number): Promise<Hold[]> {
  const isExpired = and(eq(holds.status, 'placed'), lte(holds.expiresAt, at))
  return orm.select().from(holds).where(isExpired).orderBy(holds.expiresAt).limit(limit)
}
