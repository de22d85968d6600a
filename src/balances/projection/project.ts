/**
 * Events to rows. Pure: the store only writes the result. Balances are absolute and versions decide,
 * so redelivered, late and reordered events end in the same rows.
 */
import { Dispatcher } from '../../contract/events/dispatcher'
import type {
  AccountOpened,
  BalanceUpdated,
  EpochStarted,
  Payloads,
  PersonalDataErased,
  PersonalDataRecorded,
} from '../../contract/events/events'
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
import { firstEpoch } from '../../contract/wire/envelope'
import { messageOf } from '../../platform/fault'
import type { Source } from '../db/schema'
import { epochOf, isVoid, type Start, storedEpoch, trueEntries } from './epochs'
import { type Side, sidesOf } from './sides'
import { isStorable, notStorable } from './storable'
import type {
  BalanceRow,
  ClientRow,
  DeadLetterReason,
  EntryRow,
  EpochChanges,
  KnownEpochs,
  ProjectedAccount,
  Projection,
  Reading,
} from './types'

/**
 * `stored` has the accounts of `accountsToLoad`, or of `accountsIn`. An event is applied in full or
 * dead-lettered, and then does not count as a version.
 */
export function project<Origin>(
  readings: readonly Reading<Origin>[],
  stored: ReadonlyMap<string, ProjectedAccount>,
  known: KnownEpochs = noEpochs,
): Projection<Origin> {
  const balances = new Map<string, BalanceRow>()
  const entries: EntryRow[] = []
  const clients = new Map<string, ClientRow>()
  const deadLetters: Projection<Origin>['deadLetters'] = []
  const unknown: string[] = []
  const epochs: EpochChanges = { starts: [], progress: new Map(), voided: 0 }
  const context: Context = {
    ...{ balances, entries, clients, stored, known, epochs },
    ...{ starts: new Map(), timestampMs: Number.NaN, epoch: firstEpoch },
  }

  for (const { decoded, timestampMs, origin } of readings) {
    if (decoded.kind === 'unreadable') deadLetters.push({ origin, reason: decoded.reason })
    else if (decoded.kind === 'unknown') unknown.push(decoded.name)
    else {
      context.timestampMs = timestampMs
      context.epoch = epochOf(decoded.epoch)
      if (context.epoch > firstEpoch) progressOf(context, context.epoch)
      for (const reason of projection.dispatch(decoded.event, context))
        if (reason) deadLetters.push({ origin, reason })
    }
  }
  // Without knowledge all records are of one epoch, which is the newest: nothing is void.
  const hasEpochs = known !== noEpochs && (epochs.progress.size > 0 || epochs.voided > 0)
  return {
    balances: [...balances.values()],
    entries: hasEpochs ? trueEntries(entries, (accountId) => startOf(accountId, context)) : entries,
    clients: [...clients.values()],
    deadLetters,
    unknown,
    ...(hasEpochs && { epochs }),
  }
}

const noEpochs: KnownEpochs = { complete: 0, clients: new Map() }

/** The projection threw on a record: neither the database nor a retry can help. */
export class ProjectionFailed extends Error {
  override name = 'ProjectionFailed'
}

/** Like `project`, but returns what it threw. */
export function projectSafely<Origin>(
  ...[readings, stored, known]: Parameters<typeof project<Origin>>
): Projection<Origin> | ProjectionFailed {
  try {
    return project(readings, stored, known)
  } catch (error) {
    return new ProjectionFailed(messageOf(error).slice(0, detailLengthMax), { cause: error })
  }
}

const detailLengthMax = 300

/** The rows so far, stored state, and the timestamp of the record. */
type Context = {
  balances: Map<string, BalanceRow>
  entries: EntryRow[]
  clients: Map<string, ClientRow>
  stored: ReadonlyMap<string, ProjectedAccount>
  known: KnownEpochs
  /** Starts in these records, the newest of each account. */
  starts: Map<string, Start>
  epochs: EpochChanges
  timestampMs: number
  /** Of the record. */
  epoch: number
}

function progressOf({ epochs: { progress } }: Context, epoch: number) {
  const found = progress.get(epoch) ?? { accounts: 0, clients: 0 }
  progress.set(epoch, found)
  return found
}

