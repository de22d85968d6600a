/** What the view reads of balances: a page of something, and an account as it changes. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { CallFailed, follow, problemOf, send } from '../api.ts'
import { usePolled } from '../poll.ts'
import { accountPath, afterEntry, type Balance, type Entry, type Line, withEntries } from './facts.ts'

/** `asOf`: everything that the broker had then is in it. Null where that is not known. */
export type Read<T> = { body: T; asOf: string | null }
export type Page<T> = { data: T[]; next_cursor: string | null }

export async function read<T>(path: string, signal: AbortSignal): Promise<Read<T>> {
  const { status, headers, body } = await send<T>('balances', path, { signal })
  if (status !== 200) throw new CallFailed('balances', problemOf(status, body))
  return { body, asOf: headers.get('balances-as-of') }
}

const [everyMs, flushMs] = [4000, 100]
const [pageSize, pagesMax] = [200, 5]
export const historyMax = pageSize * pagesMax

type Following = {
  balance: Balance | undefined
  asOf: string | null
  error: unknown
  isOpen: boolean
  /** Newest first, at most `historyMax`. Undefined until they were read. */
  history: readonly Line[] | undefined
}

/** Use it under a `key` of its account. */
export function useAccount(id: string): Following & { retry: () => void } {
  const polled = usePolled((signal) => read<Balance>(accountPath(id, ''), signal), everyMs, [id])
  const { entries, isOpen } = useEntries(id)
  const [history, setHistory] = useState<Line[]>()
  const [nth, setNth] = useState(0)
  useEffect(() => {
    const ending = new AbortController()
    readHistory(id, ending.signal).then(
      (lines) => ending.signal.aborted || setHistory(lines),
      // The balance is read by the same service, and says what is wrong.
      () => {},
    )
    return () => ending.abort()
  }, [id, nth])
  const known = history && withEntries(history, entries, historyMax)
  const isMissing = history !== undefined && known === undefined
  useEffect(() => {
    const timer = isMissing ? setTimeout(() => setNth((last) => last + 1), 500) : undefined
    return () => clearTimeout(timer)
  }, [isMissing, entries])
  const newest = entries.at(-1)
  const base = polled.value?.body
  return {
    balance: base && newest ? afterEntry(base, newest) : base,
    asOf: polled.value?.asOf ?? null,
    error: polled.error,
    isOpen,
    history: known ?? history,
    retry: () => {
      polled.again()
      setNth((last) => last + 1)
    },
  }
}

async function readHistory(id: string, signal: AbortSignal): Promise<Line[]> {
  const lines: Line[] = []
  let cursor: string | undefined
  for (let pages = 0; pages < pagesMax; pages++) {
    const path = accountPath(id, '/statement', { limit: String(pageSize), cursor })
    const { body } = await read<Page<Line>>(path, signal)
    lines.push(...body.data)
    if (body.next_cursor === null) break
    cursor = body.next_cursor
  }
  return lines
}

/** Entries since the page follows the account, oldest first, at most `historyMax`. */
function useEntries(id: string): { entries: readonly Entry[]; isOpen: boolean } {
  const [entries, setEntries] = useState<readonly Entry[]>([])
  const [isOpen, setOpen] = useState(false)
  useEffect(() => {
    const ending = new AbortController()
    const { signal } = ending
    let waiting: Entry[] | undefined
    const flush = () => {
      const added = waiting ?? []
      waiting = undefined
      if (!signal.aborted) setEntries((last) => [...last, ...added].slice(-historyMax))
    }
    const run = async () => {
      const onState = (isOpen: boolean) => signal.aborted || setOpen(isOpen)
      for await (const { event, data } of follow(accountPath(id, '/stream'), { signal, onState })) {
        if (event !== 'balance') continue
        // A fast account is shown a few times a second.
        if (!waiting) setTimeout(flush, flushMs)
        waiting = [...(waiting ?? []), data as Entry]
      }
    }
    run().catch(() => setOpen(false))
    return () => ending.abort()
  }, [id])
  return { entries, isOpen }
}

/** A value that changes at most so often: for what is read again with it. */
export function useThrottled<T>(value: T, ms: number): T {
  const [shown, setShown] = useState(value)
  const changedAt = useRef(0)
  useEffect(() => {
    if (Object.is(value, shown)) return
    const change = () => {
      changedAt.current = Date.now()
      setShown(value)
    }
    const timer = setTimeout(change, Math.max(0, changedAt.current + ms - Date.now()))
    return () => clearTimeout(timer)
  }, [value, shown, ms])
  return shown
}

/** The last value that has stood for so long: for what is dragged or typed. */
export function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms)
    return () => clearTimeout(timer)
  }, [value, ms])
  return settled
}
