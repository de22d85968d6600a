/** Lanes of the live flow: what became of a record, and when. Pure. */
import type { BalanceUpdated } from '../../contract/events/events'
import { currencyDefault, parseMoney } from '../../contract/money'
import type { Decoded } from '../../contract/wire/envelope'
import { timelineOf } from '../../contract/wire/timeline'
import { traceparentOf } from '../../platform/kafka/process-spans'
import { traceIdOf } from '../../platform/telemetry/trace'
import { entryKey, type Observation, type ObservedOrigin } from '../projection/observation'
import { sidesOf } from '../projection/sides'
import type { DeadLetterReason } from '../projection/types'
import type { AppliedEntry, DeadLetterRow, Place } from './flow-store'

/** In the order in which a transfer passes them. */
export const hopNames = [
  'requested',
  'decided',
  'appended',
  'published',
  'received',
  'applied',
  'visible',
] as const
/** Milliseconds since 1970, with at most one decimal. Null where unknown. */
export type Hops = Record<(typeof hopNames)[number], number | null>

const noHops = Object.fromEntries(hopNames.map((name) => [name, null])) as Hops

export const outcomes = ['applied', 'repeated', 'skipped', 'dead_letter'] as const
export type Outcome = (typeof outcomes)[number]

export type Lane = {
  /** The same for all that is known of one movement, also from the tables. */
  key: string
  name: string | null
  transactionId: string | null
  holdId: string | null
  traceId: string | null
  amountMinor: bigint | null
  currency: string | null
  accountIdFrom: string | null
  accountIdTo: string | null
  /** Null where it is known from the tables only: another process has applied it, or it is older. */
  place: Place | null
  outcome: Outcome
  deadLetter: { id: bigint | null; cause: string; detail: string } | null
  hops: Hops
}

/** A record that was applied, before it is known whether it is shown. */
export type Candidate = {
  origin: ObservedOrigin
  decoded: Decoded | undefined
  outcome: Outcome
  reason: DeadLetterReason | undefined
}

/** All records of an apply, in their order. */
export function candidatesOf({ readings, dead, entries, recorded }: Observation): Candidate[] {
  const reasons = new Map(dead.map(({ origin, reason }) => [origin, reason]))
  const repeated = repeatedIn(entries, recorded)
  const candidates = readings.map(({ decoded, origin }): Candidate => {
    const reason = reasons.get(origin)
    reasons.delete(origin)
    const outcome = reason ? 'dead_letter' : outcomeOf(decoded, repeated)
    return { origin, decoded, outcome, reason }
  })
  for (const [origin, reason] of reasons)
    candidates.push({ origin, decoded: undefined, outcome: 'dead_letter', reason })
  return candidates
}

type Counts = Map<string, { new: number; all: number }>

/** Undefined where none is repeated. */
function repeatedIn(entries: Observation['entries'], recorded: readonly string[] | undefined) {
  if (!recorded || recorded.length === entries.length) return undefined
  const counts: Counts = new Map()
  for (const entry of entries) {
    const key = entryKey(entry)
    const count = counts.get(key) ?? { new: 0, all: 0 }
    counts.set(key, count)
    count.all++
  }
  for (const key of recorded) {
    const count = counts.get(key)
    if (count) count.new++
  }
  return counts
}

/** Where one transaction has the same entry twice, the first one was new. */
function outcomeOf(decoded: Decoded, counts: Counts | undefined): Outcome {
  if (decoded.kind !== 'event') return 'skipped'
  if (!counts || decoded.event.name !== 'BalanceUpdated') return 'applied'
  const found = sidesOf(decoded.event.payload).flatMap(({ accountId, version }) =>
    version === undefined ? [] : (counts.get(entryKey({ accountId, version: BigInt(version) })) ?? []),
  )
  const isNew = found.length === 0 || found.some((count) => count.new > 0)
  for (const count of found) count.new = Math.max(0, count.new - 1)
  return isNew ? 'applied' : 'repeated'
}

/** The account that an event is about which moves nothing. */
function accountIn(decoded: Decoded | undefined): string | null {
  if (decoded?.kind !== 'event') return null
  const { name, payload } = decoded.event
  return name === 'AccountOpened' || name === 'AccountUpdated' ? payload.id : null
}

const updateIn = (decoded: Decoded | undefined): BalanceUpdated | undefined =>
  decoded?.kind === 'event' && decoded.event.name === 'BalanceUpdated' ? decoded.event.payload : undefined

export function isAbout({ decoded }: Candidate, accountId: string): boolean {
  const update = updateIn(decoded)
  if (!update) return accountIn(decoded) === accountId
  return update.account_id_from === accountId || update.account_id_to === accountId
}

