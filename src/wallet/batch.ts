/**
 * Group commit: what arrives while one batch is at the database is the next batch. A lone request never waits for company, and there is one batch in
 * flight, since two of one process would only collide on each other's accounts.
 */
import { Fault } from '../platform/fault'

export type BatchOptions<Request, Settled> = {
  /** Answers every request of the batch, in order; an error is the outcome of that request alone. A throw fails the whole batch. */
  settle: (requests: Request[]) => Promise<(Settled | Error)[]>
  /** How much of a batch a request takes up. */
  sizeOf: (request: Request) => number
  /** How much goes into one batch. A request that is larger goes alone. */
  sizeMax: number
  /** How much may wait. What would be more is turned away as overloaded, before anything was done for it. */
  queueMax: number
  /** The longest that a request waits before it is turned away, in milliseconds. */
  waitMaxMs: number
}

export type Batch<Request, Settled> = {
  /**
   * Resolves once the request is durable, or refused. Rejects with a `Fault` when that could not be brought about, or when it waited for longer
   * than `waitMs`. The wait ends where the work begins: what is in flight is never abandoned, since nobody could say what came of it.
   */
  submit(request: Request, waitMs?: number): Promise<Settled>
  /** Resolves when nothing waits and nothing is in flight. */
  idle(): Promise<void>
}

type Waiting<Request, Settled> = {
  request: Request
  size: number
  /** On the clock of `performance.now`. */
  untilMs: number
  resolve: (settled: Settled) => void
  reject: (error: unknown) => void
}

/** How often those who wait are looked through, in milliseconds. */
const lookMs = 50

export function createBatch<Request, Settled>(options: BatchOptions<Request, Settled>): Batch<Request, Settled> {
  const { sizeMax, queueMax, waitMaxMs } = options
  let queue: Waiting<Request, Settled>[] = []
  let queued = 0
  let running: Promise<void> | undefined

  const take = () => {
    let size = 0
    const more = queue.findIndex((waiting, index) => {
      size += waiting.size
      return index > 0 && size > sizeMax
    })
    const members = queue.splice(0, more === -1 ? queue.length : more)
    for (const member of members) queued -= member.size
    return members
  }

  const turnAwayLate = () => {
    const now = performance.now()
    const late = queue.filter((waiting) => waiting.untilMs <= now)
    if (late.length === 0) return
    queue = queue.filter((waiting) => waiting.untilMs > now)
    for (const { size, reject } of late) {
      queued -= size
      reject(new Fault('deadline_exceeded', `${late.length} requests waited for longer than they may`))
    }
  }

  const run = async () => {
    const looking = setInterval(turnAwayLate, lookMs)
    // One turn of the event loop, so that requests which arrived together go together.
    await new Promise(setImmediate)
    while (queue.length > 0) {
      const members = take()
      try {
        const outcomes = await options.settle(members.map((member) => member.request))
        for (const [index, outcome] of outcomes.entries()) {
          if (outcome instanceof Error) members[index]?.reject(outcome)
          else members[index]?.resolve(outcome)
        }
      } catch (error) {
        for (const member of members) member.reject(error)
      }
    }
    clearInterval(looking)
    running = undefined
  }

  return {
    submit: (request, waitMs = waitMaxMs) =>
      new Promise((resolve, reject) => {
        const size = options.sizeOf(request)
        if (queued + size > queueMax) {
          reject(new Fault('overloaded', `${queued} commands are waiting already`))
          return
        }
        const untilMs = performance.now() + Math.min(waitMs, waitMaxMs)
        queue.push({ request, size, untilMs, resolve, reject })
        queued += size
        running ??= run()
      }),
    async idle() {
      while (running) await running
    },
  }
}
