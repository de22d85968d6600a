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

/** The least and the most of each number among the options. A timer takes 31 bits. */
const bounds = {
  timeoutMs: [1, 2 ** 31 - 1],
  deadlineMs: [1, 1 / 0],
  retries: [0, 1 / 0],
  waitSeconds: [0, 999_999],
} as const

/** Throws where an option is no number that makes sense: `NaN` would be an attempt that ends at once. */
export function checkLimits(options: { [Name in keyof typeof bounds]?: unknown }): void {
  for (const [name, [least, most]] of Object.entries(bounds)) {
    const value = options[name as keyof typeof bounds] ?? least
    const isNumber = typeof value === 'number'
    if (isNumber && (Number.isInteger(value) || value === 1 / 0) && value >= least && value <= most) continue
    const shown = isNumber ? value : JSON.stringify(value)
    const rule = `a whole number of at least ${least}`
    const end = most === 1 / 0 ? ', or Infinity' : ` and at most ${most}`
    throw new (isNumber ? RangeError : TypeError)(`${name} is ${shown}; it has to be ${rule}${end}`)
  }
}
