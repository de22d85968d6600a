/**
 * Events to rows: what a run of records, in log order, makes of the accounts and clients it names.
 * Pure; the store only writes what comes out. Balances are absolute and versions decide, so events
 * told twice, late or in another order end in the same rows.
 */
import { Dispatcher } from '../../contract/events/dispatcher'
import type { AccountOpened, BalanceUpdated, ClientRegistered, Payloads } from '../../contract/events/events'
import {
  currencyDefault,
  isCurrency,
  moneyNumber,
  type ParsedMoney,
  parseComputedMoney,
  parseMoney,
  wideMinorMax,
} from '../../contract/money'
import { parseTime, recordTime } from '../../contract/time'
import type { Decoded, Unreadable } from '../../contract/wire/envelope'
import { messageOf } from '../../platform/fault'
import type { Source } from '../db/schema'

/**
 * A record as it was read. `timestampMs` is the time the record itself bears, `origin` whatever the
 * caller knows it by.
 */
export type Reading<Origin> = { decoded: Decoded; timestampMs: number; origin: Origin }

/**
 * An account at its newest version. `opened` tells that owner and `createdAt` come from its
 * AccountOpened. Times are RFC 3339, UTC.
 */
export type BalanceRow = {
  accountId: string
  clientId: string | null
  currency: string
  balanceMinor: bigint
  heldMinor: bigint
  version: bigint
  /** Null until something has moved it. */
  source: Source | null
  opened: boolean
  createdAt: string
  updatedAt: string
}

/** One version of one account: what it changed, and what it left. Times are RFC 3339, UTC. */
export type EntryRow = {
  accountId: string
  version: bigint
  /** Signed. Null where the event does not say, and the version before it is not known either. */
  amountMinor: bigint | null
  balanceMinor: bigint
  heldMinor: bigint
  /** What led to it: a transaction, a hold, or its release. The course's records do not say. */
  transactionId: string | null
  holdId: string | null
  /** Null for a movement within one account. */
  counterpartyId: string | null
  /** Null where it counts from the time it was written, as nearly all do. */
  effectiveAt: string | null
  createdAt: string
}

export type ClientRow = { id: string; name: string; email: string; createdAt: string }

/** Why a record was kept aside. A cause, once released, keeps its name. */
export type DeadLetterReason = {
  cause:
    | Unreadable['cause']
    | 'balance_invalid'
    | 'currency_mismatch'
    | 'source_conflict'
    | 'not_storable'
    | 'not_applicable'
    | 'superseded'
  detail: string
}

/** What is stored about an account that an event leaves something unsaid of. */
export type ProjectedAccount = {
  version: bigint
  currency: string
  /** Null where only its source is known, as at the beginning of a rebuild. */
  balanceMinor: bigint | null
  source: Source | null
}

export type Projection<Origin> = {
  /** One row per account, its newest in these records. */
  balances: BalanceRow[]
  /** Every version that these records tell of, in log order. The first to tell of one is right. */
  entries: EntryRow[]
  clients: ClientRow[]
  deadLetters: { origin: Origin; reason: DeadLetterReason }[]
  /** Names of events this version does not know, and therefore skips. */
  unknown: string[]
}

/**
 * Accounts of which the stored state has to be known, because an event leaves version, currency or
 * amount unsaid. None in our own events.
 */
export function accountsToLoad(readings: readonly Reading<unknown>[]): string[] {
  const ids = new Set<string>()
  for (const { decoded } of readings) {
    const update = updateIn(decoded)
    if (!update) continue
    for (const side of sidesOf(update))
      if (side.version === undefined || update.currency === undefined || update.amount === undefined)
        ids.add(side.accountId)
  }
  return [...ids].filter(isStorable)
}

/**
 * All accounts that events are about. What is stored of them is only asked for when it turned out
 * to be at odds with an event: our own never are, and need not wait for it.
 */
