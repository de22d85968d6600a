/** Remembers which fictitious data was put in. */
import type { Claim } from './apply'

/** Claims the right to put the data in: given once, in the transaction that does it. */
export const markSeeded =
  (name: string): Claim =>
  (sql) =>
    sql`insert into applied_seeds (name) values (${name}) on conflict do nothing returning true`
