/** Dead letters as HTTP reads them. Letters may be large, so few are read at once. */
import { createConcurrencyLimit } from '../../platform/concurrency-limit'
import type { Database } from '../../platform/postgres/database'
import { withUnavailableFault } from '../../platform/postgres/failures'
import {
  type DeadLetterFilter,
  findDeadLetter,
  groupDeadLetters,
  listDeadLetters,
} from './dead-letters-store'

export type DeadLetterQueries = ReturnType<typeof openDeadLetterQueries>

export function openDeadLetterQueries({ sql }: Pick<Database, 'sql'>) {
  const limited = createConcurrencyLimit({ concurrency: 4, waitingMax: 200 })
  return {
    list: (filter: DeadLetterFilter, page: { before: bigint | undefined; limit: number }) =>
      withUnavailableFault(limited(() => listDeadLetters(sql, filter, page))),
    /** In full. */
    find: (id: bigint) => withUnavailableFault(limited(() => findDeadLetter(sql, id))),
    groups: () => withUnavailableFault(groupDeadLetters(sql)),
  }
}
