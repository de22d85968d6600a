/**
 * Events to rows: what a run of records, in log order, makes of the accounts and clients it names. Pure; the store only writes what comes out.
 * Balances are absolute and versions decide, so events told twice, late or in another order end in the same rows.
 */
import type { Decoded, Unreadable } from '../contract/envelope'
import type { AccountOpened, BalanceUpdated, ClientRegistered } from '../contract/events'
import { currencyDefault, isCurrency, parseMoney } from '../contract/money'

/** A record as it was read. `timestampMs` is the time the record itself bears, `origin` whatever the caller knows it by. */
export type Reading<Origin> = { decoded: Decoded; timestampMs: number; origin: Origin }

/** An account at its newest version. `opened` tells that owner and `createdAt` come from its AccountOpened. Times are RFC 3339, UTC. */
export type BalanceRow = {
  accountId: string
  clientId: string | null
  currency: string
  balanceMinor: bigint
  version: bigint
  opened: boolean
  createdAt: string
  updatedAt: string
}

export type ClientRow = { id: string; name: string; email: string; createdAt: string }

/** Why a record was kept aside. A cause, once released, keeps its name. */
export type DeadReason = { cause: Unreadable['cause'] | 'balance_invalid' | 'not_storable'; detail: string }

/** What is stored about an account that an event leaves something unsaid of. */
export type KnownAccount = { version: bigint; currency: string }

export type Projection<Origin> = {
  /** One row per account, its newest in these records. */
  balances: BalanceRow[]
  clients: ClientRow[]
  deadLetters: { origin: Origin; reason: DeadReason }[]
  /** Names of events this version does not know, and therefore skips. */
  unknown: string[]
}

/** Accounts of which the stored version or currency has to be known, because an event does not say them. None in our own events. */
export function accountsToKnow(readings: readonly Reading<unknown>[]): string[] {
  const ids = new Set<string>()
  for (const { decoded } of readings) {
    if (decoded.kind !== 'event' || decoded.event.name !== 'BalanceUpdated') continue
    for (const side of sidesOf(decoded.event.payload))
      if (side.version === undefined || decoded.event.payload.currency === undefined) ids.add(side.accountId)
  }
  return [...ids].filter(isStorable)
}

/**
 * `known` has the accounts of `accountsToKnow` that are stored. An event that cannot be applied whole is kept aside whole: no part of it
 * is applied, and it does not count as a version.
 */
export function project<Origin>(
  readings: readonly Reading<Origin>[],
  known: ReadonlyMap<string, KnownAccount>,
): Projection<Origin> {
  const balances = new Map<string, BalanceRow>()
  const clients = new Map<string, ClientRow>()
  const deadLetters: Projection<Origin>['deadLetters'] = []
  const unknown: string[] = []

  for (const { decoded, timestampMs, origin } of readings) {
    if (decoded.kind === 'unreadable') deadLetters.push({ origin, reason: decoded.reason })
    else if (decoded.kind === 'unknown') unknown.push(decoded.name)
    else {
      const { event } = decoded
      let reason: DeadReason | undefined
      if (event.name === 'ClientRegistered') reason = registerClient(clients, event.payload)
      else if (event.name === 'AccountOpened') reason = openAccount(balances, event.payload)
      else if (event.name === 'BalanceUpdated') reason = updateBalances(balances, known, event.payload, timestampMs)
      if (reason) deadLetters.push({ origin, reason })
    }
  }
  return { balances: [...balances.values()], clients: [...clients.values()], deadLetters, unknown }
}

/** A client is registered once; what tells it again changes nothing. */
function registerClient(
  clients: Map<string, ClientRow>,
  { id, name, email, created_at }: ClientRegistered,
): DeadReason | undefined {
  const createdAt = parseTime(created_at)
  if (!createdAt) return invalid('/created_at', noTime)
  const texts = { '/id': id, '/name': name, '/email': email }
  for (const [path, text] of Object.entries(texts)) if (!isStorable(text)) return invalid(path, notStorable)
  if (!clients.has(id)) clients.set(id, { id, name, email, createdAt })
}

