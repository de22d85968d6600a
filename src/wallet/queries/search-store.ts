/** Transactions by what the caller or the ledger noted about them, newest first. */
import { and, desc, eq, gte, isNotNull, lt, or, type SQL, sql } from 'drizzle-orm'
import type { Database } from '../../platform/postgres/database'
import { arrayOf } from '../../platform/postgres/statements'
import { searchable, transactions } from '../db/schema'
import type { TransactionFilter } from './history-store'
import { byBitmap, inIndexOrder, type Orm } from './planner-store'

/** At least one member that selects: its index finds the transactions, the rest is checked. */
export type TransactionSearch = TransactionFilter & {
  reference: string | undefined
  holdId: string | undefined
  reverses: string | undefined
  metadata: readonly MetadataFilter[]
  /** Of any of these accounts. */
  accountIds: readonly string[] | undefined
}

/** A member at the top of the metadata, and its value as text. */
export type MetadataFilter = { name: string; value: string }

/** The transaction that a page ends with. */
export type SearchCursor = { createdAt: string; id: string }

type SearchPage = { after: SearchCursor | undefined; limit: number }

/** `lookedAt`: the last transaction that was looked at, where older ones may match, too. */
export type Found = { matches: SearchCursor[]; lookedAt?: SearchCursor | undefined }

export async function searchTransactions(
  database: Database,
  search: TransactionSearch,
  page: SearchPage,
): Promise<Found> {
  const { reference, holdId, reverses, metadata } = search
  if (holdId !== undefined || reverses !== undefined) return searchAll(database, search, page)
  if (metadata.length === 0) return searchNewest(database, search, page, lookedAtMax)
  // The index of metadata finds all matches, in no order. Where they are many, the newest transactions
  // with metadata have enough of them.
  if (reference === undefined) {
    const found = await searchNewest(database, search, page, newestPerRow * page.limit)
    if (found.matches.length === page.limit || !found.lookedAt) return found
  }
  return (await isFrequent(database, search))
    ? searchNewest(database, search, page, lookedAtMax)
    : byBitmap(database, (orm) => searchAll({ orm }, search, page))
}

/** Transactions that are looked at, for each row of the page, before metadata is searched by its index. */
const newestPerRow = 10
/** Of one page. Beyond it, a page may have fewer rows than were asked for. */
const lookedAtMax = 5000

/**
 * Looks at the newest transactions of the reference, or of all with metadata: their index has them in the
 * order of the page.
 */
async function searchNewest(
  database: Database,
  search: TransactionSearch,
  { after, limit }: SearchPage,
  most: number,
): Promise<Found> {
  const { reference } = search
  const range =
    given(reference, (text) => eq(transactions.reference, text)) ?? isNotNull(transactions.metadata)
  const rows = await inIndexOrder(database, (orm) => {
    const newest = orm
      .select()
      .from(transactions)
      .where(and(isWhole, range, isWritten(search), after && isOlder(after)))
      .orderBy(...newestFirst)
      .limit(most)
      .as('transactions')
    const numbered = orm
      .select({
        ...cursor,
        isMatch: sql<boolean>`${and(selects(search), narrows(search))}`.as('is_match'),
        isLast: sql<boolean>`row_number() over (order by ${inOrder}) = ${most}`.as('is_last'),
      })
      .from(newest)
      .as('transactions')
    return orm
      .select({ ...cursor, isMatch: numbered.isMatch, isLast: numbered.isLast })
      .from(numbered)
      .where(or(numbered.isMatch, numbered.isLast))
      .orderBy(...newestFirst)
      .limit(limit)
  })
  const [lookedAt] = cursorsOf(rows.filter(({ isLast }) => isLast))
  return { matches: cursorsOf(rows.filter(({ isMatch }) => isMatch)), lookedAt }
}

/** Whether so many have this metadata that a page cannot look at all of them. */
async function isFrequent(database: Database, { metadata }: TransactionSearch): Promise<boolean> {
  const one = { exists: sql<number>`1` }
  const more = await byBitmap(database, (orm) =>
    orm.select(one).from(transactions).where(hasMembers(metadata)).limit(1).offset(lookedAtMax),
  )
  return more.length > 0
}

