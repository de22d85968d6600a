/**
 * Group commit: what arrives while one batch is at the database is the next batch. A lone request
 * never waits for company. A batch is sent behind one that is in flight as soon as it is as large;
 * smaller ones would only split what goes better together.
 */
import { Fault } from '../../platform/fault'

export type CommitQueueOptions<Request, Settled> = {
  /**
   * Sends requests, behind what is in flight, and resolves once they are sent. An `undefined`
   * answer is that of a request which has to be settled, a rejection is that of all of them.
   * Resolves with `undefined`, and has done nothing, where there is nothing to build on.
   */
  tryOptimistic: (requests: Request[]) => Promise<{ answers: Promise<(Settled | undefined)[]> } | undefined>
  /**
   * Answers every request, in order, with nothing else in flight; an error is the outcome of that
   * request alone. A throw is that of all. `again` says that they may have been carried out
   * already.
   */
  execute: (requests: Request[], again: boolean) => Promise<(Settled | Error)[]>
  /**
   * Whether its caller is gone. Looked at once, when its batch is taken up: before that nothing was
   * done for it.
   */
  isAbandoned?: (request: Request) => boolean
  /** How much of a batch a request takes up. */
  sizeOf: (request: Request) => number
  /** How much goes into one batch. A request that is larger goes alone. */
  sizeMax: number
  /** How much may wait. What would be more is turned away as overloaded, before anything was done for it. */
  queueMax: number
  /** The longest that a request waits before it is turned away, in milliseconds. */
  waitMaxMs: number
}

export type CommitQueue<Request, Settled> = {
  /**
   * Resolves once the request is durable, or refused. Rejects with a `Fault` when that could not be
   * brought about, or when it waited for longer than `waitMs`. The wait ends where the work begins:
   * what is in flight is never abandoned, since nobody could say what came of it.
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
/** Batches in flight; and the size from which it pays to have more than one. */
const flightsMax = 2
const overlapMin = 16

export function createCommitQueue<Request, Settled>(
  options: CommitQueueOptions<Request, Settled>,
): CommitQueue<Request, Settled> {
  type Member = Waiting<Request, Settled>
  const { sizeMax, queueMax, waitMaxMs } = options
  let queue: Member[] = []
  let queued = 0
  /** What was attempted and could not be answered. */
  const again: Member[] = []
  let flights = 0
  let lastSize = 0
  let running: Promise<void> | undefined
  let wakeUp: (() => void) | undefined

  const take = (): Member[] => {
    let size = 0
    const more = queue.findIndex((waiting, index) => {
      size += waiting.size
      return index > 0 && size > sizeMax
    })
    const members = queue.splice(0, more === -1 ? queue.length : more)
    lastSize = members.reduce((sum, member) => sum + member.size, 0)
    queued -= lastSize
    return members.filter(({ request, reject }) => {
      if (!options.isAbandoned?.(request)) return true
      reject(new Fault('deadline_exceeded', 'the caller was gone before anything was done'))
      return false
    })
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

  const execute = async (members: Member[], isAgain: boolean) => {
    try {
      const outcomes = await options.execute(requestsOf(members), isAgain)
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome instanceof Error) members[index]?.reject(outcome)
        else members[index]?.resolve(outcome)
      }
    } catch (error) {
      for (const member of members) member.reject(error)
    }
  }

  /** Resolves when the next batch may begin: alone, or behind the one in flight. */
  const tryOptimistic = async (members: Member[]) => {
    if (members.length === 0) return
    // What cannot even be sent is looked at by who settles it.
    const sent = await options.tryOptimistic(requestsOf(members)).catch(() => undefined)
    if (!sent) {
      while (flights > 0) await event()
      // What came back in the meantime was there first.
      if (again.length > 0) again.push(...members)
      else await execute(members, false)
      return
    }
    flights++
    sent.answers
      .then(
        (answers) => {
          for (const [index, member] of members.entries()) {
            const answer = answers[index]
            if (answer === undefined) again.push(member)
            else member.resolve(answer)
          }
        },
        () => again.push(...members),
      )
      .finally(() => {
        flights--
        wakeUp?.()
      })
  }

  const mayOverlap = () =>
    flights < flightsMax && queued >= overlapMin && queued >= lastSize && again.length === 0

  const event = () =>
    new Promise<void>((resolve) => {
      wakeUp = resolve
    })

  const run = async () => {
    const looking = setInterval(turnAwayLate, lookMs)
    // One turn of the event loop, so that requests which arrived together go together.
    await new Promise(setImmediate)
    while (queue.length > 0 || again.length > 0 || flights > 0) {
      if (flights > 0 && !mayOverlap()) await event()
      else if (again.length > 0) await execute(again.splice(0), true)
      else if (queue.length > 0) await tryOptimistic(take())
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
        if (mayOverlap()) wakeUp?.()
      }),
    async idle() {
      while (running) await running
    },
  }

  function requestsOf(members: Member[]): Request[] {
    return members.map((member) => member.request)
  }
}
