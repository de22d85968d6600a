/** What both services say of a transaction, asked again and again. Runs in the page and in tests. */

/** Undefined where there is no answer. */
export type Ask = (
  service: 'wallet' | 'balances',
  path: string,
) => Promise<{ status: number; body: unknown } | undefined>

export type Reply<T> =
  | { kind: 'answer'; body: T }
  | { kind: 'refused'; status: number; detail: string }
  | { kind: 'silent' }

/** Of `GET /transactions/{id}`. Postings have a pair of accounts each. */
export type Transaction = Leg & { id: string; amount?: unknown; currency?: string; postings?: Leg[] }

type Leg = {
  account_id_from: string
  account_id_to: string
  version_account_id_from: number
  version_account_id_to: number
}

/** Of `GET /transactions/{id}/delivery`. */
export type Delivery = {
  committed_at: string
  status: 'pending' | 'published'
  events: {
    name: string
    leg: number | null
    topic: string
    status: 'pending' | 'published'
    partition: number | null
    offset: number | null
    published_at: string | null
  }[]
  waits_for: { cause: 'relay' | 'broker' | 'send'; detail: string | null } | null
}

/** Of `GET /console/records/{topic}/{partition}/{offset}`. */
export type RecordOutcome = {
  applied: boolean
  next_offset: number | null
  end_offset: number | null
  dead_letter: { id: string; cause: string; detail: string; recorded_at: string } | null
  paused: boolean
  consumer: { status: 'pass' | 'warn' | 'fail'; output: string | null }
}

export type Place = { topic: string; partition: number; offset: number }
export type RecordFact = { place: Place; reply: Reply<RecordOutcome> }
/** Whether balances shows the version of an account that the transaction led to. */
export type VersionFact = { account: string; version: number; reply: Reply<{ version: number }> }

export type Facts = {
  /** The last answer of each, and what it says now. */
  transaction: Reply<Transaction>
  delivery: Reply<Delivery>
  known: { transaction?: Transaction; delivery?: Delivery }
  records: RecordFact[]
  versions: VersionFact[]
}

/** Of the postings of a transaction so many are followed, the last ones. */
export const legsMax = 20

/**
 * What is known from before and cannot change is not asked again. `seen` is a record of the transaction, as
 * the live flow names it: for as long as the wallet does not.
 */
export async function askFacts(
  ask: Ask,
  id: string,
  { before, seen }: { before?: Facts | undefined; seen?: Place | undefined } = {},
): Promise<Facts> {
  const path = `/transactions/${encodeURIComponent(id)}`
  const isDelivered = before?.known.delivery?.status === 'published'
  const [transaction, delivery] = await Promise.all([
    before?.known.transaction ? answerOf(before.known.transaction) : reply<Transaction>(ask('wallet', path)),
    isDelivered ? before.delivery : reply<Delivery>(ask('wallet', `${path}/delivery`)),
  ])
  const known = {
    ...before?.known,
    ...(transaction.kind === 'answer' && { transaction: transaction.body }),
    ...(delivery.kind === 'answer' && { delivery: delivery.body }),
  }
  const places = known.delivery ? placesOf(known.delivery) : seen ? [seen] : []
  const [records, versions] = await Promise.all([
    Promise.all(places.map((place) => askRecord(ask, place, before))),
    Promise.all(versionsOf(known.transaction).map((wanted) => askVersion(ask, wanted, before))),
  ])
  return { transaction, delivery, known, records, versions }
}

/** Of the events that balances are made from. */
const placesOf = (delivery: Delivery | undefined): Place[] =>
  balanceEventsOf(delivery).flatMap(({ topic, partition, offset }) =>
    partition === null || offset === null ? [] : { topic, partition, offset },
  )

export const balanceEventsOf = (delivery: Delivery | undefined) =>
  (delivery?.events ?? []).filter(({ name }) => name === 'BalanceUpdated').slice(-legsMax)

/** The last of each account. */
function versionsOf(transaction: Transaction | undefined): { account: string; version: number }[] {
  if (!transaction) return []
  const newest = new Map<string, number>()
  for (const leg of (transaction.postings ?? [transaction]).slice(-legsMax)) {
    newest.set(leg.account_id_from, leg.version_account_id_from)
    newest.set(leg.account_id_to, leg.version_account_id_to)
  }
  return Array.from(newest, ([account, version]) => ({ account, version }))
}

async function askRecord(ask: Ask, place: Place, before?: Facts): Promise<RecordFact> {
  const { topic, partition, offset } = place
  const last = before?.records.find((one) => isSame(one.place, place))
  if (last?.reply.kind === 'answer' && last.reply.body.applied) return last
  const path = `/console/records/${encodeURIComponent(topic)}/${partition}/${offset}`
  return { place, reply: await reply<RecordOutcome>(ask('balances', path)) }
}

async function askVersion(
  ask: Ask,
  wanted: { account: string; version: number },
  before?: Facts,
): Promise<VersionFact> {
  const last = before?.versions.find(({ account }) => account === wanted.account)
  if (last && isReached(last)) return last
  const path = `/balances/${encodeURIComponent(wanted.account)}`
  return { ...wanted, reply: await reply<{ version: number }>(ask('balances', path)) }
}

export const isReached = ({ version, reply }: VersionFact): boolean =>
  reply.kind === 'answer' && reply.body.version >= version

const isSame = (one: Place, other: Place): boolean =>
  one.topic === other.topic && one.partition === other.partition && one.offset === other.offset

const answerOf = <T>(body: T): Reply<T> => ({ kind: 'answer', body })

async function reply<T>(asking: ReturnType<Ask>): Promise<Reply<T>> {
  const answer = await asking
  if (!answer) return { kind: 'silent' }
  const { status, body } = answer
  const isObject = typeof body === 'object' && body !== null
  if (status >= 200 && status < 300 && isObject) return { kind: 'answer', body: body as T }
  const { detail, title } = (isObject ? body : {}) as { detail?: string; title?: string }
  return { kind: 'refused', status, detail: detail ?? title ?? '' }
}