/** The newest that is known. */
function startOf(accountId: string, { starts, stored }: Context): Start | undefined {
  const here = starts.get(accountId)
  const { startEpoch, startVersion } = stored.get(accountId) ?? {}
  if (startEpoch == null || startVersion == null || (here && here.epoch > startEpoch)) return here
  return { epoch: startEpoch, version: startVersion }
}

/**
 * Notifications and AccountUpdated have no handler: BalanceUpdated carries all that is stored of them. Nor
 * have ClientRegistered and ClientUpdated, of which nothing is stored.
 */
const projection = new Dispatcher<Payloads, Context, DeadLetterReason | undefined>()
  .register('PersonalDataRecorded', recordName)
  .register('PersonalDataErased', eraseName)
  .register('AccountOpened', openAccount)
  .register('EpochStarted', expectStarts)
  .register('BalanceUpdated', updateBalances)

function recordName(
  { id, name, version }: PersonalDataRecorded,
  context: Context,
): DeadLetterReason | undefined {
  return isStorable(name) ? putClient({ id, name, version }, context) : invalid('/name', notStorable)
}

function eraseName({ id, version }: PersonalDataErased, context: Context): DeadLetterReason | undefined {
  return putClient({ id, name: null, version }, context)
}

/** The newest version wins, in any order, and an erasure over all of them. */
function putClient(
  { id, name, version }: Omit<ClientRow, 'version'> & { version: number },
  context: Context,
): DeadLetterReason | undefined {
  if (!isStorable(id)) return invalid('/id', notStorable)
  if (!Number.isSafeInteger(version)) return invalid('/version', 'is too large')
  const { clients, known, epochs, epoch } = context
  const before = clients.get(id)
  const epochBefore = Math.max(before ? epochOf(before.epoch) : 0, known.clients.get(id) ?? 0)
  if (epoch < known.complete && epochBefore < known.complete) {
    epochs.voided++
    return
  }
  for (let started = Math.max(epochBefore, firstEpoch) + 1; started <= epoch; started++)
    progressOf(context, started).clients++
  const isNewer = before === undefined || isAfter({ epoch, version: BigInt(version) }, before)
  const highest = Math.max(epoch, epochOf(before?.epoch))
  const row = { id, name, version: BigInt(version), ...(highest > firstEpoch && { epoch: highest }) }
  if (name === null || (isNewer && before?.name !== null)) clients.set(id, row)
  // Once erased, any later record only shows that the ledger has the client.
  else if (isNewer && before) before.epoch = storedEpoch(epoch)
}

const isAfter = (one: Start, other: { epoch?: number | null; version: bigint }): boolean =>
  one.epoch > epochOf(other.epoch) || (one.epoch === epochOf(other.epoch) && one.version > other.version)

function expectStarts({ epoch, accounts, clients }: EpochStarted, context: Context): undefined {
  progressOf(context, epoch).expected = { accounts, clients }
}

/** An account starts at zero, version 0. After a balance, only owner and opening time are new. */
function openAccount(
  { id, client_id, currency, overdraft_limit, created_at }: AccountOpened,
  context: Context,
): DeadLetterReason | undefined {
  const { balances, stored } = context
  const createdAt = parseTime(created_at)
  if (!createdAt) return invalid('/created_at', noTime)
  if (!isStorable(id)) return invalid('/id', notStorable)
  if (client_id !== null && !isStorable(client_id)) return invalid('/client_id', notStorable)
  if (!isCurrency(currency)) return invalid('/currency', 'is not an ISO 4217 currency')

  const row = balances.get(id)
  const before = stored.get(id)
  const { epoch, known, epochs } = context
  const epochBefore = epochOf(row?.epoch ?? before?.epoch)
  // A balance keeps the currency it was read in.
  const accountCurrency = row?.currency ?? before?.currency
  const isOther = accountCurrency !== undefined && accountCurrency !== currency
  const start = startOf(id, context)
  const isVersionless = (row?.source ?? before?.source) === 'versionless'
  const isLost = !isVersionless && isVoid({ epoch, version: 0n }, { start, complete: known.complete })
  if (isLost || (isOther && epoch < epochBefore)) {
    epochs.voided++
    return
  }
  if (isOther && epoch === epochBefore) return currencyMismatch(id, accountCurrency, currency)
  // A restored ledger may open an account again that it had lost.
  if ((row?.opened ?? before?.opened) && (epoch === firstEpoch || epoch < epochBefore)) return
  const limit = parseMoney(overdraft_limit, currency)
  const openingLimitMinor = limit.ok ? limit.minor : null
  const opening = { clientId: client_id, opened: true, openingLimitMinor, createdAt }
  if (row && (epoch <= epochBefore || isVersionless)) Object.assign(row, opening)
  else
    balances.set(id, {
      accountId: id,
      currency,
      balanceMinor: 0n,
      heldMinor: 0n,
      status: 'open',
      overdraftLimitMinor: null,
      version: 0n,
      source: null,
      updatedAt: createdAt,
      ...opening,
      ...(epoch > firstEpoch && { epoch }),
      ...(row?.startEpoch && { startEpoch: row.startEpoch, startVersion: row.startVersion }),
    })
}

