/**
 * What happens in balances, as it happens: one stream for all views with the same filter, open while one of
 * them follows it. Updates are handed on together, so that a fast stream does not block the page.
 */
import { useEffect } from 'preact/hooks'
import { CallFailed, follow, problemOf } from './api.ts'
import { type Lane, mergeLanes } from './lanes.ts'
import { createState, type State, useValue } from './state.ts'

/** Once a second. What is not known is null. */
export type Sample = {
  /** When it was taken, RFC 3339. */
  at: string
  /** Since the sample before. */
  seconds: number
  /** That were applied since then. */
  records: number
  events_per_second: number
  /** Records that the filter lets through, and those of them that were sent as lanes. */
  offered: number
  shown: number
  sampled: boolean
  /** That other processes have applied. */
  entries_elsewhere: number
  lag: readonly PartitionLag[] | null
  /** From the decision of the wallet until it was applied, in the last second. */
  latency_ms: { p50: number; p99: number } | null
  dead_letters: number | null
  paused: boolean
  streams: number
  rebuild: { state: string; progress: number | null } | null
}

export type PartitionLag = {
  topic: string
  partition: number
  records: number
  oldest_age_seconds: number | null
}

export type Live = {
  isOpen: boolean
  /** Why it was refused, if it was. */
  error?: unknown
  /** Newest first. */
  lanes: readonly Lane[]
  /** Oldest first: one for each second of the last minutes. */
  samples: readonly Sample[]
}

export const lanesMax = 300
const samplesMax = 600

type Feed = {
  account: string | undefined
  state: State<Live>
  users: number
  ending: AbortController | undefined
}

/** By account. */
const feeds = new Map<string | undefined, Feed>()

function feedOf(account: string | undefined): Feed {
  const empty: Live = { isOpen: false, lanes: [], samples: [] }
  const feed = feeds.get(account) ?? { account, state: createState(empty), users: 0, ending: undefined }
  feeds.set(account, feed)
  return feed
}

/** In a component: the stream is open while any component uses this. */
export function useLive(account?: string): Live {
  const feed = feedOf(account)
  useEffect(() => {
    if (feed.users++ === 0) open(feed)
    return () => {
      if (--feed.users > 0) return
      feed.ending?.abort()
      feed.state.set({ ...feed.state.get(), isOpen: false })
      if (account !== undefined) feeds.delete(account)
    }
  }, [feed])
  return useValue(feed.state)
}

function open(feed: Feed): void {
  const { state } = feed
  feed.ending = new AbortController()
  const { signal } = feed.ending
  const set = (changes: Partial<Live>) => {
    if (!signal.aborted) state.set({ ...state.get(), ...changes })
  }
  read(feed, signal, (isOpen) => set({ isOpen, error: undefined })).catch((error) =>
    // A refusal, such as that of a missing key: the page asks for one, and opens it again.
    set({ isOpen: false, error: failureOf(error) }),
  )
}

function failureOf(error: unknown): unknown {
  const { status, details } = error as { status?: number; details?: unknown }
  return status === undefined ? error : new CallFailed('balances', problemOf(status, details))
}

/** After a key was given, or to try again. */
export function reopenLive(): void {
  for (const feed of feeds.values()) {
    if (feed.users === 0) continue
    feed.ending?.abort()
    open(feed)
  }
}

async function read(
  { account, state }: Feed,
  signal: AbortSignal,
  onState: (isOpen: boolean) => void,
): Promise<void> {
  let waiting: { lanes: Lane[]; samples: Sample[] } | undefined
  const flush = () => {
    if (!waiting || signal.aborted) return
    const { lanes, samples } = waiting
    waiting = undefined
    const current = state.get()
    state.set({
      ...current,
      lanes: mergeLanes(current.lanes, lanes, lanesMax),
      samples: samples.length > 0 ? [...current.samples, ...samples].slice(-samplesMax) : current.samples,
    })
  }
  const path = `/console/flow${account === undefined ? '' : `?account=${encodeURIComponent(account)}`}`
  for await (const { event, data } of follow(path, { signal, onState })) {
    if (event !== 'lane' && event !== 'sample') continue
    // A hidden page gets no frames.
    if (!waiting) setTimeout(flush, 50)
    waiting ??= { lanes: [], samples: [] }
    if (event === 'lane') waiting.lanes.push(data as Lane)
    else waiting.samples.push(data as Sample)
  }
}
