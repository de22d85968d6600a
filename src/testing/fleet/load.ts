/**
 * A steady load through two balancers: transfers, some that the payer cannot afford, legs, holds that are
 * captured later, and reads that wait for what was just written. Every answer is counted.
 */
import { random } from '../random.ts'

export type LoadOptions = {
  walletPort: number
  balancesPort: number
  accounts: readonly string[]
  perSecond: number
  /** Whether a request without an answer is sent again, under the same key. */
  repeats: boolean
}

type Answer = { status: number; body: Record<string, unknown>; token: string | null }

/** Of all requests; each of the others is a transfer. */
const shares = { tooMuch: 0.02, hold: 0.04, postings: 0.02 }
/** Of the transfers. */
const readShare = 0.1
const tickMs = 10
/** Requests in flight. On a machine that is too slow for the rate there are fewer, and no more wait. */
const inFlightMax = 50
/** For how long a request is repeated, and how long before that, in milliseconds. */
const repeatMs = 60_000
const pauseMs = 50
const waitSeconds = 30

export class Load {
  /** By kind and status, such as `transfer 201`. */
  readonly answers = new Map<string, number>()
  /** Ids of transactions that were answered with 201, with the key of the request. */
  readonly accepted = new Map<string, string>()
  /** Details of answers that are none of 2xx, 409 and 422. */
  readonly strange: string[] = []
  /** Of the time since `takeFigures`. Reads are from the answer of a transfer until its payer was read. */
  #figures = { accepted: 0, repeated: 0, slowestReadMs: 0, longestGapMs: 0 }
  readonly #run = crypto.randomUUID().slice(0, 8)
  readonly #pending = new Set<Promise<void>>()
  readonly #options: LoadOptions
  readonly #timer: Timer
  #sent = 0
  #inFlight = 0
  #lastReadAt = performance.now()

  constructor(options: LoadOptions) {
    this.#options = options
    const begun = performance.now()
    let due = 0
    this.#timer = setInterval(() => {
      for (const owed = ((performance.now() - begun) / 1000) * options.perSecond; due < owed; due++) {
        if (this.#inFlight >= inFlightMax) continue
        const running: Promise<void> = this.#one().finally(() => this.#pending.delete(running))
        this.#pending.add(running)
      }
    }, tickMs)
  }

  /** Resolves once all that was sent is answered. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }

  /** Accepted and repeated requests, and times in milliseconds, since the last call. */
  takeFigures() {
    // A gap that has not ended counts, too.
    this.#noteGap()
    const figures = this.#figures
    this.#figures = { accepted: 0, repeated: 0, slowestReadMs: 0, longestGapMs: 0 }
    return figures
  }

  async #one(): Promise<void> {
    const { accounts } = this.#options
    const drawn = random()
    const [from, to] = pair(accounts)
    const parties = { account_id_from: from, account_id_to: to }
    if (drawn < shares.tooMuch) {
      await this.#post('too much', '/transactions', { ...parties, amount: 100_000_000 })
    } else if (drawn < shares.tooMuch + shares.hold) {
      const { status, body } = await this.#post('hold', '/holds', { ...parties, amount: 2 })
      if (status !== 201) return
      // Often after the process that placed it was replaced.
      await Bun.sleep(random() * 5000)
      await this.#post('capture', `/holds/${body.id}/capture`, { amount: 1 })
    } else if (drawn < shares.tooMuch + shares.hold + shares.postings) {
      const back = { account_id_from: to, account_id_to: from, amount: 1 }
      await this.#post('postings', '/transactions', { postings: [{ ...parties, amount: 2 }, back] })
    } else {
      const { token } = await this.#post('transfer', '/transactions', { ...parties, amount: 1 })
      if (token && random() < readShare) await this.#read(from, token)
    }
  }

  async #post(kind: string, path: string, body: unknown): Promise<Answer> {
    const key = `${this.#run}-${++this.#sent}`
    const answer = await this.#send(kind, `http://127.0.0.1:${this.#options.walletPort}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    })
    if (answer.status === 201 && kind !== 'hold') {
      this.accepted.set(String(answer.body.id), key)
      this.#figures.accepted++
    }
    return answer
  }

  async #read(account: string, token: string): Promise<void> {
    const begun = performance.now()
    const { status } = await this.#send(
      'read',
      `http://127.0.0.1:${this.#options.balancesPort}/balances/${account}`,
      { headers: { 'consistency-token': token, prefer: `wait=${waitSeconds}` } },
    )
    if (status !== 200) return
    this.#figures.slowestReadMs = Math.max(this.#figures.slowestReadMs, performance.now() - begun)
    this.#noteGap()
    this.#lastReadAt = performance.now()
  }

  #noteGap(): void {
    const gapMs = performance.now() - this.#lastReadAt
    this.#figures.longestGapMs = Math.max(this.#figures.longestGapMs, gapMs)
  }

  async #send(kind: string, url: string, init: RequestInit): Promise<Answer> {
    const deadline = performance.now() + repeatMs
    this.#inFlight++
    let answer = await call(url, init)
    while (this.#options.repeats && answer.status >= 500 && performance.now() < deadline) {
      this.#figures.repeated++
      await Bun.sleep(pauseMs)
      answer = await call(url, init)
    }
    this.#inFlight--
    const { status, body } = answer
    const name = `${kind} ${status}`
    this.answers.set(name, (this.answers.get(name) ?? 0) + 1)
    const isFine = (status >= 200 && status < 300) || status === 409 || status === 422
    if (!isFine && this.strange.length < 10) this.strange.push(`${name}: ${JSON.stringify(body)}`)
    return answer
  }
}

/** Status 599 where the connection failed. */
async function call(url: string, init: RequestInit): Promise<Answer> {
  try {
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(repeatMs) })
    const text = await answer.text()
    const body = /json/.test(answer.headers.get('content-type') ?? '') ? JSON.parse(text) : { text }
    return { status: answer.status, body, token: answer.headers.get('consistency-token') }
  } catch (error) {
    return { status: 599, body: { detail: (error as Error).message }, token: null }
  }
}

function pair(accounts: readonly string[]): [string, string] {
  const from = Math.floor(random() * accounts.length)
  const to = (from + 1 + Math.floor(random() * (accounts.length - 1))) % accounts.length
  return [accounts[from] as string, accounts[to] as string]
}

/**
 * Funded accounts of one client, opened over HTTP: so many that the batches of two wallets rarely want the
 * same. Two wallets that compete for a few accounts refuse some requests, with 503, on a busy machine.
 */
export async function openAccounts(walletPort: number, count = 500): Promise<string[]> {
  const post = async (path: string, body: unknown): Promise<string> => {
    const answer = await call(`http://127.0.0.1:${walletPort}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (answer.status !== 201) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return String(answer.body.id)
  }
  const client = await post('/clients', { name: 'Fleet', email: 'fleet@example.com' })
  const ids: string[] = []
  const open = async () => {
    while (ids.length < count) {
      const place = ids.push('') - 1
      const id = await post('/accounts', { client_id: client })
      await post(`/accounts/${id}/deposits`, { amount: 100_000 })
      ids[place] = id
    }
  }
  await Promise.all(Array.from({ length: inFlightMax }, open))
  return ids
}
