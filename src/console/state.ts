/** A value that views follow: for what belongs to the whole page. */
import { useEffect, useState } from 'preact/hooks'

export type State<T> = {
  get(): T
  set(value: T): void
  /** Returns what ends it. */
  follow(onChange: () => void): () => void
}

export function createState<T>(initial: T): State<T> {
  let value = initial
  const followers = new Set<() => void>()
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return
      value = next
      for (const follower of [...followers]) follower()
    },
    follow(onChange) {
      followers.add(onChange)
      return () => followers.delete(onChange)
    },
  }
}

/** The value, in a component that is rendered again when it changes. */
export function useValue<T>(state: State<T>): T {
  const [, render] = useState({})
  useEffect(() => state.follow(() => render({})), [state])
  return state.get()
}
