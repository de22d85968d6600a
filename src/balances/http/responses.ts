/** What callers of the read side get: how balances, entries, large movements and dead letters are shown. */
import { presentMoney, type ShownMoney } from '../../contract/money'
import type { ServerEvent } from '../../platform/http/event-stream'
import type { DeadLetterGroup, ListedLetter } from '../dead-letters/dead-letters-store'
import { type RedrivenLetter, redriveOutcomes } from '../dead-letters/redrive'
import type { Balance } from '../queries/balances-store'
import type { AccountEntry, Entry } from '../queries/entries-store'
import type { BalanceAt, Clock, Line } from '../queries/history'
import type { LargeMovement } from '../reactions/large-movements-store'
import type { RebuildProgress } from '../rebuild/coordinator'
import type { StreamEncoder } from '../streams/streams'

export const presentBalance = (balance: Balance) => ({
  id: balance.accountId,
  account_id: balance.accountId,
  ...presentHoldings(balance, balance.currency),
  currency: balance.currency,
  version: Number(balance.version),
  client_id: balance.clientId,
  owner_name: balance.ownerName,
  created_at: balance.createdAt,
  updated_at: balance.updatedAt,
})

const presentHoldings = (
  { balanceMinor, heldMinor }: Pick<Balance, 'balanceMinor' | 'heldMinor'>,
  currency: string,
) => ({
  balance: presentMoney(balanceMinor, currency),
  held: presentMoney(heldMinor, currency),
  available: presentMoney(balanceMinor - heldMinor, currency),
})

/**
 * Holds count from when they were placed and from no other time, so what was held is told by the
 * time of writing alone.
 */
export function presentBalanceAt(
  { accountId, currency }: Balance,
  balance: BalanceAt,
  at: string,
  clock: Clock,
) {
  const { balanceMinor, heldMinor, version, complete } = balance
  return {
    id: accountId,
    account_id: accountId,
    at,
    time: clock,
    balance: money(balanceMinor, currency),
    ...(clock === 'effective'
      ? {}
      : {
          held: money(heldMinor, currency),
          available:
            balanceMinor === null || heldMinor === null ? null : money(balanceMinor - heldMinor, currency),
          version: Number(version),
        }),
    currency,
    complete,
  }
}

export const presentLine = (line: Line, currency: string) =>
  'gap' in line
    ? {
        gap: {
          from_version: Number(line.gap.fromVersion),
          to_version: Number(line.gap.toVersion),
          amount: money(line.gap.amountMinor, currency),
        },
      }
    : presentEntry(line.entry, currency)

const presentEntry = (entry: Entry, currency: string) => ({
  version: Number(entry.version),
  amount: money(entry.amountMinor, currency),
  ...presentHoldings(entry, currency),
  transaction_id: entry.transactionId,
  hold_id: entry.holdId,
  counterparty_account_id: entry.counterpartyId,
  effective_at: entry.effectiveAt ?? entry.createdAt,
  created_at: entry.createdAt,
})

const balanceEvent = (id: string | bigint, entry: AccountEntry): ServerEvent => ({
  event: 'balance',
  id: String(id),
  data: { account_id: entry.accountId, currency: entry.currency, ...presentEntry(entry, entry.currency) },
})

/** Entries as in the statement. A snapshot has the shape of an entry, without the movement that led to it. */
export const streamEncoder: StreamEncoder = {
  balance: balanceEvent,
  snapshot: (balance) =>
    balanceEvent(balance.version, {
      ...balance,
      amountMinor: null,
      transactionId: null,
      holdId: null,
      counterpartyId: null,
      effectiveAt: null,
      createdAt: balance.updatedAt,
    }),
  gap: (accountId, from, to) => ({
    event: 'gap',
    id: String(to),
    data: { account_id: accountId, from_version: Number(from), to_version: Number(to) },
  }),
  reset: (id, path) => ({ event: 'reset', id, data: { load: path } }),
}

export const money = (minor: bigint | null, currency: string): ShownMoney =>
  minor === null ? null : presentMoney(minor, currency)