/** Of few matches. Never prepared: which index is best depends on the values. */
const searchAll = async (
  { orm }: { orm: Orm },
  search: TransactionSearch,
  { after, limit }: SearchPage,
): Promise<Found> => ({
  matches: await orm
    .select(cursor)
    .from(transactions)
    .where(and(selects(search), isWritten(search), narrows(search), after && isOlder(after)))
    .orderBy(...unindexedNewestFirst)
    .limit(limit)
    .then(cursorsOf),
})

const cursor = { id: transactions.id, createdAt: transactions.createdAt }
const newestFirst = [desc(transactions.createdAt), desc(transactions.id)]
const inOrder = sql.join(newestFirst, sql`, `)
/**
 * The same order, which no index has. The planner takes every value of metadata to be equally frequent,
 * and would walk all transactions to find a rare one in order.
 */
const unindexedNewestFirst = [desc(sql`${transactions.createdAt} + interval '0'`), desc(transactions.id)]

const cursorsOf = (rows: { id: string; createdAt: Date }[]): SearchCursor[] =>
  rows.map(({ id, createdAt }) => ({ id, createdAt: createdAt.toISOString() }))

/** One row of each: what selects it is the same of all its legs. */
const isWhole = sql`${transactions.leg} = 0`

const selects = ({ reference, holdId, reverses, metadata }: TransactionSearch): SQL | undefined =>
  and(
    isWhole,
    // Never by its index, which is used where it has the order of the page.
    given(reference, (text) => sql`${transactions.reference} || '' = ${text}`),
    given(holdId, (id) => eq(transactions.holdId, id)),
    given(reverses, (id) => eq(transactions.reverses, id)),
    metadata.length > 0 ? hasMembers(metadata) : undefined,
  )

/** What the order of a page makes one range. */
const isWritten = ({ since, until }: TransactionSearch): SQL | undefined =>
  and(
    given(since, (time) => gte(transactions.createdAt, instant(time))),
    given(until, (time) => lt(transactions.createdAt, instant(time))),
  )

function narrows({ kind, accountIds, effectiveSince, effectiveUntil }: TransactionSearch): SQL | undefined {
  const { effectiveAt } = transactions
  return and(
    given(kind, (one) => eq(transactions.kind, one)),
    given(effectiveSince, (time) => gte(effectiveAt, instant(time))),
    given(effectiveUntil, (time) => lt(effectiveAt, instant(time))),
    given(accountIds, hasLegOf),
  )
}

/** Few have further legs. `offset 0`: those are found by id for each transaction, never by a join. */
const hasLegOf = (accountIds: readonly string[]): SQL => sql`(
  array[${transactions.accountIdFrom}, ${transactions.accountIdTo}] && ${accountIdsOf(accountIds)}
  or ${transactions.kind} in ('postings', 'reversal') and exists (
    select from transactions as leg
    where leg.id = ${transactions.id}
      and array[leg.account_id_from, leg.account_id_to] && ${accountIdsOf(accountIds)}
    offset 0
  )
)`
const accountIdsOf = (ids: readonly string[]): SQL => sql`${arrayOf(ids)}::uuid[]`

const isOlder = ({ createdAt, id }: SearchCursor): SQL =>
  sql`(${transactions.createdAt}, ${transactions.id}) < (${instant(createdAt)}, ${id}::uuid)`

/** A bound may be finer than what is stored. */
const instant = (time: string): SQL => sql`${time}::timestamptz`

const given = <Value>(
  value: Value | undefined,
  condition: (value: Value) => SQL | undefined,
): SQL | undefined => (value === undefined ? undefined : condition(value))

const hasMembers = (metadata: readonly MetadataFilter[]): SQL | undefined =>
  and(isWhole, isNotNull(transactions.metadata), ...metadata.map(hasMember))

/** As a string, or as the number or boolean that the text is. */
function hasMember({ name, value }: MetadataFilter): SQL | undefined {
  const values: (string | number | boolean)[] = [value]
  if (isNumber.test(value) && Number.isFinite(Number(value))) values.push(Number(value))
  if (value === 'true' || value === 'false') values.push(value === 'true')
  return or(
    ...values.map((one) => {
      const document = JSON.stringify({ [name]: one })
      return sql`${searchable(transactions.metadata)} @> ${document}::jsonb`
    }),
  )
}

/** As JSON writes it. */
const isNumber = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/