function updateBalances(payload: BalanceUpdated, context: Context): DeadLetterReason | undefined {
  const { balances, entries, timestampMs, epoch, known, epochs } = context
  const { transaction_id: transactionId = null, hold_id: holdId = null, actor = null } = payload
  const createdAt = payload.created_at === undefined ? recordTime(timestampMs) : parseTime(payload.created_at)
  if (!createdAt)
    return invalid(
      '/created_at',
      payload.created_at === undefined ? 'is missing, and the record has no timestamp' : noTime,
    )
  const isNow = payload.effective_at === undefined || payload.effective_at === payload.created_at
  const effectiveAt = isNow ? createdAt : parseTime(payload.effective_at as string)
  if (!effectiveAt) return invalid('/effective_at', noTime)
  if (transactionId !== null && !isStorable(transactionId)) return invalid('/transaction_id', notStorable)
  if (holdId !== null && !isStorable(holdId)) return invalid('/hold_id', notStorable)
  if (actor !== null && !isStorable(actor)) return invalid('/actor', notStorable)

  const updates: Update[] = []
  const sides = sidesOf(payload).filter(({ accountId, version }) => {
    if (version === undefined || !Number.isSafeInteger(version)) return true
    const start = startOf(accountId, context)
    return !isVoid({ epoch, version: BigInt(version) }, { start, complete: known.complete })
  })
  if (sides.length === 0) epochs.voided++
  for (const side of sides) {
    const update = updateOf(side, payload, context)
    if ('cause' in update) return update
    updates.push(update)
  }

  for (const { amountMinor, isEntry, ...update } of updates) {
    const { accountId, version, balanceMinor, heldMinor, status, overdraftLimitMinor } = update
    const row = balances.get(accountId)
    if (!row) balances.set(accountId, { ...update, ...unopened, createdAt, updatedAt: createdAt })
    else if (isAfter({ epoch: epochOf(update.epoch), version }, row))
      Object.assign(row, update, { updatedAt: createdAt })
    if (payload.starts_epoch !== undefined)
      startAccount({ accountId, epoch: payload.starts_epoch, version }, context)
    if (isEntry)
      entries.push({
        accountId,
        version,
        amountMinor,
        balanceMinor,
        heldMinor,
        status: status === 'open' ? null : status,
        overdraftLimitMinor,
        transactionId,
        holdId,
        actor,
        counterpartyId: updates.find((other) => other.accountId !== accountId)?.accountId ?? null,
        effectiveAt: effectiveAt === createdAt ? null : effectiveAt,
        createdAt,
        ...(update.epoch && { epoch: update.epoch }),
      })
  }
}

/** Keeps the newest start of an account, and counts the first one of each epoch. */
function startAccount(start: EpochChanges['starts'][number], context: Context): void {
  const { accountId, epoch, version } = start
  const before = startOf(accountId, context)
  if (before && before.epoch >= epoch) return
  context.starts.set(accountId, { epoch, version })
  context.epochs.starts.push(start)
  progressOf(context, epoch).accounts++
  const row = context.balances.get(accountId)
  if (row) Object.assign(row, { startEpoch: epoch, startVersion: version })
}

const unopened = { clientId: null, opened: false, openingLimitMinor: null }

/** One account after an event. */
type Update = Pick<
  BalanceRow,
  | 'accountId'
  | 'currency'
  | 'balanceMinor'
  | 'heldMinor'
  | 'status'
  | 'overdraftLimitMinor'
  | 'version'
  | 'source'
  | 'epoch'
> & {
  amountMinor: bigint | null
  isEntry: boolean
}

