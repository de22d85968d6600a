/** Where a transaction is: what it has passed, where it waits, since when, and what will free it. Pure. */
import type { Hops } from '../lanes.ts'
import {
  balanceEventsOf,
  type Facts,
  isReached,
  type Place,
  type RecordOutcome,
  type Reply,
} from './facts.ts'

export const stationNames = ['committed', 'published', 'applied', 'visible'] as const
export type StationName = (typeof stationNames)[number]

export type Station = {
  name: StationName
  /** `unknown`: a service does not say. `ahead`: an earlier one comes first. */
  state: 'passed' | 'waits' | 'failed' | 'ahead' | 'unknown'
  /** Milliseconds since 1970, where known. */
  atMs: number | null
}

/** Why it is not further. */
export type Cause =
  | { kind: 'not_found' }
  /** A service gives no answer, or none that says it. */
  | { kind: 'silent'; service: 'wallet' | 'balances' }
  | { kind: 'refused'; service: 'wallet' | 'balances'; status: number; detail: string }
  /** No process publishes. */
  | { kind: 'relay' }
  /** It does not answer the service that needs it next. */
  | { kind: 'broker'; service: 'wallet' | 'balances' }
  /** It will go on by itself in a moment, unless there is a `detail`. */
  | { kind: 'sending'; detail: string | null }
  | { kind: 'paused' }
  | { kind: 'dead_letter'; id: string; cause: string; detail: string; isShown: boolean }
  | { kind: 'consumer'; detail: string }
  /** Records of its partition come first; 0 where it is the next one. */
  | { kind: 'behind'; records: number }

export type Whereabouts = {
  stations: Station[]
  /** Undefined once it has passed all, and while nothing is known. */
  waitsAt: StationName | undefined
  sinceMs: number | null
  cause: Cause | undefined
  /** The record that it waits as, or was last seen as. */
  place: Place | undefined
  isDone: boolean
}

type Waiting = {
  at: StationName
  cause: Cause
  sinceMs: number | null
  place?: Place | undefined
  isFailed?: true
}

/** `hops` are of the live flow, where the page has seen it there. */
export function whereIs(facts: Facts, hops?: Hops): Whereabouts {
  const isVisible = facts.versions.length > 0 && facts.versions.every(isReached)
  const waiting = findWaiting(facts, isVisible)
  const times = timesOf(facts, hops)
  const reached = waiting ? stationNames.indexOf(waiting.at) : stationNames.length
  const stations = stationNames.map((name, index): Station => {
    const atMs = times[name]
    if (index < reached) return { name, state: 'passed', atMs }
    if (name === 'visible' && isVisible) return { name, state: 'passed', atMs }
    if (index > reached) return { name, state: 'ahead', atMs: null }
    if (waiting?.isFailed) return { name, state: 'failed', atMs: null }
    return { name, state: isUnknown(waiting?.cause) ? 'unknown' : 'waits', atMs: null }
  })
  return {
    stations,
    waitsAt: waiting?.at,
    sinceMs: waiting?.sinceMs ?? null,
    cause: waiting?.cause,
    place: waiting?.place ?? facts.records.at(-1)?.place,
    isDone: waiting === undefined,
  }
}

const isUnknown = (cause: Cause | undefined): boolean =>
  cause?.kind === 'silent' || cause?.kind === 'refused' || cause?.kind === 'not_found'

/** Undefined where it waits for nothing any more. */
function findWaiting(facts: Facts, isVisible: boolean): Waiting | undefined {
  const { delivery } = facts.known
  if (!delivery && facts.records.length === 0)
    return { at: 'committed', cause: unanswered('wallet', facts.delivery), sinceMs: null }
  const committedMs = delivery ? Date.parse(delivery.committed_at) : null
  const letter = findLetter(facts, isVisible)
  if (letter) return letter
  if (delivery?.status === 'pending')
    return { at: 'published', cause: publishCause(facts), sinceMs: committedMs }
  const open = facts.records.find(({ reply }) => !isApplied(reply))
  const publishedMs = lastPublishedMs(facts) ?? committedMs
  if (open)
    return {
      at: 'applied',
      cause: applyCause(open.reply, open.place),
      sinceMs: publishedMs,
      place: open.place,
    }
  if (isVisible) return undefined
  // Where the place of the record is no longer noted, balances only say whether they show it.
  const at = facts.records.length > 0 ? 'visible' : 'applied'
  const hidden = facts.versions.find((one) => !isReached(one))
  if (!hidden) return { at, cause: unanswered('wallet', facts.transaction), sinceMs: publishedMs }
  const cause = hidden.reply.kind === 'answer' ? behind(0) : unanswered('balances', hidden.reply)
  return { at, cause, sinceMs: publishedMs }
}

const isApplied = (reply: Reply<RecordOutcome>): boolean => reply.kind === 'answer' && reply.body.applied

function findLetter({ records }: Facts, isShown: boolean): Waiting | undefined {
  for (const { place, reply } of records) {
    if (reply.kind !== 'answer' || !reply.body.dead_letter) continue
    const { id, cause, detail, recorded_at: recordedAt } = reply.body.dead_letter
    return {
      at: 'applied',
      cause: { kind: 'dead_letter', id, cause, detail, isShown },
      sinceMs: Date.parse(recordedAt),
      place,
      isFailed: true,
    }
  }
}

function publishCause({ delivery }: Facts): Cause {
  if (delivery.kind !== 'answer') return unanswered('wallet', delivery)
  const { cause, detail = null } = delivery.body.waits_for ?? {}
  if (cause === 'relay') return { kind: 'relay' }
  if (cause === 'broker') return { kind: 'broker', service: 'wallet' }
  return { kind: 'sending', detail }
}

function applyCause(reply: Reply<RecordOutcome>, { offset }: Place): Cause {
  if (reply.kind !== 'answer') return unanswered('balances', reply)
  const { paused, consumer, end_offset: end, next_offset: next } = reply.body
  if (paused) return { kind: 'paused' }
  if (end === null && consumer.status !== 'pass') return { kind: 'broker', service: 'balances' }
  if (consumer.status !== 'pass') return { kind: 'consumer', detail: consumer.output ?? '' }
  return behind(next === null ? 0 : Math.max(0, offset - next))
}

const behind = (records: number): Cause => ({ kind: 'behind', records })

function unanswered(service: 'wallet' | 'balances', reply: Reply<unknown>): Cause {
  if (reply.kind !== 'refused') return { kind: 'silent', service }
  const { status, detail } = reply
  if (service === 'wallet' && status === 404) return { kind: 'not_found' }
  return { kind: 'refused', service, status, detail }
}

function timesOf({ known }: Facts, hops: Hops | undefined): Record<StationName, number | null> {
  const { delivery } = known
  return {
    // The time of the delivery is the one of the decision, by another clock.
    committed:
      hops?.appended ?? (delivery ? Math.max(Date.parse(delivery.committed_at), hops?.decided ?? 0) : null),
    published: hops?.published ?? lastPublishedMs({ known }),
    applied: hops?.applied ?? null,
    visible: hops?.visible ?? null,
  }
}

function lastPublishedMs({ known }: Pick<Facts, 'known'>): number | null {
  const times = balanceEventsOf(known.delivery).map(({ published_at: at }) =>
    at === null ? 0 : Date.parse(at),
  )
  const last = Math.max(0, ...times)
  return last > 0 ? last : null
}
