/** Lanes of the flow, as the stream has them. Pure. */

/** In the order in which they come. */
export const hopNames = [
  'requested',
  'decided',
  'appended',
  'published',
  'received',
  'applied',
  'visible',
] as const
export type HopName = (typeof hopNames)[number]
/** Milliseconds since 1970; null where it is not known. */
export type Hops = Readonly<Record<HopName, number | null>>

/** Of a record that was taken up, and the movement that it is about. */
export type Lane = {
  /** The same for all that is known of one movement. */
  key: string
  /** Of the event. */
  name: string | null
  transaction_id: string | null
  hold_id: string | null
  trace_id: string | null
  amount: string | null
  currency: string | null
  account_id_from: string | null
  account_id_to: string | null
  /** Null where it is from the tables: another process has applied it, or it is older than the page. */
  topic: string | null
  partition: number | null
  offset: number | null
  outcome: 'applied' | 'repeated' | 'skipped' | 'dead_letter'
  dead_letter: { id: string | null; cause: string; detail: string } | null
  hops: Hops
}

/** The newest first, each key once. Lanes that stay the same are the same objects. */
export function mergeLanes(kept: readonly Lane[], arrived: readonly Lane[], max: number): readonly Lane[] {
  if (arrived.length === 0) return kept
  const lanes = new Map(kept.map((lane) => [lane.key, lane]))
  for (const lane of arrived) {
    const known = lanes.get(lane.key)
    lanes.set(lane.key, known ? mergeTwo(known, lane) : lane)
  }
  return [...lanes.values()].sort(byAge).slice(0, max)
}

/** Those that were applied together are in the order in which they were decided. */
const byAge = (one: Lane, other: Lane): number =>
  momentOf(other) - momentOf(one) || (other.hops.decided ?? 0) - (one.hops.decided ?? 0)

function mergeTwo(known: Lane, later: Lane): Lane {
  const isLess = known.topic !== null && later.topic === null
  const [more, less] = isLess ? [known, later] : [later, known]
  const hops = Object.fromEntries(hopNames.map((name) => [name, more.hops[name] ?? less.hops[name]])) as Hops
  return { ...more, hops }
}

/** By the clock of balances, where it is known. */
export const momentOf = ({ hops }: Lane): number =>
  hops.applied ?? hops.received ?? hops.published ?? hops.decided ?? 0
