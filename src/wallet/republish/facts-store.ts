/**
 * The ledger, read back as the facts that were written to it: account by account, each in the order
 * of its entries.
 */
import { and, eq, gte, lt, or, sql } from 'drizzle-orm'
import { alias } from 'drizzle-orm/pg-core'
import type { Database } from '../../platform/postgres/database'
import { arrayOf } from '../../platform/postgres/statements'
import { entries, holds, transactions } from '../db/schema'
import type { AccountSnapshot, Entry } from '../domain/account'
import { asPlaced } from '../domain/hold'
import type { Hold, PublishedFact } from '../domain/types'

/** Consecutive entries of an account: those after number `after`, up to number `upTo`. */
export type Slice = { accountId: string; after: bigint; upTo: bigint }

/**
 * Those since a time, and, with `payer`, only those by which the account paid or promised: over all
 * accounts that is each fact once.
 */
export type FactFilter = { since: Date; payer: boolean }

/** Holds that ended and were not paid, by the entry that ended them. */
export type ReleasedHolds = Map<string, Hold>

/**
 * The facts that the slices tell of. The entry of a release does not name the hold; the hold, which
 * has an entry before it, names the release. So whoever asks for a slice has asked for all of that
 * account before it, with the same `endings`.
 */
export async function loadFacts(
  { orm }: Database,
  slices: Slice[],
  { since, payer }: FactFilter,
  endings: ReleasedHolds,
): Promise<PublishedFact[]> {
  const [paying, paid] = [alias(entries, 'paying'), alias(entries, 'paid')]
  const lines = await orm
    .select({ line: entries, transaction: transactions, paying, paid, hold: holds })
    .from(
      sql`unnest(
        ${arrayOf(slices.map((slice) => slice.accountId))}::uuid[],
        ${arrayOf(slices.map((slice) => slice.after))}::bigint[],
        ${arrayOf(slices.map((slice) => slice.upTo))}::bigint[]
      ) as slice (id, after, up_to)`,
    )
    .innerJoin(
      entries,
      sql`${entries.accountId} = slice.id and ${entries.version} > after and ${entries.version} <= up_to`,
    )
    .leftJoin(transactions, eq(transactions.id, entries.transactionId))
    .leftJoin(
      paying,
      sql`(${paying.accountId}, ${paying.version}) = (${transactions.accountIdFrom}, ${transactions.versionFrom})`,
    )
    .leftJoin(
      paid,
      sql`(${paid.accountId}, ${paid.version}) = (${transactions.accountIdTo}, ${transactions.versionTo})`,
    )
    .leftJoin(holds, eq(holds.id, sql`coalesce(${transactions.holdId}, ${entries.transactionId})`))
    // Whatever moved nothing is wanted: it may be a hold that ends in time.
    .where(
      or(
        eq(entries.amountMinor, 0n),
        and(gte(entries.createdAt, since), payer ? lt(entries.amountMinor, 0n) : undefined),
      ),
    )
    .orderBy(entries.accountId, entries.version)

  return lines.flatMap(({ line, transaction, paying, paid, hold: found }): PublishedFact | [] => {
    const { transactionId: id, createdAt } = line
    if (transaction && paying && paid) {
      const { currency } = transaction
      const told = {
        id,
        from: standing(paying, currency),
        to: standing(paid, currency),
        createdAt,
        transaction,
      }
      return found ? { ...told, type: 'capture', hold: found } : { ...told, type: 'transaction' }
    }

    const name = nameOf(line.accountId, line.version)
    if (found?.capturedMinor === 0n) endings.set(nameOf(found.accountIdFrom, found.versionEnded), found)
    const hold = found ? asPlaced(found) : endings.get(name)
    endings.delete(name)
    if (!hold) throw new Error(`entry ${name} is of ${id}, which is missing`)
    if (createdAt < since) return []
    // The ledger does not say how the payee stood. As it was opened is true, if old, and whoever
    // reads keeps what is newer.
    const opened = { accountId: hold.accountIdTo, version: 0n, balanceMinor: 0n, heldMinor: 0n }
    const told = {
      id,
      from: standing(line, hold.currency),
      to: standing(opened, hold.currency),
      createdAt,
      hold,
    }
    return { ...told, type: found ? 'hold' : 'release' }
  })
}

const nameOf = (accountId: string, version: bigint | null): string => `${accountId}:${version}`

const standing = (
  { accountId: id, balanceMinor, heldMinor, version }: Omit<Entry, 'amountMinor'>,
  currency: string,
): AccountSnapshot => ({ id, currency, balanceMinor, heldMinor, version })