export function accountsIn(readings: readonly Reading<unknown>[]): string[] {
  const ids = new Set<string>()
  for (const { decoded } of readings) {
    const update = updateIn(decoded)
    if (update) for (const { accountId } of sidesOf(update)) ids.add(accountId)
    if (decoded.kind === 'event' && decoded.event.name === 'AccountOpened') ids.add(decoded.event.payload.id)
  }
  return [...ids].filter(isStorable)
}

/** Accounts of which an event tells without a version: it is right only in the order of the log. */
export function accountsWithoutVersion(decoded: Decoded): string[] {
  const update = updateIn(decoded)
  const sides = update ? sidesOf(update) : []
  return sides.filter((side) => side.version === undefined).map((side) => side.accountId)
}

const updateIn = (decoded: Decoded): BalanceUpdated | undefined =>
  decoded.kind === 'event' && decoded.event.name === 'BalanceUpdated' ? decoded.event.payload : undefined

/**
 * `known` has the accounts of `accountsToLoad`, or of `accountsIn`, that are stored. An event that cannot be applied whole is kept aside whole:
 * no part of it is applied, and it does not count as a version.
 */
export function project<Origin>(
  readings: readonly Reading<Origin>[],
  known: ReadonlyMap<string, ProjectedAccount>,
): Projection<Origin> {
  const balances = new Map<string, BalanceRow>()
  const entries: EntryRow[] = []
  const clients = new Map<string, ClientRow>()
  const deadLetters: Projection<Origin>['deadLetters'] = []
  const unknown: string[] = []
  const writing: Writing = { balances, entries, clients, known, timestampMs: Number.NaN }

  for (const { decoded, timestampMs, origin } of readings) {
    if (decoded.kind === 'unreadable') deadLetters.push({ origin, reason: decoded.reason })
    else if (decoded.kind === 'unknown') unknown.push(decoded.name)
    else {
      writing.timestampMs = timestampMs
      for (const reason of projection.dispatch(decoded.event, writing))
        if (reason) deadLetters.push({ origin, reason })
    }
  }
  return { balances: [...balances.values()], entries, clients: [...clients.values()], deadLetters, unknown }
}

/** The projection threw on a record: neither the database nor a retry can help. */
export class ProjectionFailed extends Error {
  override name = 'ProjectionFailed'
}

/** Like `project`, but answers what it threw instead of throwing. */
export function projectSafely<Origin>(
  ...[readings, known]: Parameters<typeof project<Origin>>
): Projection<Origin> | ProjectionFailed {
  try {
    return project(readings, known)
  } catch (error) {
    return new ProjectionFailed(messageOf(error).slice(0, detailLengthMax), { cause: error })
  }
}

const detailLengthMax = 300

/** What an event is projected into, and the time of the record it came in. */
type Writing = {
  balances: Map<string, BalanceRow>
  entries: EntryRow[]
  clients: Map<string, ClientRow>
  known: ReadonlyMap<string, ProjectedAccount>
  timestampMs: number
}

/** Notifications have no handler: a BalanceUpdated carries all that is kept of what they tell. */
const projection = new Dispatcher<Payloads, Writing, DeadLetterReason | undefined>()
  .register('ClientRegistered', registerClient)
  .register('AccountOpened', openAccount)
  .register('BalanceUpdated', updateBalances)

/** A client is registered once; what tells it again changes nothing. */
function registerClient(
  { id, name, email, created_at }: ClientRegistered,
  { clients }: Writing,
): DeadLetterReason | undefined {
  const createdAt = parseTime(created_at)
  if (!createdAt) return invalid('/created_at', noTime)
  const texts = { '/id': id, '/name': name, '/email': email }
  for (const [path, text] of Object.entries(texts)) if (!isStorable(text)) return invalid(path, notStorable)
  if (!clients.has(id)) clients.set(id, { id, name, email, createdAt })
}

/**
 * An account begins at zero, version 0. Where a balance was told of first, only the owner and the
 * time of opening are new.
 */
