/** Supervises parts: starts each, restarts it when it exits by itself, and stops it. */
import { constants } from 'node:os'

export type Running = {
  /** Resolves when the part has exited, with the reason (see `describeEnd`). Never rejects. */
  exited: Promise<string>
  /** Resolves when it has exited. Idempotent. */
  stop(): Promise<void>
  /** Ends it as a crash would, with SIGKILL. */
  kill?(): void
}

/**
 * Resolves when the part serves. Rejects when it cannot, leaving nothing running; so it does, soon,
 * once the signal is aborted.
 */
export type Start = (signal: AbortSignal) => Promise<Running>

export type Supervision = {
  /** The wait before try number `attempt + 1` of a row of failures, in milliseconds. */
  delayMs(attempt: number): number
  /** Waits, or returns at once when the signal is aborted. */
  pause(ms: number, signal: AbortSignal): Promise<void>
  /** It exited by itself or failed to restart, and will be retried in `delayMs`. */
  onEnd(how: string, delayMs: number): void
  /** It is ready, for the first time or again. */
  onReady(tookMs: number): void
}

export type Supervised = {
  /** Settles with the first start; rejects with what it threw, and then the part is not tried again. */
  ready: Promise<void>
  /** Stops the part for good. May be called at any time; idempotent. */
  stop(): Promise<void>
  /** Ends it as a crash would, so that it is restarted. False when it does not run. */
  kill(): boolean
}

/** After this time a part counts as healthy, and its failures are counted from one again. */
const healthyMs = 30_000

export function supervise(startPart: Start, supervision: Supervision): Supervised {
  const stopping = new AbortController()
  const { signal } = stopping
  let running: Running | undefined

  const start = async () => {
    const startedAt = performance.now()
    const started = await startPart(signal)
    if (signal.aborted) return started.stop()
    running = started
    supervision.onReady(performance.now() - startedAt)
  }

  const keepRunning = async () => {
    let attempt = 0
    while (running) {
      const readyAt = performance.now()
      let how = await running.exited
      running = undefined
      if (performance.now() - readyAt > healthyMs) attempt = 0
      while (!running && !signal.aborted) {
        const delayMs = supervision.delayMs(++attempt)
        supervision.onEnd(how, delayMs)
        await supervision.pause(delayMs, signal)
        if (signal.aborted) return
        await start().catch((error) => {
          how = (error as Error).message
        })
      }
    }
  }

  const ready = start()
  // `ready` carries the error; this promise only waits for the end.
  const ended = ready.then(keepRunning, () => {})

  return {
    ready,
    async stop() {
      stopping.abort()
      await running?.stop()
      await ended
    },
    kill() {
      running?.kill?.()
      return running?.kill !== undefined
    },
  }
}

export type Switch = ReturnType<typeof createSwitch>

/** A supervised part that can also be off, until it is asked to be on again. It begins as on. */
export function createSwitch(start: () => Supervised) {
  let current: Supervised | undefined = start()
  const { ready } = current
  let isStopped = false
  /** One after the other. */
  let turning: Promise<unknown> = Promise.resolve()
  const turn = <T>(work: () => Promise<T>): Promise<T> => {
    const turned = turning.then(work)
    turning = turned.catch(() => {})
    return turned
  }
  return {
    ready,
    /** Resolves when it has exited. */
    off: () =>
      turn(async () => {
        const ending = current
        current = undefined
        await ending?.stop()
      }),
    /** Resolves when it is ready. Rejects where it cannot start, and stays off then. */
    on: () =>
      turn(async () => {
        if (current || isStopped) return
        current = start()
        await current.ready.catch((error) => {
          current = undefined
          throw error
        })
      }),
    /** For good; also in the middle of a start. */
    async stop(): Promise<void> {
      isStopped = true
      await current?.stop()
      await turning
    },
  }
}

export type ProcessOptions = {
  command: string[]
  cwd?: string
  env: Record<string, string | undefined>
  /** Gets each line of both outputs. */
  log: (line: string) => void
  /** It serves once it has printed such a line, or once this URL answers 2xx. */
  ready: { line: RegExp } | { url: string }
  readyTimeoutMs?: number
  /** How long it may take to stop before it is sent `lastSignal`, SIGKILL by default. */
  stopTimeoutMs?: number
  lastSignal?: NodeJS.Signals
}

/**
 * Starts a process that serves, and that ends when its stdin does: so it does not outlive us,
 * however we end. It has a process group of its own, because Ctrl-C in a terminal must not stop
 * all parts at once and in any order.
 */
export async function startProcess(
  options: ProcessOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<Running> {
  const { command, cwd, env, log, ready, readyTimeoutMs = 60_000 } = options
  const { stopTimeoutMs = 15_000, lastSignal = 'SIGKILL' } = options
  const pipes = { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' } as const
  const child = Bun.spawn(command, { cwd, env, ...pipes, detached: true })

  const printed = Promise.withResolvers<void>()
  const take = (line: string) => {
    log(line)
    if ('line' in ready && ready.line.test(line)) printed.resolve()
  }
  const reading = Promise.all([eachLine(child.stdout, take), eachLine(child.stderr, take)])
  const exited = child.exited.then(async (code) => {
    await reading
    return describeEnd(code, child.signalCode)
  })

  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill(lastSignal), stopTimeoutMs)
    await exited
    clearTimeout(timer)
  }

  const settled = new AbortController()
  const waiting = AbortSignal.any([settled.signal, signal, AbortSignal.timeout(readyTimeoutMs)])
  try {
    const failure = await Promise.race([
      'url' in ready ? untilAnswers(ready.url, waiting) : printed.promise,
      exited.then((how) => `${how} before it was ready`),
      aborted(waiting).then(() =>
        signal.aborted ? 'was stopped' : `was not ready after ${readyTimeoutMs / 1000} s`,
      ),
    ])
    if (typeof failure === 'string') throw new Error(failure)
    return { exited, stop, kill: () => child.kill('SIGKILL') }
  } catch (error) {
    await stop()
    throw error
  } finally {
    settled.abort()
  }
}

/**
 * `ended with exit code 1`, `killed by signal 9 (SIGKILL)`. A shell in between reports a signal as
 * 128 more than its number.
 */
function describeEnd(code: number, signal?: string | number | null): string {
  const { signals } = constants
  const name =
    (signal as NodeJS.Signals | null) ??
    Object.keys(signals).find((each) => signals[each as NodeJS.Signals] === code - 128)
  return name
    ? `killed by signal ${signals[name as NodeJS.Signals]} (${name})`
    : `ended with exit code ${code}`
}

/** Killed from outside, rather than by its own fault. */
export const wasKilled = (how: string): boolean => /^killed by .*\(SIG(KILL|TERM|INT|HUP|QUIT)\)/.test(how)

/**
 * Every failure means not yet. Once the signal is aborted, it never settles: then the answer is
 * somebody else's.
 */
async function untilAnswers(url: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const answer = await fetch(url, { signal }).catch(() => null)
    await answer?.body?.cancel()
    if (answer?.ok) return
    await Bun.sleep(50)
  }
  await new Promise(() => {})
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Of a stream of bytes, the last one also without an end. Resolves when the stream ends. */
async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) take(line)
  }
  if (rest !== '') take(rest)
}