/** When the ledger decided on it, by the wallet's clock. */
export function decidedMs({ decoded }: Candidate): number | null {
  if (decoded?.kind !== 'event') return null
  const ms = Date.parse(decoded.event.payload.created_at ?? '')
  return Number.isNaN(ms) ? null : ms
}

/** `originMs`: the time of day when `performance.now` was 0. */
export function laneOf(
  candidate: Candidate,
  { receivedMs, appliedMs, visibleMs }: Pick<Observation, 'receivedMs' | 'appliedMs' | 'visibleMs'>,
  originMs: number,
): Lane {
  const { origin, decoded, outcome, reason } = candidate
  const { record, partition: of } = origin
  const update = updateIn(decoded)
  const currency = update ? (update.currency ?? (update.amount === undefined ? null : currencyDefault)) : null
  const amount = currency === null ? undefined : parseMoney(update?.amount, currency)
  const traceparent = traceparentOf(record)
  const timeline = timelineOf(record)
  const place = { topic: of.topic, partition: of.partition, offset: record.offset }
  const transactionId = update?.transaction_id ?? null
  const isMovement = outcome === 'applied' && update && transactionId !== null
  return {
    key: isMovement
      ? movementKey(transactionId, update.account_id_from, update.account_id_to)
      : placeKey(place),
    name: decoded?.kind === 'event' ? decoded.event.name : decoded?.kind === 'unknown' ? decoded.name : null,
    transactionId,
    holdId: update?.hold_id ?? null,
    traceId: traceparent === undefined ? null : traceIdOf(traceparent),
    amountMinor: amount?.ok ? amount.minor : null,
    currency,
    accountIdFrom: update?.account_id_from ?? null,
    accountIdTo: update?.account_id_to ?? accountIn(decoded),
    place,
    outcome,
    deadLetter: reason ? { id: null, cause: reason.cause, detail: reason.detail } : null,
    hops: {
      requested: timeline?.requested ?? null,
      decided: timeline?.decided ?? decidedMs(candidate),
      appended: timeline?.appended ?? null,
      published: timeline?.published ?? null,
      received: tenths(originMs + receivedMs),
      applied: tenths(originMs + appliedMs),
      // A dead letter changes nothing that could be read.
      visible: outcome === 'dead_letter' ? null : tenths(originMs + visibleMs),
    },
  }
}

export const placeKey = ({ topic, partition, offset }: Place): string => `${topic} ${partition} ${offset}`

const tenths = (ms: number): number => Math.round(ms * 10) / 10

/** Both accounts have an entry of it, each with the other as its counterparty. */
const movementKey = (transactionId: string, one: string, other: string): string =>
  `${transactionId} ${one < other ? `${one} ${other}` : `${other} ${one}`}`

/** Lanes of movements by their entries, in the same order. */
export function lanesOfEntries(entries: readonly AppliedEntry[]): Lane[] {
  const lanes = new Map<string, Lane>()
  for (const entry of entries) {
    const { accountId, counterpartyId, transactionId, version, currency, amountMinor } = entry
    const other = counterpartyId ?? accountId
    const key =
      transactionId === null ? `${accountId} ${version}` : movementKey(transactionId, accountId, other)
    if (lanes.has(key)) continue
    const isPaid = (amountMinor ?? 0n) > 0n
    lanes.set(key, {
      key,
      name: 'BalanceUpdated',
      transactionId,
      holdId: entry.holdId,
      traceId: null,
      amountMinor: amountMinor === null ? null : amountMinor < 0n ? -amountMinor : amountMinor,
      currency,
      accountIdFrom: isPaid ? other : accountId,
      accountIdTo: isPaid ? accountId : counterpartyId,
      place: null,
      outcome: 'applied',
      deadLetter: null,
      hops: {
        ...noHops,
        decided: Date.parse(entry.createdAt),
        applied: entry.appliedAt === null ? null : Date.parse(entry.appliedAt),
      },
    })
  }
  return [...lanes.values()]
}

/** Of a dead letter that another process has stored, or that was there before. */
export const laneOfDeadLetter = ({ id, cause, detail, recordedAt, ...place }: DeadLetterRow): Lane => ({
  key: placeKey(place),
  name: null,
  transactionId: null,
  holdId: null,
  traceId: null,
  amountMinor: null,
  currency: null,
  accountIdFrom: null,
  accountIdTo: null,
  place,
  outcome: 'dead_letter',
  deadLetter: { id, cause, detail },
  hops: { ...noHops, applied: Date.parse(recordedAt) },
})