function openAccount(
  { id, client_id, currency, created_at }: AccountOpened,
  { balances, known }: Writing,
): DeadLetterReason | undefined {
  const createdAt = parseTime(created_at)
  if (!createdAt) return invalid('/created_at', noTime)
  if (!isStorable(id)) return invalid('/id', notStorable)
  if (client_id !== null && !isStorable(client_id)) return invalid('/client_id', notStorable)
  if (!isCurrency(currency)) return invalid('/currency', 'is not an ISO 4217 currency')

  const row = balances.get(id)
  // The currency of a balance is the one it was read in: it is not exchanged under it.
  const keptIn = row?.currency ?? known.get(id)?.currency
  if (keptIn !== undefined && keptIn !== currency) return currencyMismatch(id, keptIn, currency)
  if (row?.opened) return
  const opening = { clientId: client_id, opened: true, createdAt }
  if (row) Object.assign(row, opening)
  else
    balances.set(id, {
      accountId: id,
      currency,
      balanceMinor: 0n,
      heldMinor: 0n,
      version: 0n,
      source: null,
      updatedAt: createdAt,
      ...opening,
    })
}

function updateBalances(payload: BalanceUpdated, writing: Writing): DeadLetterReason | undefined {
  const { balances, entries, timestampMs } = writing
  const { transaction_id: transactionId = null, hold_id: holdId = null } = payload
  const createdAt = payload.created_at === undefined ? recordTime(timestampMs) : parseTime(payload.created_at)
  if (!createdAt)
    return invalid(
      '/created_at',
      payload.created_at === undefined ? 'is missing, and so is the time of the record' : noTime,
    )
  const isNow = payload.effective_at === undefined || payload.effective_at === payload.created_at
  const effectiveAt = isNow ? createdAt : parseTime(payload.effective_at as string)
  if (!effectiveAt) return invalid('/effective_at', noTime)
  if (transactionId !== null && !isStorable(transactionId)) return invalid('/transaction_id', notStorable)
  if (holdId !== null && !isStorable(holdId)) return invalid('/hold_id', notStorable)

  const updates: Update[] = []
  for (const side of sidesOf(payload)) {
    const update = updateOf(side, payload, writing)
    if ('cause' in update) return update
    updates.push(update)
  }

  for (const { amountMinor, isEntry, ...update } of updates) {
    const { accountId, version, balanceMinor, heldMinor } = update
    const row = balances.get(accountId)
    if (!row)
      balances.set(accountId, { ...update, clientId: null, opened: false, createdAt, updatedAt: createdAt })
    else if (row.version < version) Object.assign(row, update, { updatedAt: createdAt })
    if (isEntry)
      entries.push({
        accountId,
        version,
        amountMinor,
        balanceMinor,
        heldMinor,
        transactionId,
        holdId,
        counterpartyId: updates.find((other) => other.accountId !== accountId)?.accountId ?? null,
        effectiveAt: effectiveAt === createdAt ? null : effectiveAt,
        createdAt,
      })
  }
}

/** What an event makes of one of its accounts. */
type Update = Pick<
  BalanceRow,
  'accountId' | 'currency' | 'balanceMinor' | 'heldMinor' | 'version' | 'source'
> & {
  amountMinor: bigint | null
  isEntry: boolean
}

