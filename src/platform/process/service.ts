/**
 * A service is a list of parts with one interface and one run loop. Parts start in the order of the
 * list and stop in the reverse order, so a part may rely on those before it for as long as it runs.
 * Readiness and metrics follow from the list.
 */
import { messageOf, SetupError } from '../fault'
import type { Log } from '../telemetry/log'
import { type Metric, MetricsPage, type Page } from '../telemetry/metrics'
import { keepTrying, late, pause, within } from './retry'

export type Check = { status: 'pass' | 'warn' | 'fail'; output?: string }
export type Checks = Record<string, Check>

export type Part = {
  /** Unique within its service. The name of its check, too. */
  name: string
  /** What a failure of `run` means, for the log line: `publishing failed`. By default `NAME failed`. */
  failure?: string
  /**
   * Works until the signal is aborted. A throw is logged and `run` is called again after a backoff;
   * `onProgress` says that it works again, which resets the backoff. A part without `run` only holds
   * something, such as a connection.
   */
  run?(signal: AbortSignal, onProgress: () => void): Promise<void>
  /** Resolves once the service may be called ready, as far as this part is concerned. */
  ready?(): Promise<unknown>
  /** The service is about to stop, and still serves: no check of it passes any more. */
  drain?(): void
  /** Releases what the part holds. Called once, after `run` has returned or has had `timeoutMs` to do so. */
  stop?(timeoutMs: number): Promise<unknown>
  /** Without it, a part that waits to be run again warns, and is not mentioned otherwise. */
  health?(): Check | Promise<Check>
  /** What `/metrics` shows of it. */
  metrics?: readonly Metric[]
  /**
   * Sets those of its metrics that take a query. Called every few seconds at most, while somebody reads the
   * metrics. It may throw; then they keep their values.
   */
  sample?(): Promise<void>
}

export type Service = ReturnType<typeof createService>
export type RunningService = Awaited<ReturnType<Service['start']>>

type StartOptions = {
  port: number
  /** Parts in a list of their own do not rely on each other, and stop at the same time. */
  parts: readonly (Part | readonly Part[])[]
  /** Comes before the parts run: migrations, for example. A throw ends the start. */
  prepare(signal: AbortSignal): Promise<void>
}

type ServiceOptions = {
  name: string
  log: Log
  /** How long it serves on while its health says that it stops, in milliseconds. */
  shutdownDelayMs?: number
  /** How long all parts may take to stop after that, in milliseconds. */
  shutdownTimeoutMs: number
}

/** What a part has to stop when none of the time is left, in milliseconds. */
const lastMs = 100

/** Health may be asked for at once, and says that the service starts until it does. */
export function createService(options: ServiceOptions) {
  const { name, log, shutdownDelayMs = 0, shutdownTimeoutMs } = options
  let state: 'starting' | 'ready' | 'stopping' = 'starting'
  let isServing = false
  let parts: RunningPart[] = []
  let page = new MetricsPage([])

  return {
    /** Whether requests are served. Also while it stops: those that were taken are answered. */
    isServing: () => isServing,
    health: async (): Promise<Checks> =>
      state === 'ready' ? checksOf(parts) : { service: { status: 'fail', output: state } },
    /** All that the parts show of themselves, in the format that `accept` asks for. */
    metrics: (accept: string): Promise<Page> => page.render(accept),
    /** Resolves when the service is ready. Throws what `prepare` throws, once everything was stopped. */
    async start({ port, parts: listed, prepare }: StartOptions) {
      const groups = listed.map((one) => [one].flat())
      const given = groups.flat()
      page = new MetricsPage(given)
      const starting = new AbortController()
      log.info({ port }, `${name} listening`)
      const stop = once(async () => {
        const hasServed = isServing
        state = 'stopping'
        starting.abort()
        for (const part of given) part.drain?.()
        if (hasServed && shutdownDelayMs > 0) await pause(shutdownDelayMs)
        const deadlineMs = performance.now() + shutdownTimeoutMs
        const overdue: string[] = []
        for (const group of groups.toReversed())
          overdue.push(...(await Promise.all(group.map((part) => stopOne(part, deadlineMs)))).flat())
        if (overdue.length > 0)
          throw new SetupError(`these took longer than SHUTDOWN_TIMEOUT_MS: ${overdue.join(', ')}`)
      })
      /** Returns its name if it did not stop in time. */
      const stopOne = async (part: Part, deadlineMs: number): Promise<string[]> => {
        const running = parts.find((one) => one.name === part.name)
        const leftMs = Math.max(lastMs, deadlineMs - performance.now())
        const stopping = running ? running.stop(leftMs) : part.stop?.(leftMs)
        return (await within(Promise.resolve(stopping), leftMs + lastMs)) === late ? [part.name] : []
      }
      try {
        await prepare(starting.signal)
        if (!starting.signal.aborted) parts = given.map((part) => startPart(part, log))
        const allReady = Promise.all(given.map((part) => part.ready?.()))
        await Promise.race([allReady, aborted(starting.signal)])
      } catch (error) {
        await stop().catch((overdue) => log.warn({}, messageOf(overdue)))
        throw error
      }
      if (state === 'starting') {
        state = 'ready'
        isServing = true
        log.info({ port }, `${name} ready`)
      }
      /**
       * `stop` loses nothing, and throws at its end when a part did not stop in time. Idempotent: every call
       * waits for the same end.
       */
      return { port, stop }
    },
  }
}

