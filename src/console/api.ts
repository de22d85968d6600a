/** Calls of both services. Amounts arrive as exact decimal text. */
import { quoteAmounts } from '../client/decimals.ts'
import { type ServerEvent, watch } from '../client/streams.ts'
import { createState } from './state.ts'

export type ServiceName = 'wallet' | 'balances'

/** Of `GET /console/settings`. */
export type Settings = {
  release: string
  /** Where the browser reaches the wallet; null where it is not configured. */
  wallet_url: string | null
  actions: boolean
  needs_key: boolean
  local: boolean
}

/** RFC 9457. `status` is 0 where there was no answer. */
export type Problem = { status: number; title: string; detail?: string; code?: string; type?: string }

export class CallFailed extends Error {
  override name = 'CallFailed'
  constructor(
    readonly service: ServiceName,
    readonly problem: Problem,
  ) {
    super(problem.detail ?? problem.title)
  }
}

export type Answer<T = Record<string, unknown>> = { status: number; headers: Headers; body: T }

export const settings = createState<Settings | undefined>(undefined)
/** API keys, in memory only: they end with the page. */
export const keys = createState<Partial<Record<ServiceName, string>>>({})
/** The service that asked for a key, or refused the one it got, and why it did. */
export const keyWanted = createState<{ service: ServiceName; refusal?: string } | undefined>(undefined)
/** For which the page goes on without one, as somebody chose. */
const withoutKey = new Set<ServiceName>()

export function giveKey(service: ServiceName, key: string): void {
  keyWanted.set(undefined)
  keys.set({ ...keys.get(), [service]: key })
}

export function goOnWithoutKey(service: ServiceName): void {
  withoutKey.add(service)
  keyWanted.set(undefined)
}

export function forgetKeys(): void {
  withoutKey.clear()
  keyWanted.set(undefined)
  keys.set({})
}

/** One at a time, since views ask again and again; first that of this service, without which little works. */
function wantKey(service: ServiceName, { detail }: Problem): void {
  const asks = keyWanted.get()?.service
  if (asks === service || asks === 'balances' || withoutKey.has(service)) return
  const isRefused = keys.get()[service] !== undefined
  keyWanted.set({ service, ...(isRefused && detail !== undefined && { refusal: detail }) })
}

/** Milliseconds. The services give up sooner. */
const timeoutMs = 45_000

type Init = { method?: string; headers?: Record<string, string>; body?: unknown; signal?: AbortSignal }

/** Undefined for the wallet where its address is not configured. */
export function urlOf(service: ServiceName, path: string): string | undefined {
  if (service === 'balances') return path
  const base = settings.get()?.wallet_url
  return base ? base.replace(/\/$/, '') + path : undefined
}

/** Any answer, a refusal included. Throws `CallFailed` where there is none, or a key is missing. */
export async function send<T = Record<string, unknown>>(
  service: ServiceName,
  path: string,
  { method = 'GET', headers = {}, body, signal }: Init = {},
): Promise<Answer<T>> {
  const url = urlOf(service, path)
  if (!url) throw new CallFailed(service, { status: 0, title: 'wallet-address-missing' })
  const sent = { ...headers, ...authorization(service), ...(body !== undefined && jsonType) }
  const ends = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])])
  let answer: Response
  let text: string
  try {
    const init = {
      method,
      headers: sent,
      signal: ends,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }
    answer = await fetch(url, init)
    text = await answer.text()
  } catch (error) {
    if (signal?.aborted) throw error
    throw new CallFailed(service, { status: 0, title: 'unreachable' })
  }
  const parsed = parse(text)
  if (answer.status === 401) {
    const problem = problemOf(answer.status, parsed)
    wantKey(service, problem)
    throw new CallFailed(service, problem)
  }
  return { status: answer.status, headers: answer.headers, body: parsed as T }
}

/** The body of a 2xx. Throws `CallFailed` for any other answer. */
export async function call<T = Record<string, unknown>>(
  service: ServiceName,
  path: string,
  init?: Init,
): Promise<T> {
  const { status, body } = await send<T>(service, path, init)
  if (status >= 200 && status < 300) return body
  throw new CallFailed(service, problemOf(status, body))
}

export function problemOf(status: number, body: unknown): Problem {
  const given = typeof body === 'object' && body !== null ? (body as Partial<Problem>) : {}
  return { title: `HTTP ${status}`, ...given, status }
}

/** Server-sent events that go on after a broken connection. `onState` follows the connection. */
export async function* follow(
  path: string,
  { signal, onState }: { signal: AbortSignal; onState: (isOpen: boolean) => void },
): AsyncGenerator<ServerEvent, void> {
  const asking: typeof fetch = Object.assign(
    async (...[url, init]: Parameters<typeof fetch>) => {
      const answer = await fetch(url, init).catch((error) => {
        onState(false)
        throw error
      })
      if (answer.status === 401) wantKey('balances', problemOf(401, parse(await answer.clone().text())))
      onState(answer.ok)
      return answer
    },
    { preconnect: () => {} },
  )
  const headersOf = async (last: string | undefined) =>
    new Headers({ ...authorization('balances'), ...(last && { 'last-event-id': last }) })
  const limits = { lastEventId: undefined, deadlineMs: Number.POSITIVE_INFINITY, timeoutMs: 15_000, signal }
  yield* watch(path, { fetch: asking, headersOf, parse }, limits)
}

/** An idempotency key. A page that was loaded over plain HTTP from another machine has no `randomUUID`. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

const jsonType = { 'content-type': 'application/json' }

const authorization = (service: ServiceName): Record<string, string> => {
  const key = keys.get()[service]
  return key ? { authorization: `Bearer ${key}` } : {}
}

/** Text where it is no JSON, as from a proxy in between. */
function parse(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(quoteAmounts(text))
  } catch {
    return text
  }
}