function updateOf(
  side: Side,
  payload: BalanceUpdated,
  { balances, known }: Writing,
): Update | DeadLetterReason {
  const { accountId, held, version: told, sign, suffix } = side
  if (!isStorable(accountId)) return invalid(`/account_id_${suffix}`, notStorable)
  if (told !== undefined && !Number.isSafeInteger(told))
    return invalid(`/version_account_id_${suffix}`, 'is too large')

  const row = balances.get(accountId)
  const stored = known.get(accountId)
  const keptIn = row?.currency ?? stored?.currency
  const currency = payload.currency ?? keptIn ?? currencyDefault
  if (keptIn !== undefined && keptIn !== currency) return currencyMismatch(accountId, keptIn, currency)
  // At version 0 nothing has moved, and nothing is said of who will.
  const source = told === undefined ? 'versionless' : told > 0 ? 'versioned' : null
  const decided = row?.source ?? stored?.source
  if (source && decided && source !== decided) return sourceConflict(accountId, decided)

  // Whoever counts versions computes in minor units; the others may compute in binary floating point.
  const read = told === undefined ? parseComputedMoney : parseMoney
  const money =
    side.exact === undefined ? read(side.balance, currency) : parseExact(side.exact, side.balance, currency)
  if (!money.ok) return balanceInvalid(`/balance_account_id_${suffix}`, money.detail)
  const heldMoney = held === 0 ? nothing : read(held, currency)
  if (!heldMoney.ok) return balanceInvalid(`/held_account_id_${suffix}`, heldMoney.detail)
  const amount = payload.amount === undefined ? undefined : read(payload.amount, currency)
  if (amount && !amount.ok) return balanceInvalid('/amount', amount.detail)

  const before = row && (!stored || row.version > stored.version) ? row : stored
  // Without a version the log's order is the order: one more than whatever was there before.
  const version = told === undefined ? (before?.version ?? 0n) + 1n : BigInt(told)
  return {
    accountId,
    currency,
    balanceMinor: money.minor,
    heldMinor: heldMoney.minor,
    version,
    source,
    amountMinor:
      amount && payload.account_id_from !== payload.account_id_to
        ? sign * amount.minor
        : before && before.balanceMinor !== null && before.version === version - 1n
          ? money.minor - before.balanceMinor
          : null,
    // Where nothing moved, as with a hold, the payee is only told of as it stands: its version is
    // another event's to explain.
    isEntry: version > 0n && !(suffix === 'to' && amount?.minor === 0n),
  }
}

/** The exact text of a balance, beside the number that is nearest to it. */
function parseExact(text: string, nearest: number, currency: string): ParsedMoney {
  const money = parseMoney(text, currency, wideMinorMax)
  return money.ok && moneyNumber(money.minor, currency) !== nearest
    ? { ok: false, detail: `is ${nearest}, which is not the number nearest to ${text}` }
    : money
}

type Side = {
  accountId: string
  balance: number
  exact: string | undefined
  held: number
  version: number | undefined
  sign: bigint
  suffix: 'from' | 'to'
}

/**
 * Both accounts of a movement; of a movement within one account, which the course's wallet allows,
 * the side that it stores itself.
 */
function sidesOf(payload: BalanceUpdated): Side[] {
  const from: Side = {
    accountId: payload.account_id_from,
    balance: payload.balance_account_id_from,
    exact: payload.exact_balance_account_id_from,
    held: payload.held_account_id_from ?? 0,
    version: payload.version_account_id_from,
    sign: -1n,
    suffix: 'from',
  }
  const to: Side = {
    accountId: payload.account_id_to,
    balance: payload.balance_account_id_to,
    exact: payload.exact_balance_account_id_to,
    held: payload.held_account_id_to ?? 0,
    version: payload.version_account_id_to,
    sign: 1n,
    suffix: 'to',
  }
  return from.accountId === to.accountId ? [to] : [from, to]
}

const nothing = { ok: true, minor: 0n } as const

const currencyMismatch = (accountId: string, keptIn: string, currency: string): DeadLetterReason => ({
  cause: 'currency_mismatch',
  detail: `account ${accountId} is kept in ${keptIn}, and this event is in ${currency}`,
})

/** The detail says what can be done about it. */
const sourceConflict = (accountId: string, decided: Source): DeadLetterReason => ({
  cause: 'source_conflict',
  detail:
    decided === 'versioned'
      ? `account ${accountId} is moved by events with versions; a service that writes none needs accounts of its own`
      : `account ${accountId} is moved by records without versions, which came first; the wallet needs an account of its own instead`,
})

const balanceInvalid = (path: string, detail: string): DeadLetterReason => ({
  cause: 'balance_invalid',
  detail: `${path}: ${detail}`,
})

/** What PostgreSQL takes as text, and gives back as it was. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')
const notStorable = 'has a NUL or half a surrogate pair in it'

const noTime = 'is not an RFC 3339 time'

const invalid = (path: string, detail: string): DeadLetterReason => ({
  cause: 'payload_invalid',
  detail: `${path}: ${detail}`,
})
