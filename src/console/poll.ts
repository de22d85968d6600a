/** What is asked again and again while its view is shown. */
import { useEffect, useState } from 'preact/hooks'

export type Polled<T> = {
  value?: T
  /** Of the newest attempt; the value is of an earlier one then. */
  error?: unknown
  /** When the value came, in milliseconds since 1970. */
  atMs?: number
}

/** A hidden page asks for nothing. `again` asks at once. */
export function usePolled<T>(
  load: (signal: AbortSignal) => Promise<T>,
  everyMs: number,
  dependencies: readonly unknown[] = [],
): Polled<T> & { again: () => void } {
  const [state, setState] = useState<Polled<T>>({})
  const [nth, setNth] = useState(0)
  useEffect(() => {
    const ending = new AbortController()
    let timer: ReturnType<typeof setTimeout>
    const run = async () => {
      if (!document.hidden) {
        try {
          const value = await load(ending.signal)
          if (!ending.signal.aborted) setState({ value, atMs: Date.now() })
        } catch (error) {
          if (!ending.signal.aborted) setState((last) => ({ ...last, error }))
        }
      }
      if (!ending.signal.aborted) timer = setTimeout(run, everyMs)
    }
    run()
    return () => {
      ending.abort()
      clearTimeout(timer)
    }
  }, [...dependencies, nth, everyMs])
  return { ...state, again: () => setNth((last) => last + 1) }
}
