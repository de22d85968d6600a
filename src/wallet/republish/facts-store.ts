/** Reads the facts of the ledger back: account by account, in the order of their entries. */
import { and, eq, gte, lt, or, sql } from 'drizzle-orm'
import { alias } from 'drizzle-orm/pg-core'
import type { Database } from '../../platform/postgres/database'
import { arrayOf } from '../../platform/postgres/statements'
import { entries, holds, transactions } from '../db/schema'
import type { AccountSnapshot, Entry } from '../domain/account'
import { asPlaced } from '../domain/hold'
import type { Hold, PublishedMovement } from '../domain/types'

/** Consecutive entries of an account: those after number `after`, up to number `upTo`. */
export type EntryRange = { accountId: string; after: bigint; upTo: bigint }

/** Since a time. With `payer`, only facts that the account paid or reserved: over all accounts, each once. */
export type FactFilter = { since: Date; payer: boolean }

/** Holds that ended without a capture, by the entry that ended them. */
export type ReleasedHolds = Map<string, Hold>

/**
 * The entry of a release does not name the hold; the hold, placed by an earlier entry, names the
 * release. So call this for all ranges of an account in order, with the same `releasedHolds`.
 */
export async function loadFacts(
  { orm }: Database,
  ranges: EntryRange[],
  { since, payer }: FactFilter,
  releasedHolds: ReleasedHolds,
): Promise<PublishedMovement[]> {
  const [paying, paid] = [alias(entries, 'paying'), alias(entries, 'paid')]
  const lines = await orm
    .select({ line: entries, transaction: transactions, paying, paid, hold: holds })
    .from(
      sql`unnest(
        ${arrayOf(ranges.map((range) => range.accountId))}::uuid[],
        ${arrayOf(ranges.map((range) => range.after))}::bigint[],
        ${arrayOf(ranges.map((range) => range.upTo))}::bigint[]
      ) as range (account_id, after, up_to)`,
    )
    .innerJoin(
      entries,
      sql`${entries.accountId} = range.account_id
        and ${entries.version} > after and ${entries.version} <= up_to`,
    )
    .leftJoin(transactions, eq(transactions.id, entries.transactionId))
    .leftJoin(
      paying,
      sql`(${paying.accountId}, ${paying.version})
        = (${transactions.accountIdFrom}, ${transactions.versionFrom})`,
    )
    .leftJoin(
      paid,
      sql`(${paid.accountId}, ${paid.version}) = (${transactions.accountIdTo}, ${transactions.versionTo})`,
    )
    .leftJoin(holds, eq(holds.id, sql`coalesce(${transactions.holdId}, ${entries.transactionId})`))
    // An entry that moved nothing may be of a hold that ended since then.
    .where(
      or(
        eq(entries.amountMinor, 0n),
        and(gte(entries.createdAt, since), payer ? lt(entries.amountMinor, 0n) : undefined),
      ),
    )
    .orderBy(entries.accountId, entries.version)

  return lines.flatMap(({ line, transaction, paying, paid, hold: found }): PublishedMovement | [] => {
    const { transactionId: id, createdAt } = line
    if (transaction && paying && paid) {
      const { currency } = transaction
      const fact = {
        id,
        from: snapshotOf(paying, currency),
        to: snapshotOf(paid, currency),
        createdAt,
        transaction,
      }
      return found ? { ...fact, type: 'capture', hold: found } : { ...fact, type: 'transaction' }
    }

    const key = keyOf(line.accountId, line.version)
    if (found?.capturedMinor === 0n) releasedHolds.set(keyOf(found.accountIdFrom, found.versionEnded), found)
    const hold = found ? asPlaced(found) : releasedHolds.get(key)
    releasedHolds.delete(key)
    if (!hold) throw new Error(`missing transaction or hold ${id} of entry ${key}`)
    if (createdAt < since) return []
    // The ledger does not record the payee's state then. Its opening state is true, if old, and
    // consumers keep the newer version.
    const opened = { accountId: hold.accountIdTo, version: 0n, balanceMinor: 0n, heldMinor: 0n }
    const fact = {
      id,
      from: snapshotOf(line, hold.currency),
      to: snapshotOf(opened, hold.currency),
      createdAt,
      hold,
    }
    return { ...fact, type: found ? 'hold' : 'release' }
  })
}

const keyOf = (accountId: string, version: bigint | null): string => `${accountId}:${version}`

const snapshotOf = (
  { accountId: id, balanceMinor, heldMinor, version }: Omit<Entry, 'amountMinor'>,
  currency: string,
): AccountSnapshot => ({ id, currency, balanceMinor, heldMinor, version })
