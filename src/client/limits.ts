/** How long a call may take. */
export type Limits = {
  /** Of one attempt, the whole response included. 10,000 by default. */
  timeoutMs?: number | undefined
  /** Of all attempts together. 60,000 by default, at most twelve hours: a key lives for 24. */
  deadlineMs?: number | undefined
  /** Attempts after the first one. 10 by default. */
  retries?: number | undefined
  signal?: AbortSignal | undefined
}

export const defaults = { timeoutMs: 10_000, deadlineMs: 60_000, retries: 10 }
