/**
 * What happens in balances, as it happens: one stream for all views, open while one of them follows it.
 * Updates are handed on once for each frame, so that a fast stream does not block the page.
 */
import { useEffect } from 'preact/hooks'
import { follow } from './api.ts'
import { createState, type State, useValue } from './state.ts'

/** Of a record that was taken up, and the movement that it is about. */
export type Lane = {
  transaction_id: string | null
  /** Of the event. */
  name: string
  trace_id: string | null
  amount: string | null
  currency: string | null
  account_id_from: string | null
  account_id_to: string | null
  topic: string | null
  partition: number | null
  offset: number | null
  outcome: 'applied' | 'repeated' | 'superseded' | 'dead_letter'
  dead_letter: { id: string | null; cause: string; detail: string } | null
  hops: Hops
}

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

/** Once a second. */
export type Sample = {
  /** When it was taken, RFC 3339. */
  at: string
  events_per_second: number
  /** Of those, how many were sent as lanes. */
  shown: number
  sampled: boolean
  lag: { topic: string; partition: number; records: number; oldest_age_seconds: number | null }[]
  /** From the decision of the wallet until it was applied, in the last second. */
  latency_ms: { p50: number; p99: number } | null
  dead_letters: number
  paused: boolean
  streams: number
  rebuild: { state: string; progress: number | null } | null
}

/** A lane with an id that is unique on this page. */
export type KeptLane = Lane & { key: string }

export type Live = {
  isOpen: boolean
  /** Newest first. */
  lanes: readonly KeptLane[]
  /** Oldest first: one for each second of the last minutes. */
  samples: readonly Sample[]
}

const [lanesMax, samplesMax] = [300, 600]

const live: State<Live> = createState<Live>({ isOpen: false, lanes: [], samples: [] })
let users = 0
let ending: AbortController | undefined

/** In a component: the stream is open while any component uses this. */
export function useLive(): Live {
  useEffect(() => {
    if (users++ === 0) open()
    return () => {
      if (--users === 0) ending?.abort()
    }
  }, [])
  return useValue(live)
}

function open(): void {
  ending = new AbortController()
  const { signal } = ending
  const setOpen = (isOpen: boolean) => {
    if (!signal.aborted) live.set({ ...live.get(), isOpen })
  }
  read(signal, setOpen)
    // A refusal, such as that of a missing key: the page asks for one, and opens it again.
    .catch(() => setOpen(false))
}

/** After a key was given. */
export function reopenLive(): void {
  if (users === 0) return
  ending?.abort()
  open()
}

async function read(signal: AbortSignal, onState: (isOpen: boolean) => void): Promise<void> {
  let waiting: { lanes: KeptLane[]; samples: Sample[] } | undefined
  const flush = () => {
    if (!waiting || signal.aborted) return
    const { lanes, samples } = waiting
    waiting = undefined
    const current = live.get()
    live.set({
      ...current,
      lanes: lanes.length > 0 ? [...lanes.reverse(), ...current.lanes].slice(0, lanesMax) : current.lanes,
      samples: samples.length > 0 ? [...current.samples, ...samples].slice(-samplesMax) : current.samples,
    })
  }
  for await (const { event, id, data } of follow('/console/flow', { signal, onState })) {
    if (event !== 'lane' && event !== 'sample') continue
    // A hidden page gets no frames.
    if (!waiting) setTimeout(flush, 50)
    waiting ??= { lanes: [], samples: [] }
    if (event === 'lane') waiting.lanes.push({ ...(data as Lane), key: id || crypto.randomUUID() })
    else waiting.samples.push(data as Sample)
  }
}
