/** A client of both services. Its methods are made from the table of operations. */
import { type Fetch, type Outgoing, send } from './attempts.ts'
import { type CallOptions, Pages, type WatchOptions } from './calls.ts'
import { quoteAmounts } from './decimals.ts'
import { SaldoError } from './errors.ts'
import { checkLimits, defaults, type Limits } from './limits.ts'
import { operations } from './operations.ts'
import { watch } from './streams.ts'
import type { Balance, EffectiveBalance, Operations, RecordedBalance } from './types.ts'
import { Versions } from './versions.ts'

export type Decimals = 'number' | 'string'

/** An amount of a response. Of numbers, those of more than 15 digits are strings all the same. */
export type AmountOf<D extends Decimals> = D extends 'string' ? string : number | string

export type SaldoOptions<D extends Decimals = Decimals> = Limits & {
  /** Address of the wallet, such as `http://localhost:8080`. */
  wallet?: string | undefined
  /** Address of balances, such as `http://localhost:3003`. */
  balances?: string | undefined
  /** An API key, or what returns that of a service, asked for each call: both services have their own. */
  apiKey?: string | ((service: Service) => string | Promise<string>) | undefined
  /** How responses show amounts: as numbers (default), or as exact decimal strings. */
  decimals?: D | undefined
  /** The token of another client, so that reads are no older than its writes. */
  token?: string | undefined
  /** Sent with every request. */
  headers?: Record<string, string> | undefined
  /** Instead of the global one. It has to honour `signal`. */
  fetch?: Fetch | undefined
}

type Service = 'wallet' | 'balances'
type Operation = { service: Service; method: string; path: string; flags: readonly string[] }

const table = Object.entries(operations).map(([name, text]): [string, Operation] => {
  const [service, method, path, ...flags] = text.split(' ') as [Operation['service'], string, string]
  return [name, { service, method, path, flags }]
})

type Call = { operation: Operation; ids: string[]; options: CallOptions & WatchOptions }

class Client {
  readonly #options: SaldoOptions
  readonly #versions = new Versions()

  constructor(options: SaldoOptions) {
    for (const address of [options.wallet, options.balances])
      if (address !== undefined && !/^https?:\/\/./.test(address))
        throw new TypeError(`${JSON.stringify(address)} is not an address with http:// or https://`)
    if (!['number', 'string'].includes(options.decimals ?? 'number'))
      throw new TypeError(
        `decimals is ${JSON.stringify(options.decimals)}; it has to be "number" or "string"`,
      )
    checkLimits(options)
    this.#options = options
    this.token = options.token ?? ''
  }

  /**
   * The versions of the accounts that were written last, as `account:version,…`. Give it to another client,
   * and its reads are no older than these writes.
   */
  get token(): string {
    return this.#versions.toString()
  }

  /** Replaces the versions so far. To add to them: ``saldo.token += `,${other}` ``. */
  set token(token: string) {
    this.#versions.clear()
    this.#versions.add(token)
  }

  static {
    for (const [name, operation] of table)
      Object.defineProperty(Client.prototype, name, {
        value(this: Client, ...args: unknown[]) {
          return this.#perform(operation, args)
        },
      })
  }

  #perform(operation: Operation, args: unknown[]): unknown {
    const { path, flags } = operation
    const ids = (path.match(/:/g) ?? []).map(() => args.shift() as string)
    const input = flags.includes('body') || flags.includes('query') ? args.shift() : undefined
    const call: Call = { operation, ids, options: (args.shift() ?? {}) as Call['options'] }
    if (flags.includes('stream')) return this.#watch(call)
    if (!flags.includes('pages')) return this.#call(call, input)
    return new Pages((cursor) => this.#call(call, { ...(input as object), ...(cursor && { cursor }) }))
  }

