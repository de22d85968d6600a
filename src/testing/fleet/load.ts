/**
 * A steady load through two balancers: transfers, some that the payer cannot afford, legs, holds that are
 * captured later, and reads that wait for what was just written. Every answer is counted.
 */
import { random } from '../random.ts'

export type Load = {
  /** By kind and status, such as `transfer 201`. */
  answers: Map<string, number>
  /** Ids of transactions that were answered with 201, with the key of the request. */
  accepted: Map<string, string>
  /** Requests that were sent again under their key, because there was no answer or a 5xx. */
  repeated: number
  /** The longest time from the answer of a transfer until its payer was read, in milliseconds. */
  slowestReadMs: number
  /** The longest time in which no read ended, in milliseconds. */
  longestGapMs: number
  /** Details of answers that are none of 2xx, 409 and 422. */
  strange: string[]
  /** Resolves once all that was sent is answered. */
  stop(): Promise<void>
}

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
const inFlightMax = 100
/** For how long a request is repeated. */
const repeatMs = 60_000
const waitSeconds = 30

export function startLoad(options: LoadOptions): Load {
  const { accounts, perSecond, repeats } = options
  const run = crypto.randomUUID().slice(0, 8)
  const pending = new Set<Promise<void>>()
  let inFlight = 0
  let sent = 0
  let lastReadAt = performance.now()
  const load = {
    answers: new Map<string, number>(),
    accepted: new Map<string, string>(),
    strange: [] as string[],
    ...{ repeated: 0, slowestReadMs: 0, longestGapMs: 0 },
  }
  const count = (kind: string, { status, body }: Answer) => {
    const name = `${kind} ${status}`
    load.answers.set(name, (load.answers.get(name) ?? 0) + 1)
    const isFine = (status >= 200 && status < 300) || status === 409 || status === 422
    if (!isFine && load.strange.length < 10) load.strange.push(`${name}: ${JSON.stringify(body)}`)
  }

  const send = (url: string, init: RequestInit): Promise<Answer> => {
    inFlight++
    return call(url, init).finally(() => inFlight--)
  }
  const post = async (kind: string, path: string, body: unknown): Promise<Answer> => {
    const key = `${run}-${++sent}`
    const deadline = performance.now() + repeatMs
    for (;;) {
      const answer = await send(`http://127.0.0.1:${options.walletPort}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      })
      if (repeats && answer.status >= 500 && performance.now() < deadline) {
        load.repeated++
        await Bun.sleep(50)
        continue
      }
      count(kind, answer)
      if (answer.status === 201 && kind !== 'hold') load.accepted.set(String(answer.body.id), key)
      return answer
    }
  }
  const read = async (account: string, token: string) => {
    const begun = performance.now()
    const deadline = begun + repeatMs
    for (;;) {
      const answer = await send(`http://127.0.0.1:${options.balancesPort}/balances/${account}`, {
        headers: { 'consistency-token': token, prefer: `wait=${waitSeconds}` },
      })
      if (repeats && answer.status >= 500 && performance.now() < deadline) {
        load.repeated++
        await Bun.sleep(50)
        continue
      }
      count('read', answer)
      const now = performance.now()
      load.slowestReadMs = Math.max(load.slowestReadMs, now - begun)
      load.longestGapMs = Math.max(load.longestGapMs, now - lastReadAt)
      lastReadAt = now
      return
    }
  }
  const one = async () => {
    const drawn = random()
    const [from, to] = pair(accounts)
    const parties = { account_id_from: from, account_id_to: to }
    if (drawn < shares.tooMuch) {
      await post('too much', '/transactions', { ...parties, amount: 100_000_000 })
    } else if (drawn < shares.tooMuch + shares.hold) {
      const { status, body } = await post('hold', '/holds', { ...parties, amount: 2 })
      if (status !== 201) return
      // Often after the process that placed it was replaced.
      await Bun.sleep(random() * 5000)
      await post('capture', `/holds/${body.id}/capture`, { amount: 1 })
    } else if (drawn < shares.tooMuch + shares.hold + shares.postings) {
      const back = { account_id_from: to, account_id_to: from, amount: 1 }
      await post('postings', '/transactions', { postings: [{ ...parties, amount: 2 }, back] })
    } else {
      const { token } = await post('transfer', '/transactions', { ...parties, amount: 1 })
      if (token && random() < readShare) await read(from, token)
    }
  }

  const begun = performance.now()
  let due = 0
  const timer = setInterval(() => {
    for (const owed = ((performance.now() - begun) / 1000) * perSecond; due < owed; due++) {
      if (inFlight >= inFlightMax) continue
      const running: Promise<void> = one().finally(() => pending.delete(running))
      pending.add(running)
    }
  }, tickMs)
  return Object.assign(load, {
    async stop() {
      clearInterval(timer)
      while (pending.size > 0) await Promise.all(pending)
    },
  })
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

/** Funded accounts of one client, opened over HTTP. */
export async function openAccounts(walletPort: number, count: number): Promise<string[]> {
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
  return Promise.all(
    Array.from({ length: count }, async () => {
      const id = await post('/accounts', { client_id: client })
      await post(`/accounts/${id}/deposits`, { amount: 100_000 })
      return id
    }),
  )
}