export const presentLargeMovement = (movement: LargeMovement) => ({
  transaction_id: movement.transactionId,
  account_id_from: movement.accountIdFrom,
  account_id_to: movement.accountIdTo,
  amount: presentMoney(movement.amountMinor, movement.currency),
  currency: movement.currency,
  reference: movement.reference,
  created_at: movement.createdAt,
})

/**
 * Key and value are shown as text where they are text, else in base64: what cannot be read need not
 * be UTF-8. `href` has the whole letter.
 */
export const presentDeadLetter = (letter: ListedLetter) => ({
  id: String(letter.id),
  topic: letter.topic,
  partition: letter.partition,
  offset: Number(letter.recordOffset),
  offset_last: letter.lastOffset === null ? null : Number(letter.lastOffset),
  cause: letter.cause,
  detail: letter.detail,
  ...presentBytes('key', letter.key, letter.cut?.keyBytes),
  ...presentBytes('value', letter.value, letter.cut?.valueBytes),
  key_bytes: letter.cut ? letter.cut.keyBytes : (letter.key?.length ?? null),
  value_bytes: letter.cut ? letter.cut.valueBytes : (letter.value?.length ?? null),
  truncated: letter.cut !== undefined,
  href: `/dead-letters/${letter.id}`,
  headers: letter.headers.map(([name, value]) => ({
    ...presentBytes('name', name),
    ...presentBytes('value', value),
  })),
  record_at: letter.recordAt,
  recorded_at: letter.recordedAt,
  attempts: letter.attempts,
  sent_at: letter.sentAt,
})

export const presentDeadLetterGroup = (group: DeadLetterGroup) => ({
  cause: group.cause,
  topic: group.topic,
  count: group.count,
  first_recorded_at: group.firstAt,
  last_recorded_at: group.lastAt,
  example_id: String(group.exampleId),
})

/** What a database says may quote what was sent. */
const reasonLengthMax = 500

export const presentRedrive = (letters: RedrivenLetter[], dryRun: boolean) => ({
  dry_run: dryRun,
  counts: Object.fromEntries(
    redriveOutcomes.map((outcome) => [
      outcome,
      letters.filter((letter) => letter.outcome === outcome).length,
    ]),
  ),
  data: letters.map(({ id, outcome, reason }) => ({
    id: String(id),
    outcome,
    cause: reason?.cause ?? null,
    detail: reason?.detail.slice(0, reasonLengthMax) ?? null,
  })),
})

function presentBytes<Name extends 'key' | 'name' | 'value'>(
  name: Name,
  bytes: Buffer | null,
  /** Of the whole, where `bytes` may be only its beginning. */
  length: number | null = null,
): Record<string, string | null> {
  if (!bytes) return { [name]: null }
  // A character may have been cut through.
  const cuts = (length ?? 0) > bytes.length ? [0, 1, 2, 3] : [0]
  for (const cut of cuts) {
    const part = bytes.subarray(0, bytes.length - cut)
    const text = part.toString('utf8')
    if (Buffer.from(text).equals(part)) return { [name]: text }
  }
  return { [`${name}_base64`]: bytes.toString('base64') }
}

/** Of a rebuild that never was, only that. Rate and time left are averages since it began. */
export function presentRebuild(progress: RebuildProgress | undefined) {
  if (!progress) return { state: 'none' }
  const { done, total, elapsedMs, divergence } = progress
  const perSecond = (Number(done) * 1000) / elapsedMs
  return {
    state: progress.state,
    records: { done: Number(done), total: Number(total) },
    per_second: Math.round(perSecond),
    seconds_left: done > 0n ? Math.ceil(Number(total - done) / perSecond) : null,
    divergence: divergence && {
      accounts: divergence.accounts,
      entries: divergence.entries,
      clients: divergence.clients,
      accounts_added: divergence.accountsAdded,
      entries_added: divergence.entriesAdded,
      examples: divergence.examples,
    },
    message: progress.message,
    manual: progress.manual,
    force: progress.force,
    started_at: progress.startedAt,
    ended_at: progress.endedAt,
  }
}