  // biome-ignore lint/suspicious/noExplicitAny: the type of the method, which the table does not know
  async #call({ operation, ids, options }: Call, input: unknown): Promise<any> {
    const { service, method, flags } = operation
    const limits = this.#limitsOf(options)
    const idempotencyKey = method === 'GET' ? undefined : (options.idempotencyKey ?? newKey())
    const isFresh = flags.includes('token') && !options.allowStale
    const token = isFresh ? this.#versions.tokenFor(ids[0]) : undefined
    const waitSeconds = options.waitSeconds ?? (token && Math.min(30, Math.floor(limits.timeoutMs / 2000)))
    const body = flags.includes('body') && input !== undefined ? JSON.stringify(input, refuseNaN) : undefined
    const outgoing: Outgoing = {
      url: this.#urlOf(operation, ids) + (flags.includes('query') ? queryOf(input) : ''),
      method,
      headers: await this.#headersOf(service, options, {
        'content-type': body && 'application/json',
        'idempotency-key': JSON.stringify(idempotencyKey),
        'consistency-token': token,
        prefer: waitSeconds === undefined ? undefined : `wait=${waitSeconds}`,
      }),
      ...(body !== undefined && { body }),
    }
    // Its versions are those that would be.
    const isPreview = (input as { dry_run?: boolean } | undefined)?.dry_run === true
    const read = (response: Response, text: string) => {
      const body = response.status === 204 ? undefined : this.#parse(text)
      if (service === 'wallet' && method !== 'GET' && !isPreview) {
        this.#versions.learn(body)
        this.#versions.add(response.headers.get('consistency-token') ?? '')
      }
      return body
    }
    try {
      return await send(outgoing, { fetch: this.#fetch, read }, limits)
    } catch (error) {
      if (error instanceof SaldoError) error.idempotencyKey = idempotencyKey
      throw error
    }
  }

  async *#watch(call: Call) {
    const { operation, ids, options } = call
    // The stream itself takes no token, and begins with the balance that it finds.
    const [id] = ids
    if (id !== undefined && options.lastEventId === undefined && this.#versions.tokenFor(id))
      await this.#perform(new Map(table).get('balance') as Operation, [id, undefined, options])
    yield* watch(
      this.#urlOf(operation, ids),
      {
        fetch: this.#fetch,
        headersOf: (lastEventId) =>
          this.#headersOf(operation.service, options, {
            accept: 'text/event-stream',
            'last-event-id': lastEventId,
          }),
        parse: (text) => this.#parse(text),
      },
      { ...this.#limitsOf(options), lastEventId: options.lastEventId },
    )
  }

  #limitsOf(options: CallOptions) {
    checkLimits(options)
    const layer = (name: keyof typeof defaults) => options[name] ?? this.#options[name] ?? defaults[name]
    return {
      timeoutMs: layer('timeoutMs'),
      deadlineMs: layer('deadlineMs'),
      retries: layer('retries'),
      signal: options.signal ?? this.#options.signal,
    }
  }

  #urlOf({ service, path }: Operation, ids: readonly string[]): string {
    const base = this.#options[service]
    if (base === undefined) throw new TypeError(`this client has no address of ${service}`)
    let next = 0
    return base.replace(/\/$/, '') + path.replace(/:\w+/g, () => segmentOf(ids[next++]))
  }

  async #headersOf(
    service: Service,
    options: CallOptions,
    own: Record<string, string | undefined>,
  ): Promise<Headers> {
    const { apiKey, headers } = this.#options
    const key = typeof apiKey === 'function' ? await apiKey(service) : apiKey
    const all = new Headers()
    // Letter case makes no difference: the last one counts.
    const set = (given: Record<string, string | undefined> = {}) => {
      for (const [name, value] of Object.entries(given)) if (value !== undefined) all.set(name, value)
    }
    set({ authorization: key && `Bearer ${key}` })
    set(headers)
    set(options.headers)
    if (all.has('idempotency-key')) throw new TypeError('an idempotency key is an option, not a header')
    set(own)
    return all
  }

  #parse(text: string): unknown {
    return JSON.parse(this.#options.decimals === 'string' ? quoteAmounts(text) : text)
  }

  readonly #fetch: Fetch = (url, init) => (this.#options.fetch ?? fetch)(url, init)
}

/** The segment of a path. An empty one, or dots, would be another path. */
function segmentOf(id: unknown): string {
  if (typeof id === 'string' && /[^.]/.test(id)) return encodeURIComponent(id)
  throw new TypeError(`${JSON.stringify(id)} is not an id`)
}

function queryOf(input: unknown): string {
  const given = Object.entries(input ?? {}).filter(([, value]) => value != null)
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]))
  return given.length > 0 ? `?${query}` : ''
}

/** JSON would make null of them, and an amount of null is all there is. */
function refuseNaN(name: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isFinite(value)) return value
  throw new TypeError(`${name} is ${value}`)
}

/** Pages without HTTPS have no `randomUUID`. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return crypto.randomUUID?.() ?? Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** `balance` has another answer for a past time. */
type BalanceOf<Amount> = {
  balance(accountId: string, query?: { at?: undefined }, options?: CallOptions): Promise<Balance<Amount>>
  balance(
    accountId: string,
    query: { at: string; time: 'effective' },
    options?: CallOptions,
  ): Promise<EffectiveBalance<Amount>>
  balance(
    accountId: string,
    query: { at: string; time?: 'recorded' },
    options?: CallOptions,
  ): Promise<RecordedBalance<Amount>>
}

export type SaldoClient<Amount = number | string> = Client &
  Omit<Operations<Amount>, 'balance'> &
  BalanceOf<Amount>
export const SaldoClient = Client as unknown as new <D extends Decimals = 'number'>(
  options: SaldoOptions<D>,
) => SaldoClient<AmountOf<D>>
