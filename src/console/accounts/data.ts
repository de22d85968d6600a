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

const [everyMs, flushMs, readAgainMs] = [4000, 100, 1000]
const [pageSize, pagesMax] = [200, 5]
export const historyMax = pageSize * pagesMax

type Followed = {
  /** The newest since the page follows the account. */
  newest: Entry | undefined
  isOpen: boolean
  /** Newest first, at most `historyMax`. Undefined until it was read. */
  history: readonly Line[] | undefined
}

/** Use it under a `key` of its account. */
export function useAccount(id: string) {
  const polled = usePolled((signal) => read<Balance>(accountPath(id, ''), signal), everyMs, [id])
  const [followed, setFollowed] = useState<Followed>({ newest: undefined, isOpen: false, history: undefined })
  useEffect(() => {
    const ending = new AbortController()
    followAccount(id, ending.signal, (change) => {
      if (!ending.signal.aborted) setFollowed((last) => ({ ...last, ...change }))
    })
    return () => ending.abort()
  }, [id])
  const { newest, ...rest } = followed
  const known = polled.value?.body
  return {
    ...rest,
    balance: known && newest ? afterEntry(known, newest) : known,
    asOf: polled.value?.asOf ?? null,
    error: polled.error,
    retry: polled.again,
  }
}

/** Reads the history of an account, and adds each entry that follows. */
function followAccount(id: string, signal: AbortSignal, onChange: (change: Partial<Followed>) => void): void {
  let history: Line[] | undefined
  /** Since the account is followed, oldest first, at most `historyMax`. */
  let entries: Entry[] = []
  let waiting: Entry[] | undefined
  let [isReading, isReadAgain] = [false, false]
  const readAll = async () => {
    const lines = await readHistory(id, signal)
    history = withEntries(lines, entries, historyMax) ?? lines
    onChange({ history })
  }
  // The balance is asked of the same service, and says what is wrong; an unknown account has no history.
  const tryToRead = () => {
    isReading = true
    readAll()
      .catch(() => {})
      .finally(() => {
        isReading = false
      })
  }
  /** Versions are missing in between: they were applied while the stream was interrupted, or never. */
  const readSoon = () => {
    if (isReadAgain) return
    isReadAgain = true
    setTimeout(() => {
      isReadAgain = false
      if (!signal.aborted) tryToRead()
    }, readAgainMs)
  }
  const flush = () => {
    const added = waiting ?? []
    waiting = undefined
    entries = [...entries, ...added].slice(-historyMax)
    const next = withEntries(history ?? [], added, historyMax)
    if (history && next) history = next
    else if (!isReading) readSoon()
    onChange({ newest: entries.at(-1), history })
  }
  /** After a restore of the ledger, versions count on from an earlier one. */
  const startOver = () => {
    entries = []
    history = undefined
    onChange({ newest: undefined })
    tryToRead()
  }
  const run = async () => {
    const onState = (isOpen: boolean) => onChange({ isOpen })
    for await (const { event, data } of follow(accountPath(id, '/stream'), { signal, onState })) {
      if (event === 'reset') startOver()
      if (event !== 'balance') continue
      // A fast account is shown a few times a second.
      if (!waiting) setTimeout(flush, flushMs)
      waiting ??= []
      waiting.push(data as Entry)
    }
  }
  tryToRead()
  followUntilRefused()

  /** An account that is not known yet refuses its stream: it is asked for again. */
  async function followUntilRefused(): Promise<void> {
    while (!signal.aborted) {
      await run().catch(() => onChange({ isOpen: false }))
      await new Promise((resolve) => setTimeout(resolve, everyMs))
    }
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
