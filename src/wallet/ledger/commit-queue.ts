/**
 * Group commit: jobs that arrive while a batch is at the database form the next one. A single job
 * is never delayed. A batch is sent behind one in flight when it is as large: small ones would only
 * split what is cheaper together.
 */
import { Fault } from '../../platform/fault'

export type CommitQueueOptions<Job, Result> = {
  /**
   * Sends jobs behind what is in flight; resolves once they are sent. A job without an answer is
   * executed later; so are all of them when `answers` rejects. Resolves with `undefined`, and has
   * done nothing, when the jobs do not qualify.
   */
  tryOptimistic: (jobs: Job[]) => Promise<{ answers: Promise<(Result | undefined)[]> } | undefined>
  /**
   * Answers every job, in order, with nothing else in flight; an `Error` fails one job, a throw all
   * of them. `again`: they may have been executed already.
   */
  execute: (jobs: Job[], again: boolean) => Promise<(Result | Error)[]>
  /** Whether the caller has disconnected. Checked once, when the job's batch begins. */
  isAbandoned?: (job: Job) => boolean
  /** Commands in a job. */
  sizeOf: (job: Job) => number
  /** Batch size. A larger job is a batch of its own. */
  sizeMax: number
  /** Queue capacity. Excess jobs are rejected as overloaded before any work is done. */
  queueMax: number
  /** How long a job may be queued, in milliseconds. */
  waitMaxMs: number
}

type Queued<Job, Result> = {
  job: Job
  size: number
  /** On the clock of `performance.now`. */
  deadlineMs: number
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

const deadlineCheckMs = 50
const inFlightMax = 2
/** Smaller batches do not overlap. */
const overlapMin = 16

export class CommitQueue<Job, Result> {
  readonly #options: CommitQueueOptions<Job, Result>
  #queue: Queued<Job, Result>[] = []
  #queuedSize = 0
  #lastBatchSize = 0
  /** Optimistic tries without an answer. */
  readonly #retries: Queued<Job, Result>[] = []
  #inFlight = 0
  #running: Promise<void> | undefined
  #signal: (() => void) | undefined

  constructor(options: CommitQueueOptions<Job, Result>) {
    this.#options = options
  }

  /**
   * Resolves once the job is durable or rejected by a decision. Rejects with a `Fault` when it
   * failed, or was queued for longer than `waitMs`. That deadline ends where the work begins: a job
   * in flight is never abandoned, since its result would be unknown.
   */
  submit(job: Job, waitMs = this.#options.waitMaxMs): Promise<Result> {
    return new Promise((resolve, reject) => {
      const { sizeOf, queueMax, waitMaxMs } = this.#options
      const size = sizeOf(job)
      if (this.#queuedSize + size > queueMax) {
        reject(new Fault('overloaded', `commit queue full: ${this.#queuedSize} commands are waiting`))
        return
      }
      const deadlineMs = performance.now() + Math.min(waitMs, waitMaxMs)
      this.#queue.push({ job, size, deadlineMs, resolve, reject })
      this.#queuedSize += size
      this.#running ??= this.#run()
      if (this.#mayOverlap()) this.#signal?.()
    })
  }

  /** Commands that wait. */
  get queued(): number {
    return this.#queuedSize
  }

  /** Resolves when nothing is queued or in flight. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running
  }

  async #run(): Promise<void> {
    const checking = setInterval(() => this.#rejectOverdue(), deadlineCheckMs)
    // One turn of the event loop, so that jobs which arrive together go together.
    await new Promise(setImmediate)
    while (this.#queue.length > 0 || this.#retries.length > 0 || this.#inFlight > 0) {
      if (this.#inFlight > 0 && !this.#mayOverlap()) await this.#nextSignal()
      else if (this.#retries.length > 0) await this.#execute(this.#retries.splice(0), true)
      else if (this.#queue.length > 0) await this.#begin(this.#takeBatch())
    }
    clearInterval(checking)
    this.#running = undefined
  }

  #mayOverlap(): boolean {
    const isLarge = this.#queuedSize >= overlapMin && this.#queuedSize >= this.#lastBatchSize
    return this.#inFlight < inFlightMax && isLarge && this.#retries.length === 0
  }

  #nextSignal(): Promise<void> {
    return new Promise((resolve) => {
      this.#signal = resolve
    })
  }

  #takeBatch(): Queued<Job, Result>[] {
    let size = 0
    const end = this.#queue.findIndex((queued, index) => {
      size += queued.size
      return index > 0 && size > this.#options.sizeMax
    })
    const batch = this.#queue.splice(0, end === -1 ? this.#queue.length : end)
    this.#lastBatchSize = batch.reduce((sum, queued) => sum + queued.size, 0)
    this.#queuedSize -= this.#lastBatchSize
    return batch.filter(({ job, reject }) => {
      if (!this.#options.isAbandoned?.(job)) return true
      reject(new Fault('deadline_exceeded', 'caller disconnected while the request was queued'))
      return false
    })
  }

  #rejectOverdue(): void {
    const now = performance.now()
    const overdue = this.#queue.filter(({ deadlineMs }) => deadlineMs <= now)
    if (overdue.length === 0) return
    this.#queue = this.#queue.filter(({ deadlineMs }) => deadlineMs > now)
    for (const { size, reject } of overdue) {
      this.#queuedSize -= size
      reject(new Fault('deadline_exceeded', `deadline exceeded for ${overdue.length} queued requests`))
    }
  }

  /** Resolves when the next batch may begin: after this one, or behind it. */
  async #begin(batch: Queued<Job, Result>[]): Promise<void> {
    if (batch.length === 0) return
    // An error here means that nothing was sent: `execute` reports it if it lasts.
    const sent = await this.#options.tryOptimistic(batch.map(({ job }) => job)).catch(() => undefined)
    if (sent) return this.#awaitAnswers(batch, sent.answers)
    while (this.#inFlight > 0) await this.#nextSignal()
    // Jobs that came back meanwhile are older.
    if (this.#retries.length > 0) this.#retries.push(...batch)
    else await this.#execute(batch, false)
  }

  #awaitAnswers(batch: Queued<Job, Result>[], answers: Promise<(Result | undefined)[]>): void {
    this.#inFlight++
    answers
      .then(
        (results) => {
          for (const [index, queued] of batch.entries()) {
            const result = results[index]
            if (result === undefined) this.#retries.push(queued)
            else queued.resolve(result)
          }
        },
        () => this.#retries.push(...batch),
      )
      .finally(() => {
        this.#inFlight--
        this.#signal?.()
      })
  }

  async #execute(batch: Queued<Job, Result>[], again: boolean): Promise<void> {
    try {
      const results = await this.#options.execute(
        batch.map(({ job }) => job),
        again,
      )
      for (const [index, result] of results.entries()) {
        if (result instanceof Error) batch[index]?.reject(result)
        else batch[index]?.resolve(result)
      }
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
}