/** An account begins at zero, version 0. Where a balance was told of first, only the owner and the time of opening are new. */
function openAccount(
  balances: Map<string, BalanceRow>,
  { id, client_id, currency, created_at }: AccountOpened,
): DeadReason | undefined {
  const createdAt = parseTime(created_at)
  if (!createdAt) return invalid('/created_at', noTime)
  if (!isStorable(id)) return invalid('/id', notStorable)
  if (client_id !== null && !isStorable(client_id)) return invalid('/client_id', notStorable)
  if (!isCurrency(currency)) return invalid('/currency', 'is not an ISO 4217 currency')

  const row = balances.get(id)
  if (row?.opened) return
  const opening = { clientId: client_id, opened: true, createdAt }
  // The currency of a balance is the one it was read in: it is not exchanged under it.
  if (row) Object.assign(row, opening)
  else balances.set(id, { accountId: id, currency, balanceMinor: 0n, version: 0n, updatedAt: createdAt, ...opening })
}

function updateBalances(
  balances: Map<string, BalanceRow>,
  known: ReadonlyMap<string, KnownAccount>,
  payload: BalanceUpdated,
  timestampMs: number,
): DeadReason | undefined {
  const updatedAt = payload.created_at === undefined ? timeOf(timestampMs) : parseTime(payload.created_at)
  if (!updatedAt)
    return invalid(
      '/created_at',
      payload.created_at === undefined ? 'is missing, and so is the time of the record' : noTime,
    )

  const updates: Pick<BalanceRow, 'accountId' | 'currency' | 'balanceMinor' | 'version'>[] = []
  for (const { accountId, balance, version, suffix } of sidesOf(payload)) {
    if (!isStorable(accountId)) return invalid(`/account_id_${suffix}`, notStorable)
    if (version !== undefined && !Number.isSafeInteger(version))
      return invalid(`/version_account_id_${suffix}`, 'is too large')

    const row = balances.get(accountId)
    const stored = known.get(accountId)
    const currency = payload.currency ?? row?.currency ?? stored?.currency ?? currencyDefault
    const money = parseMoney(balance, currency)
    if (!money.ok) return { cause: 'balance_invalid', detail: `/balance_account_id_${suffix}: ${money.detail}` }
    updates.push({
      accountId,
      currency,
      balanceMinor: money.minor,
      // Without a version the log's order is the order: one more than whatever was there before.
      version: version === undefined ? highest(row?.version, stored?.version) + 1n : BigInt(version),
    })
  }

  for (const update of updates) {
    const row = balances.get(update.accountId)
    if (!row)
      balances.set(update.accountId, { ...update, clientId: null, opened: false, createdAt: updatedAt, updatedAt })
    else if (row.version < update.version) Object.assign(row, update, { updatedAt })
  }
}

type Side = { accountId: string; balance: number; version: number | undefined; suffix: 'from' | 'to' }

/** Both accounts of a movement; of a movement within one account, which the course's wallet allows, the side that it stores itself. */
function sidesOf(payload: BalanceUpdated): Side[] {
  const from: Side = {
    accountId: payload.account_id_from,
    balance: payload.balance_account_id_from,
    version: payload.version_account_id_from,
    suffix: 'from',
  }
  const to: Side = {
    accountId: payload.account_id_to,
    balance: payload.balance_account_id_to,
    version: payload.version_account_id_to,
    suffix: 'to',
  }
  return from.accountId === to.accountId ? [to] : [from, to]
}

const highest = (one = 0n, other = 0n): bigint => (one > other ? one : other)

/** What PostgreSQL takes as text, and gives back as it was. */
const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')
const notStorable = 'has a NUL or half a surrogate pair in it'

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i
const noTime = 'is not an RFC 3339 time'
const earliestMs = Date.parse('0001-01-01T00:00:00Z')
const latestMs = Date.parse('9999-12-31T23:59:59.999Z')

const parseTime = (text: string): string | undefined =>
  rfc3339.test(text) ? timeOf(Date.parse(text.toUpperCase())) : undefined

/** Undefined for what is no time in the years 1 to 9999. */
export const timeOf = (ms: number): string | undefined =>
  ms >= earliestMs && ms <= latestMs ? new Date(ms).toISOString() : undefined

const invalid = (path: string, detail: string): DeadReason => ({
  cause: 'payload_invalid',
  detail: `${path}: ${detail}`,
})
