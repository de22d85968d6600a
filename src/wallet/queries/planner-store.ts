/** Queries whose plan must not depend on statistics, which may be old or missing. */
import { sql } from 'drizzle-orm'
import type { Database } from '../../platform/postgres/database'

export type Orm = Pick<Database['orm'], 'select' | 'execute'>

/**
 * Rows in the order of an index, each with its join, of which a limit takes the first ones. Otherwise the
 * planner reads and sorts all of them where it expects few.
 */
export const inIndexOrder = <T>(database: Database, read: (orm: Orm) => Promise<T>): Promise<T> =>
  withoutPlans(database, ['sort', 'hashjoin', 'mergejoin'], read)

/** Rows of an index that has no order, never a walk of another one. */
export const byBitmap = <T>(database: Database, read: (orm: Orm) => Promise<T>): Promise<T> =>
  withoutPlans(database, ['seqscan', 'indexscan'], read)

const withoutPlans = <T>(
  { orm }: Database,
  kinds: readonly string[],
  read: (orm: Orm) => Promise<T>,
): Promise<T> =>
  orm.transaction(async (transaction) => {
    const settings = kinds.map((kind) => sql`set_config(${`enable_${kind}`}, 'off', true)`)
    await transaction.execute(sql`select ${sql.join(settings, sql`, `)}`)
    return read(transaction)
  })
