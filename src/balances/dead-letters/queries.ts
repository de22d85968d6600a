/** Dead letters as HTTP reads them. Letters may be large, so few are read at once. */
import { createConcurrencyLimit } from '../../platform/concurrency-limit'
import type { Database } from '../../platform/postgres/database'
import { withUnavailableFault } from '../../platform/postgres/failures'
import {
  type DeadLetter,
  type DeadLetterFilter,
  type DeadLetterGroup,
  findDeadLetter,
  groupDeadLetters,
  type ListedLetter,
  listDeadLetters,
} from './dead-letters-store'

export type DeadLetterQueries = {
  list(filter: DeadLetterFilter, page: { before: bigint | undefined; limit: number }): Promise<ListedLetter[]>
  /** In full. */
  find(id: bigint): Promise<DeadLetter | undefined>
  groups(): Promise<DeadLetterGroup[]>
}

export function openDeadLetterQueries({ sql }: Pick<Database, 'sql'>): DeadLetterQueries {
  const limited = createConcurrencyLimit({ concurrency: 4, waitingMax: 200 })
  return {
    list: (filter, page) => withUnavailableFault(limited(() => listDeadLetters(sql, filter, page))),
    find: (id) => withUnavailableFault(limited(() => findDeadLetter(sql, id))),
    groups: () => withUnavailableFault(groupDeadLetters(sql)),
  }
}
