/** A listener on a port: opened where no other process has it, and closed without a lost request. */
import { isIP } from 'node:net'
import { SetupError } from '../fault'
import { describeHolder, isShared, portConflictOf } from '../process/ports'
import { late, pause, within } from '../process/retry'
import { continueTrace, traceIdOf } from '../telemetry/trace'
import { internalError } from './app'
import type { Certificate } from './certificate'
import type { AddressOf } from './guard'
import { commonProblems, problemResponse } from './problem'
import { secured } from './security-headers'

export type Respond = (request: Request, addressOf: AddressOf) => Promise<Response>

type ListenerOptions = {
  host: string
  port: number
  /** HTTPS instead of HTTP. */
  certificate: Certificate | undefined
  /** It takes over from another listener of this process. */
  isSecond?: boolean
}

export type Listener = ReturnType<typeof openListener>

/** Idle connections are closed after this, in seconds. */
const idleTimeout = 60
/**
 * Answers are held until no request was read between so many looks at the sockets, and at most for so many.
 * Looks and not time: a process that gets no time itself has not looked.
 */
const [quietLooks, holdMaxLooks, lookMs] = [10, 50, 10]

/** Throws `SetupError` when it cannot listen on the port, or another process does. */
export function openListener(options: ListenerOptions, respond: Respond) {
  let requests = 0
  let isClosing = false
  let held: Promise<void> | undefined

  const server = bind(options, async (request, addressOf) => {
    requests++
    const response = await respond(request, addressOf)
    if (!isClosing) return response
    await held
    response.headers.set('connection', 'close')
    return response
  })

  /** Returns in the turn in which the sockets were looked at last. */
  const untilQuiet = async (deadlineMs: number) => {
    let quiet = 0
    for (let looks = 0; quiet < quietLooks && looks < holdMaxLooks; looks++) {
      const before = requests
      await pause(lookMs)
      await new Promise(setImmediate)
      quiet = requests === before ? quiet + 1 : 0
      if (performance.now() >= deadlineMs) return
    }
  }

  return {
    port: server.port ?? options.port,
    /** From now on each answer ends its connection, and new ones are still taken. */
    drain(): void {
      isClosing = true
    },
    /**
     * Takes no new connections, answers what is in flight, and aborts the rest after `timeoutMs`.
     *
     * The runtime closes idle connections together with the listener, and with them requests that have
     * arrived and are not read yet. A caller that waits for an answer sends no other request. So answers
     * are held for the moment in which the listener is closed.
     */
    async close(timeoutMs: number): Promise<void> {
      const { promise, resolve: release } = Promise.withResolvers<void>()
      const deadlineMs = performance.now() + timeoutMs
      held = promise
      isClosing = true
      if (requests > 0) await untilQuiet(deadlineMs)
      const closed = server.stop()
      release()
      if ((await within(closed, Math.max(0, deadlineMs - performance.now()))) === late)
        await server.stop(true)
    },
  }
}

function bind({ host: hostname, port, certificate, isSecond }: ListenerOptions, respond: Respond) {
  try {
    const taken = !isSecond && port !== 0 ? portConflictOf(port, hostname) : null
    if (taken) throw Object.assign(new Error(taken), { code: taken })
    const server = Bun.serve({
      hostname,
      port,
      fetch: (request, server) => respond(withPath(request), () => server.requestIP(request)?.address),
      idleTimeout,
      // Two listeners on a port get some of the requests each. Only one with a certificate shares its port,
      // with the next one of this process.
      reusePort: certificate !== undefined,
      ...(certificate ? { tls: { cert: certificate.cert, key: certificate.key } } : {}),
      // Bun's own error page shows source and paths.
      development: false,
      error: () =>
        secured(problemResponse(commonProblems.internal, internalError, '/', traceIdOf(continueTrace(null)))),
      // `readBody` bounds bodies. Above its own limit Bun responds without a reason.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    })
    if (!certificate || isSecond || !isShared(server.port ?? port)) return server
    // Two processes that started in the same millisecond.
    server.stop(true)
    throw Object.assign(new Error('shared'), { code: 'EADDRINUSE' })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE')
      throw new SetupError(
        `port ${port} on ${hostname} is in use by ${describeHolder(port)}: ` +
          'stop it, or set PORT to another port',
      )
    throw new SetupError(
      `cannot listen on port ${port} of ${hostname} (${bindFault(hostname, code)}): check HOST and PORT`,
    )
  }
}

/** Elysia looks for the path behind `http://`, and finds none behind `https://`. */
function withPath(request: Request): Request {
  const { url } = request
  if (url.startsWith('https:')) Object.defineProperty(request, 'url', { value: `http${url.slice(5)}` })
  return request
}

/** For a name that does not resolve, the runtime reports a stale code. */
function bindFault(hostname: string, code = 'unknown cause'): string {
  if (code === 'EACCES') return 'this user may not listen there'
  if (code === 'EADDRNOTAVAIL') return 'no interface of this machine has this address'
  return isIP(hostname) ? code : 'neither a name nor an address of this machine'
}