function updateOf(
  side: Side,
  payload: BalanceUpdated,
  { balances, stored, epoch }: Context,
): Update | DeadLetterReason {
  const { accountId, held, sign, suffix, status = 'open' } = side
  if (!isStorable(accountId)) return invalid(`/account_id_${suffix}`, notStorable)
  if (side.version !== undefined && !Number.isSafeInteger(side.version))
    return invalid(`/version_account_id_${suffix}`, 'is too large')

  const row = balances.get(accountId)
  const storedRow = stored.get(accountId)
  const accountCurrency = row?.currency ?? storedRow?.currency
  const currency = payload.currency ?? accountCurrency ?? currencyDefault
  const isOfLater = side.version !== undefined && epoch > epochOf(row?.epoch ?? storedRow?.epoch)
  if (accountCurrency !== undefined && accountCurrency !== currency && !isOfLater)
    return currencyMismatch(accountId, accountCurrency, currency)
  // At version 0 nothing has moved yet: either kind may follow.
  const source = side.version === undefined ? 'versionless' : side.version > 0 ? 'versioned' : null
  const decided = row?.source ?? storedRow?.source
  if (source && decided && source !== decided) return sourceConflict(accountId, decided)

  // Events with versions are computed in minor units, others perhaps in binary floating point.
  const read = side.version === undefined ? parseComputedMoney : parseMoney
  const money =
    side.exact === undefined ? read(side.balance, currency) : parseExact(side.exact, side.balance, currency)
  if (!money.ok) return balanceInvalid(`/balance_account_id_${suffix}`, money.detail)
  const heldMoney = held === 0 ? nothing : read(held, currency)
  if (!heldMoney.ok) return balanceInvalid(`/held_account_id_${suffix}`, heldMoney.detail)
  if (!isStorable(status)) return invalid(`/status_account_id_${suffix}`, notStorable)
  const limit = side.overdraftLimit === undefined ? undefined : read(side.overdraftLimit, currency)
  if (limit && !limit.ok) return balanceInvalid(`/overdraft_limit_account_id_${suffix}`, limit.detail)
  const amount = payload.amount === undefined ? undefined : read(payload.amount, currency)
  if (amount && !amount.ok) return balanceInvalid('/amount', amount.detail)

  const before = row && (!storedRow || row.version > storedRow.version) ? row : storedRow
  // Without a version the log order decides: one more than before.
  const version = side.version === undefined ? (before?.version ?? 0n) + 1n : BigInt(side.version)
  return {
    accountId,
    currency,
    balanceMinor: money.minor,
    heldMinor: heldMoney.minor,
    status,
    overdraftLimitMinor: limit?.minor ?? null,
    version,
    source,
    ...(side.version !== undefined && epoch > firstEpoch && { epoch }),
    amountMinor:
      amount && payload.account_id_from !== payload.account_id_to
        ? sign * amount.minor
        : before && before.balanceMinor !== null && before.version === version - 1n
          ? money.minor - before.balanceMinor
          : null,
    // A hold does not change the payee: its state here belongs to another event's version.
    isEntry: version > 0n && !(suffix === 'to' && amount?.minor === 0n),
  }
}

/** The exact text of a balance has to agree with the number beside it. */
function parseExact(text: string, nearest: number, currency: string): ParsedMoney {
  const money = parseMoney(text, currency, wideMinorMax)
  return money.ok && moneyNumber(money.minor, currency) !== nearest
    ? { ok: false, detail: `is ${nearest}, which is not the number nearest to ${text}` }
    : money
}

const nothing = { ok: true, minor: 0n } as const

const currencyMismatch = (
  accountId: string,
  accountCurrency: string,
  currency: string,
): DeadLetterReason => ({
  cause: 'currency_mismatch',
  detail: `account ${accountId} is in ${accountCurrency}, but this event is in ${currency}`,
})

/** The detail names the remedy. */
const sourceConflict = (accountId: string, decided: Source): DeadLetterReason => ({
  cause: 'source_conflict',
  detail:
    decided === 'versioned'
      ? `account ${accountId} is moved by events with versions; ` +
        'a service that sends none needs accounts of its own'
      : `account ${accountId} is moved by records without versions, which came first; ` +
        'the wallet needs another account',
})

const balanceInvalid = (path: string, detail: string): DeadLetterReason => ({
  cause: 'balance_invalid',
  detail: `${path}: ${detail}`,
})

const noTime = 'is not an RFC 3339 time'

const invalid = (path: string, detail: string): DeadLetterReason => ({
  cause: 'payload_invalid',
  detail: `${path}: ${detail}`,
})
