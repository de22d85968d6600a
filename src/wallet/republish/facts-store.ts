/** Reads the facts of the ledger back: account by account, in the order of their entries. */
import { and, eq, gte, inArray, lt, or, sql } from 'drizzle-orm'
import { type AnyPgColumn, alias } from 'drizzle-orm/pg-core'
import type { Database } from '../../platform/postgres/database'
import { arrayOf } from '../../platform/postgres/statements'
import { changes, entries, holds, transactions } from '../db/schema'
import { type Account, type AccountSnapshot, type Entry, worldIdOf } from '../domain/account'
import { asPlaced } from '../domain/hold'
import type { Hold, Legs, PublishedMovement, Transaction } from '../domain/types'

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
  database: Database,
  ranges: EntryRange[],
  { since, payer }: FactFilter,
  releasedHolds: ReleasedHolds,
): Promise<PublishedMovement[]> {
  const [paying, paid] = [alias(entries, 'paying'), alias(entries, 'paid')]
  const lines = await database.orm
    .select({
      ...{ line: entries, transaction: transactions, paying, paid, hold: holds, change: changes },
      ...{ terms: termsAt(entries), payingTerms: termsAt(paying), paidTerms: termsAt(paid) },
    })
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
    .leftJoin(
      transactions,
      sql`${transactions.id} = ${entries.transactionId} and (${entries.accountId}, ${entries.version}) in (
        (${transactions.accountIdFrom}, ${transactions.versionFrom}),
        (${transactions.accountIdTo}, ${transactions.versionTo})
      )`,
    )
    .leftJoin(
      paying,
      sql`(${paying.accountId}, ${paying.version})
        = (${transactions.accountIdFrom}, ${transactions.versionFrom})`,
    )
    .leftJoin(
      paid,
      sql`(${paid.accountId}, ${paid.version}) = (${transactions.accountIdTo}, ${transactions.versionTo})`,
    )
    .leftJoin(changes, eq(changes.id, entries.transactionId))
    .leftJoin(
      holds,
      eq(holds.id, sql`coalesce(${transactions.holdId}, ${changes.holdId}, ${entries.transactionId})`),
    )
    // An entry that moved nothing may be of a hold that ended since then.
    .where(
      or(
        eq(entries.amountMinor, 0n),
        and(gte(entries.createdAt, since), payer ? lt(entries.amountMinor, 0n) : undefined),
      ),
    )
    .orderBy(entries.accountId, entries.version)

  const severalLegs = await loadSeveralLegs(
    database,
    lines.flatMap(({ transaction }) => transaction ?? []),
  )

  return lines.flatMap((row): PublishedMovement | [] => {
    const { line, terms, transaction, paying, paid, hold: found, change } = row
    const { transactionId: id, createdAt } = line
    if (transaction && paying && paid) {
      const { currency } = transaction
      const fact = {
        id,
        from: snapshotOf(paying, currency, row.payingTerms),
        to: snapshotOf(paid, currency, row.paidTerms),
        createdAt,
        transaction,
      }
      const legs = severalLegs.get(id)
      if (legs) return { ...fact, type: 'leg', whole: isPublishedWith(line, legs, payer) ? legs : null }
      return found ? { ...fact, type: 'capture', hold: found } : { ...fact, type: 'transaction' }
    }

    if (change && terms && createdAt >= since) {
      const { currency, clientId } = terms
      const party = found?.accountIdTo ?? worldIdOf(currency)
      const from = snapshotOf(line, currency, terms)
      const fact = { id, from, to: openingOf(party, currency), createdAt, change }
      return found ? { ...fact, type: 'extension', hold: found } : { ...fact, type: 'change', clientId }
    }
    if (change) return []

    const key = keyOf(line.accountId, line.version)
    if (found?.capturedMinor === 0n) releasedHolds.set(keyOf(found.accountIdFrom, found.versionEnded), found)
    const hold = found ? asPlaced(found) : releasedHolds.get(key)
    releasedHolds.delete(key)
    if (!hold) throw new Error(`missing transaction or hold ${id} of entry ${key}`)
    if (createdAt < since) return []
    const from = snapshotOf(line, hold.currency, terms)
    const fact = { id, from, to: openingOf(hold.accountIdTo, hold.currency), createdAt, hold }
    return { ...fact, type: found ? 'hold' : 'release' }
  })
}

/** The account of an entry after its last change until then; null before the first. */
type Terms = Pick<Account, 'status' | 'currency' | 'clientId'> & { limit: string; opening: string | null }

const termsAt = (entry: { accountId: AnyPgColumn; version: AnyPgColumn }) => sql<Terms | null>`(
  select json_build_object(
    'status', past.status, 'limit', past.overdraft_limit_minor::text, 'currency', account.currency,
    'clientId', account.client_id, 'opening', account.opening_limit_minor::text
  )
  from changes as past join accounts as account on account.id = past.account_id
  where past.account_id = ${entry.accountId} and past.version <= ${entry.version}
  order by past.version desc limit 1
)`
/** The transactions among these that have several legs, by id. Only postings have, and their reversals. */
async function loadSeveralLegs({ orm }: Database, among: Transaction[]): Promise<Map<string, Legs>> {
  const ids = among.filter(({ kind }) => kind === 'postings' || kind === 'reversal').map(({ id }) => id)
  if (ids.length === 0) return new Map()
  const rows = await orm
    .select()
    .from(transactions)
    .where(inArray(transactions.id, [...new Set(ids)]))
    .orderBy(transactions.id, transactions.leg)
  const loaded = Map.groupBy(rows, ({ id }) => id) as Map<string, unknown> as Map<string, Legs>
  return new Map([...loaded].filter(([, legs]) => legs.length > 1))
}

/**
 * Whether the whole is republished with this entry: over all accounts with the payment of its first
 * leg, of one account with the first of its entries.
 */
function isPublishedWith(line: Entry, legs: Legs, payer: boolean): boolean {
  const ends = (payer ? [legs[0]] : legs).flatMap((leg) => [
    { accountId: leg.accountIdFrom, version: leg.versionFrom },
    ...(payer ? [] : [{ accountId: leg.accountIdTo, version: leg.versionTo }]),
  ])
  const first = ends.find(({ accountId }) => accountId === line.accountId)
  return first?.version === line.version
}

const keyOf = (accountId: string, version: bigint | null): string => `${accountId}:${version}`

const snapshotOf = (
  { accountId: id, balanceMinor, heldMinor, version }: Omit<Entry, 'amountMinor'>,
  currency: string,
  terms: Terms | null,
): AccountSnapshot => ({
  ...{ id, currency, balanceMinor, heldMinor, version },
  status: terms?.status ?? 'open',
  overdraftLimitMinor: terms && BigInt(terms.limit),
  openingLimitMinor: terms?.opening ? BigInt(terms.opening) : null,
})

/**
 * The ledger does not record the state of the other account where nothing moves. Its opening state is true,
 * if old, and consumers keep the newer version.
 */
const openingOf = (accountId: string, currency: string): AccountSnapshot =>
  snapshotOf({ accountId, version: 0n, balanceMinor: 0n, heldMinor: 0n }, currency, null)
