/** Reports of reconcile as HTTP reads them. Whole reports may be large, so few are read at once. */
import { createConcurrencyLimit } from '../../platform/concurrency-limit'
import type { Database } from '../../platform/postgres/database'
import { withUnavailableFault } from '../../platform/postgres/failures'
import { findReconciliation, listReconciliations } from './reconciliations-store'

export type ReconciliationQueries = ReturnType<typeof openReconciliationQueries>

export function openReconciliationQueries({ sql }: Pick<Database, 'sql'>) {
  const limited = createConcurrencyLimit({ concurrency: 4, waitingMax: 200 })
  return {
    list: async (result: string | undefined, page: { before: bigint | undefined; limit: number }) =>
      withUnavailableFault(Promise.resolve(listReconciliations(sql, result, page))),
    /** With the report. */
    find: (id: bigint) => withUnavailableFault(limited(() => findReconciliation(sql, id))),
  }
}