type RunningPart = ReturnType<typeof startPart>

const backoff = { firstMs: 100, limitMs: 2000 }

/** The run loop of every part. */
function startPart(part: Part, log: Log) {
  const { name } = part
  const stopping = new AbortController()
  const { signal } = stopping
  let failure: string | undefined

  const run = async (onProgress: () => void) =>
    part.run?.(signal, () => {
      failure = undefined
      onProgress()
    })
  const onFailure = (error: unknown, failures: number) => {
    failure = messageOf(error)
    log.warn({ part: name, failures }, `${part.failure ?? `${name} failed`}, will retry: ${failure}`)
  }
  // It throws only once it was aborted.
  const running = keepTrying(run, { backoff, signal, onFailure }).catch(() => {})

  return {
    name,
    async health(): Promise<Check | undefined> {
      if (part.health) return part.health()
      return failure === undefined ? undefined : { status: 'warn', output: failure }
    },
    async stop(timeoutMs: number): Promise<void> {
      stopping.abort()
      await within(running, timeoutMs)
      await part.stop?.(timeoutMs)
    },
  }
}

type Startable = { stop(): unknown; health?(): Check | Promise<Check> }

/** A part that does the same again and again, for the first time after `ms`. */
export const every = (ms: number, name: string, work: (signal: AbortSignal) => Promise<unknown>): Part => ({
  name,
  async run(signal, onProgress) {
    for (await pause(ms, signal); !signal.aborted; await pause(ms, signal)) {
      await work(signal)
      onProgress()
    }
  },
})

/**
 * A part made of what starts and stops by itself, such as a consumer that keeps its own
 * subscription. `restart` stops it and starts it again.
 */
export function restartable<T extends Startable>(name: string, start: () => T) {
  let current: T | undefined
  let restarting = new AbortController()
  let pausing: Pause | undefined
  return {
    name,
    /** Undefined before it runs, and while it is paused. */
    current: () => current,
    restart: () => restarting.abort(),
    isPaused: () => pausing !== undefined,
    /** Resolves when it has stopped, or will run on. Until `resume` it warns with this text. */
    pause(reason: string): Promise<void> {
      pausing ??= { reason, stopped: Promise.withResolvers(), ended: new AbortController() }
      restarting.abort()
      return pausing.stopped.promise
    },
    resume(): void {
      pausing?.ended.abort()
      pausing?.stopped.resolve()
      pausing = undefined
    },
    async run(signal: AbortSignal) {
      signal.addEventListener('abort', () => pausing?.stopped.resolve(), { once: true })
      while (!signal.aborted) {
        if (pausing) {
          pausing.stopped.resolve()
          await aborted(AbortSignal.any([signal, pausing.ended.signal]))
          continue
        }
        restarting = new AbortController()
        current = start()
        await aborted(AbortSignal.any([signal, restarting.signal]))
        await current.stop()
        current = undefined
      }
    },
    health: (): Check | Promise<Check> =>
      pausing ? { status: 'warn', output: pausing.reason } : (current?.health?.() ?? { status: 'pass' }),
  }
}

type Pause = { reason: string; stopped: PromiseWithResolvers<void>; ended: AbortController }

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** A check that fails to answer is a check that fails. */
async function checksOf(parts: readonly RunningPart[]): Promise<Checks> {
  const answers = parts.map(async (part): Promise<[string, Check | undefined]> => {
    const check = part.health().catch((error): Check => ({ status: 'fail', output: messageOf(error) }))
    return [part.name, await check]
  })
  return Object.fromEntries(
    (await Promise.all(answers)).flatMap(([name, check]) => (check ? [[name, check]] : [])),
  )
}

/** Work that is done once, however often it is requested. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined
  return () => {
    done ??= work()
    return done
  }
}
