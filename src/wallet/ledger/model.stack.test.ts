/**
 * For any requests in any order, a wallet answers what a ledger on paper would answer,
 * and its tables say the same afterwards. Several sequences go on at once, each in a currency of
 * its own, so that their commands share batches, and each has a `world` of its own.
 */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { openDatabase } from '../../platform/postgres/database'
import { findFaults, findOutboxFaults } from '../../testing/ledger-faults'
import {
  type Changed,
  digitsMax,
  isRefusal,
  LedgerModel,
  type Note,
  outsideOf,
  type Paid,
  type Payment,
  type Posted,
  type Promised,
  type Refusal,
  type Status,
} from '../../testing/ledger-model'
import { holdLead } from '../../testing/outbox'
import { casesOf } from '../../testing/random'
import type { Answer } from '../../testing/stack'
import { log, startWallets, steadyClock, type Wallets } from '../../testing/wallets'
import { expireHolds } from '../maintenance/sweep'
import { CommitQueue } from './commit-queue'
import type { CommandRequest, RequestResult } from './decide-request'
import { execute } from './execute'
import { tryOptimistic } from './optimistic'
import { createOptimisticState } from './optimistic-state'

/**
 * Currencies with all the decimals that there are. No account is in CHF, so it has no
 * `world` either.
 */
const lanes = { BRL: 2, JPY: 0, BHD: 3, USD: 2 }
const runsPerLane = casesOf(20)

const often = <T>(usual: T[], seldom: T[]) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...usual) },
    { weight: 1, arbitrary: fc.constantFrom(...seldom) },
  )
const party = often(['plain', 'rich', 'overdrawing', 'boundless'], ['foreign', 'nobody', 'outside'])
/** `all` is the most that is possible, to the last cent, and `more` a cent more. */
const amount = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 20_000 }) },
  {
    weight: 3,
    arbitrary: often<'all' | 'more' | 'most' | 'zero' | 'negative' | 'broken' | 'long'>(
      ['all', 'more'],
      ['most', 'zero', 'negative', 'broken', 'long'],
    ),
  },
)
const part = fc.oneof(fc.constant('none' as const), amount)
const note: fc.Arbitrary<Note> = fc.record({
  reference: fc.option(fc.constantFrom('rent', '“två”\n😀')),
  metadata: fc.option(fc.constantFrom({ lines: [1, { x: null }] }, {})),
  effective_at: fc.option(
    fc.constantFrom('opening', 'opening', 'opening', '2020-02-29T00:00:00.001Z', '2999-01-01T00:00:00Z'),
    { freq: 1 },
  ),
})
const kind = fc.constantFrom<Payment['kind']>('transfer', 'transfer', 'deposit', 'withdrawal')
const payment = fc.record({
  kind,
  from: party,
  to: party,
  amount,
  note,
  otherCurrency: fc.integer({ min: 0, max: 20 }).map((n) => n === 20),
})
const keyed = fc.boolean()
const which = fc.nat({ max: 30 })
/** Of this sequence alone. */
const changeable = often(['plain', 'rich', 'overdrawing', 'boundless'], ['nobody', 'outside'])
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('pay' as const), payment, keyed }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('hold' as const), payment, keyed }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('capture' as const), which, part, note, keyed }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), which, keyed }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('expire' as const), which, release: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('reverse' as const), which, part, note, keyed }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('batch' as const),
      mode: fc.constantFrom('atomic', 'best_effort', undefined),
      payments: fc.array(payment, { minLength: 1, maxLength: 5 }),
      keyed,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('post' as const),
      payments: fc.array(payment, { minLength: 2, maxLength: 6 }),
      note,
      keyed,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unpost' as const), which, note, part, keyed }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('status' as const),
      on: changeable,
      status: often<Status>(['frozen', 'debits_frozen', 'open', 'open', 'open', 'open'], ['closed']),
      keyed,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('limit' as const),
      on: changeable,
      limit: fc.constantFrom(0n, 100n, 5_000n, digitsMax),
      keyed,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('extend' as const), which, days: fc.nat(60), keyed }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('repeat' as const), which, changed: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('look' as const), which }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type AskedPayment = Extract<Step, { do: 'pay' }>['payment']
type AskedAmount = AskedPayment['amount'] | 'none'

test('a wallet answers what a ledger on paper would answer, and so do its tables', async () => {
  // The test holds the relay lock, so no wallet relays or sweeps: events stay in the outbox, and holds
  // expire only when the test says so.
  await using wallets = await startWallets(1, holdLead)
  await using sweeping = sweeper(wallets)
  const irene = (await wallets.wallet.post('/clients', { name: 'Irene', email: 'irene@example.com' })).body.id
  const foreign = (await wallets.wallet.post('/accounts', { client_id: irene, currency: 'EUR' })).body.id

  const running = Object.entries(lanes).map(([currency, decimals]) =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), async (steps) => {
        const sequence = new Sequence(wallets, sweeping.sweep, { currency, decimals })
        await sequence.open(String(irene), String(foreign))
        for (const one of steps) await sequence.take(one)
        await sequence.compareTables()
        expect(await findFaults(wallets.sql)).toEqual([])
      }),
      { numRuns: runsPerLane, interruptAfterTimeLimit: 150_000, markInterruptAsFailure: true },
    ),
  )
  const failed = (await Promise.allSettled(running)).flatMap((lane) =>
    lane.status === 'rejected' ? lane.reason : [],
  )
  if (failed.length > 0) throw failed[0]
  expect(await findOutboxFaults(wallets.sql)).toEqual([])
})

/** Another process of the same ledger, which ends what is past its time, one caller at a time. */
function sweeper({ config }: Wallets) {
  const database = openDatabase({ ...config.database, poolMax: 1, applicationName: 'sweeper' })
  const ledger = {
    database,
    log,
    clock: steadyClock(),
    onAppended: () => {},
    optimistic: createOptimisticState(),
  }
  const commitQueue = new CommitQueue<CommandRequest, RequestResult>({
    tryOptimistic: (requests) => tryOptimistic(ledger, requests),
    execute: (requests, again) => execute(ledger, requests, again),
    sizeOf: (request) => request.commands.length,
    ...{ sizeMax: 500, queueMax: 500, waitMaxMs: 10_000 },
  })
  let last = Promise.resolve()
  return {
    /** No other sweep runs during `before`. */
    sweep(before: () => Promise<void>): Promise<void> {
      last = last
        .catch(() => {})
        .then(before)
        .then(() =>
          expireHolds({
            database,
            clock: ledger.clock.now,
            commitQueue,
            keysInProgress: new Map(),
            epoch: () => 1,
          }),
        )
      return last
    },
    [Symbol.asyncDispose]: () => database.close(),
  }
}

type Kept = {
  method: 'post' | 'patch'
  path: string
  body: Record<string, unknown>
  key: string
  answer: Answer
}

class Sequence {
  readonly #model = new LedgerModel()
  readonly #names = new Map<string, string>([['nobody', crypto.randomUUID()]])
  readonly #kept: Kept[] = []
  readonly #name = crypto.randomUUID()
  #taken = 0
  /** When the newest of its accounts was opened: `opening` of a note. */
  #opening = ''

  constructor(
    readonly wallets: Wallets,
    readonly sweep: (before: () => Promise<void>) => Promise<void>,
    readonly kept: { currency: string; decimals: number },
  ) {}

  /** Four accounts of its own: two with money, two with a limit below zero, one of them unused. */
  async open(client: string, foreign: string): Promise<void> {
    const { currency } = this.kept
    const limits = { plain: 0n, rich: 0n, overdrawing: 5_000n, boundless: digitsMax }
    for (const [name, limit] of Object.entries(limits)) {
      const asked = { client_id: client, currency, overdraft_limit: this.#text(limit) }
      const opened = await this.wallets.wallet.post('/accounts', asked)
      expect(opened).toMatchObject({ status: 201, body: { balance: 0, version: 0 } })
      this.#names.set(name, String(opened.body.id))
      this.#opening = String(opened.body.created_at)
      const since = Date.parse(this.#opening)
      this.#model.accounts.set(String(opened.body.id), {
        currency,
        balance: 0n,
        limit,
        version: 0,
        opened: since,
      })
    }
    this.#names.set('foreign', foreign).set('outside', outsideOf(currency))
    this.#model.accounts.set(foreign, { currency: 'EUR', balance: 0n, limit: 0n, version: 0, opened: 0 })
    const [outside] = await this.wallets.sql`
      select balance_minor::text as balance, version::int from accounts where id = ${outsideOf(currency)}`
    const { balance, version } = outside as { balance: string; version: number }
    this.#model.accounts.set(outsideOf(currency), {
      currency,
      balance: BigInt(balance),
      limit: null,
      version,
      opened: 0,
    })
    for (const [to, amount] of [
      ['plain', 10_000],
      ['rich', 100_000],
    ] as const)
      await this.#pay(
        { kind: 'deposit', from: 'nobody', to, amount, note: noNote, otherCurrency: false },
        false,
      )
  }

  async take(step: Step): Promise<void> {
    this.#taken++
    if (step.do === 'pay') return this.#pay(step.payment, step.keyed)
    if (step.do === 'hold') return this.#hold(step.payment, step.keyed)
    if (step.do === 'batch') return this.#batch(step.payments, step.mode, step.keyed)
    if (step.do === 'post') return this.#post(step)
    if (step.do === 'unpost') return this.#unpost(step)
    if (step.do === 'repeat')
      return this.#repeat(this.#kept[step.which % (this.#kept.length || 1)], step.changed)
    if (step.do === 'look') return this.#look(step.which)
    if (step.do === 'status') return this.#setStatus(this.#id(step.on), step.status, step.keyed)
    if (step.do === 'limit') return this.#setLimit(this.#id(step.on), step.limit, step.keyed)
    if (step.do === 'reverse') {
      // One past the last is a transaction that does not exist.
      const paid = this.#model.payments[step.which % (this.#model.payments.length + 1)]
      const left = paid ? paid.amount - paid.takenBack : 0n
      const { body, minor, isReadable } = this.#part(step.part, left, this.#at(step.note))
      const path = `/transactions/${paid?.id ?? crypto.randomUUID()}/reverse`
      if (!paid) return void (await this.#refused(path, body, { status: 404, code: 'TRANSACTION_NOT_FOUND' }))
      if (!isReadable) return void (await this.#refused(path, body, unreadable))
      return this.#ask(path, body, step.keyed, () => this.#model.reverse(paid, minor, this.#at(step.note)))
    }
    const promised = this.#model.promises[step.which % (this.#model.promises.length + 1)]
    const path = `/holds/${promised?.id ?? crypto.randomUUID()}`
    if (step.do === 'extend') return this.#extend(promised, path, step)
    if (step.do === 'expire')
      return promised?.status === 'placed' ? this.#expire(promised, step.release) : undefined
    if (step.do === 'release') {
      if (!promised)
        return void (await this.#refused(`${path}/release`, {}, { status: 404, code: 'HOLD_NOT_FOUND' }))
      return this.#ask(`${path}/release`, {}, step.keyed, () => this.#model.release(promised))
    }
    const { body, minor, isReadable } = this.#part(step.part, promised?.amount ?? 0n, this.#at(step.note))
    if (!promised)
      return void (await this.#refused(`${path}/capture`, body, { status: 404, code: 'HOLD_NOT_FOUND' }))
    if (!isReadable) return void (await this.#refused(`${path}/capture`, body, unreadable))
    return this.#ask(`${path}/capture`, body, step.keyed, () =>
      this.#model.capture(promised, minor, this.#at(step.note)),
    )
  }

  /** Accounts and holds in the database are those on paper. */
  async compareTables(): Promise<void> {
    const ids = ['plain', 'rich', 'overdrawing', 'boundless', 'outside'].map((name) => this.#id(name))
    const accounts = await this.wallets.sql`
      select id, balance_minor::text as balance, held_minor::text as held, version::int, status,
        overdraft_limit_minor::text as limit
      from accounts where id = any(${ids}) order by id`
    const onPaper = ids.toSorted().map((id) => {
      const { balance, version, status = 'open', limit } = this.#account(id)
      const held = String(this.#model.held(id))
      return {
        id,
        balance: String(balance),
        held,
        version,
        status,
        limit: limit === null ? null : String(limit),
      }
    })
    expect([...accounts]).toEqual(onPaper)
    const promises = this.#model.promises
    const holds = await this.wallets.sql`
      select id, status, captured_minor::text as captured
      from holds where id = any(${promises.map(({ id }) => id)}) order by id`
    expect([...holds]).toEqual(
      promises
        .map(({ id, status, captured }) => ({
          id,
          status,
          captured: captured === null ? null : String(captured),
        }))
        .sort((one, other) => (one.id < other.id ? -1 : 1)),
    )
  }

  async #pay(asked: AskedPayment, keyed: boolean): Promise<void> {
    const { payment, body, isReadable } = this.#payment(asked)
    const { account_id_from: from, account_id_to: to, kind, ...movement } = body
    const path = {
      transfer: '/transactions',
      deposit: `/accounts/${payment.to}/deposits`,
      withdrawal: `/accounts/${payment.from}/withdrawals`,
    }[payment.kind]
    const sent = kind ? movement : { account_id_from: from, account_id_to: to, ...movement }
    if (!isReadable) return void (await this.#refused(path, sent, unreadable))
    return this.#ask(path, sent, keyed, () => this.#model.pay(payment))
  }

  async #hold(asked: AskedPayment, keyed: boolean): Promise<void> {
    // A deposit of it makes no sense; of a withdrawal it is a promise to the outside.
    const kind = asked.kind === 'withdrawal' ? 'withdrawal' : 'transfer'
    const { payment, body } = this.#payment({ ...asked, kind })
    const { isReadable } = this.#payment({ ...asked, kind, note: noNote })
    const { kind: _, effective_at: __, ...sent } = body
    if (!isReadable) return void (await this.#refused('/holds', sent, unreadable))
    const toOutside = payment.kind === 'withdrawal'
    return this.#ask('/holds', sent, keyed, () => this.#model.promise({ ...payment, toOutside }))
  }

  /** The legs have one currency, reference, metadata and time. */
  async #post({ payments: asked, note, keyed }: Extract<Step, { do: 'post' }>): Promise<void> {
    const shared = { note, otherCurrency: false }
    const read = asked.map((one) => this.#payment({ ...one, ...shared }))
    const postings = read.map(({ body: { account_id_from, account_id_to, amount } }) => ({
      ...(account_id_from ? { account_id_from } : {}),
      ...(account_id_to ? { account_id_to } : {}),
      amount,
    }))
    const { currency } = this.kept
    const at = this.#at(note)
    const body = { postings, ...(currency === 'BRL' ? {} : { currency }), ...noted(at) }
    if (!read.every((one) => one.isReadable)) {
      const { body: problem } = await this.#refused('/transactions', body, unreadable)
      const faulty = asked.flatMap((one, leg) =>
        this.#payment({ ...one, ...shared, note: noNote }).isReadable ? [] : `#/postings/${leg}/amount`,
      )
      const pointers = (problem.errors as { pointer: string }[]).map(({ pointer }) => pointer)
      return expect(pointers).toEqual(faulty.length > 0 ? faulty : ['#/effective_at'])
    }
    const payments = read.map((one) => one.payment)
    return this.#ask('/transactions', body, keyed, () => this.#model.post(payments, at))
  }

  async #unpost({ which, note, part: asked, keyed }: Extract<Step, { do: 'unpost' }>): Promise<void> {
    const posted = this.#model.postings[which % (this.#model.postings.length || 1)]
    if (!posted) return
    const total = posted.legs.reduce((sum, { amount }) => sum + amount, 0n)
    const at = this.#at(note)
    // An amount is refused, even the whole.
    const { body, minor, isReadable } = this.#part(asked === 'zero' ? asked : 'none', 1n, at)
    const path = `/transactions/${posted.id}/reverse`
    if (!isReadable) return void (await this.#refused(path, body, unreadable))
    if (minor === null && which % 4 === 0 && posted.reverses === null) {
      const { answer } = await this.#send(path, { ...body, amount: this.#text(total) }, false)
      const isLong = total > digitsMax
      const code = isLong ? 'VALIDATION' : 'REVERSAL_NOT_WHOLE'
      expect(answer).toMatchObject({ status: 422, body: { code } })
    }
    return this.#ask(path, body, keyed, () =>
      minor === null ? this.#model.reversePosted(posted, at) : { status: 422, code: 'AMOUNT_NOT_POSITIVE' },
    )
  }

  async #batch(asked: AskedPayment[], mode: string | undefined, keyed: boolean): Promise<void> {
    // What is possible to the last cent is said of the accounts as they stand before the batch.
    const read = asked.map((one) => this.#payment(one))
    const body = { ...(mode ? { mode } : {}), transactions: read.map((one) => one.body) }
    const path = '/transactions/batch'
    const faulty = read.flatMap(({ isReadable }, at) => (isReadable ? [] : [at]))
    if (faulty.length > 0) {
      const { body: problem } = await this.#refused(path, body, unreadable)
      const pointers = (problem.errors as { pointer: string }[]).map(({ pointer }) =>
        Number(pointer.split('/')[2]),
      )
      expect(pointers).toEqual(faulty)
      return
    }
    const payments = read.map(({ payment }) => payment)
    const { key, answer } = await this.#send(path, body, keyed)
    if (mode === 'best_effort') {
      const results = payments.map((payment) => this.#model.pay(payment))
      const refused = results.filter(isRefusal).length
      expect(answer).toMatchObject({ status: refused > 0 ? 200 : 201, body: { mode, refused } })
      for (const [at, one] of (
        answer.body.results as { status: number; transaction: object; problem: object }[]
      ).entries())
        this.#compare(results[at] as Paid | Refusal, one.status, one.transaction ?? one.problem)
    } else {
      const outcome = this.#model.payAll(payments)
      if (!Array.isArray(outcome)) {
        const errors = [{ code: outcome.code, pointer: `#/transactions/${outcome.at}` }]
        expect(answer).toMatchObject({ status: 422, body: { code: 'BATCH_REFUSED', errors } })
        expect(answer.body.errors).toBeArrayOfSize(1)
      } else {
        expect(answer).toMatchObject({ status: 201, body: { mode: 'atomic', refused: 0 } })
        for (const [at, one] of (answer.body.results as { status: number; transaction: object }[]).entries())
          this.#compare(outcome[at] as Paid, one.status, one.transaction)
      }
    }
    if (key) this.#kept.push({ method: 'post', path, body, key, answer })
  }

  #setStatus(id: string, status: Status, keyed: boolean): Promise<void> {
    const [verb, body] = {
      frozen: ['freeze', {}] as const,
      debits_frozen: ['freeze', { scope: 'debits' }] as const,
      open: ['unfreeze', {}] as const,
      closed: ['close', {}] as const,
    }[status]
    const request = { method: 'post', path: `/accounts/${id}/${verb}`, body, keyed } as const
    return this.#change(request, () => this.#model.setStatus(id, status))
  }

  #setLimit(id: string, limit: bigint, keyed: boolean): Promise<void> {
    const body = { overdraft_limit: this.#text(limit) }
    const request = { method: 'patch', path: `/accounts/${id}`, body, keyed } as const
    return this.#change(request, () => this.#model.setLimit(id, limit))
  }

  #extend(
    promised: Promised | undefined,
    path: string,
    { days, keyed }: { days: number; keyed: boolean },
  ): Promise<void> {
    const expires = Date.now() + (days + 1) * 86_400_000
    const body = { expires_at: new Date(expires).toISOString() }
    return this.#change({ method: 'patch', path, body, keyed }, () =>
      promised ? this.#model.extend(promised, expires) : { status: 404, code: 'HOLD_NOT_FOUND' },
    )
  }

  /** Of an account or a hold, answered with it as it is then. */
  async #change(
    { keyed, ...request }: Pick<Kept, 'method' | 'path' | 'body'> & { keyed: boolean },
    onPaper: () => Changed | Promised | Refusal,
  ): Promise<void> {
    const key = keyed ? `${this.#name} ${this.#taken}` : undefined
    const { method, path, body } = request
    const answer = await this.wallets.wallet[method](path, body, key ? { 'idempotency-key': key } : {})
    const expected = onPaper()
    if (isRefusal(expected)) expect({ ...answer.body, status: answer.status }).toMatchObject(expected)
    else {
      const { id, status, version } = expected
      const shown =
        'limit' in expected
          ? { id, status, version, overdraft_limit: this.#number(expected.limit) }
          : this.#shown(expected)
      expect(answer).toMatchObject({ status: 200, body: shown })
      const account = 'limit' in expected ? id : expected.from
      expect(answer.headers.get('consistency-token')).toBe(`${account}:${version}`)
    }
    // What does not exist is found out before the ledger is asked. `world` is refused there.
    const isAsked = answer.status !== 404 || path.includes(this.#id('outside'))
    if (key && isAsked) this.#kept.push({ ...request, key, answer })
  }

  #account = (id: string) =>
    this.#model.accounts.get(id) as NonNullable<ReturnType<LedgerModel['accounts']['get']>>

  /**
   * A retry gets the same answer; another request under the same key is rejected. Nothing
   * happens either way.
   */
  async #repeat(kept: Kept | undefined, changed: boolean): Promise<void> {
    if (!kept) return
    const { method, path, body, key, answer } = kept
    const headers = { 'idempotency-key': key }
    // These take no reference.
    if (changed && !path.endsWith('/release') && !/^\/holds\/[^/]+$/.test(path)) {
      const other =
        'transactions' in body
          ? { ...body, mode: body.mode === 'best_effort' ? 'atomic' : 'best_effort' }
          : { ...body, reference: 'other' }
      const refused = await this.wallets.wallet[method](path, other, headers)
      expect(refused).toMatchObject({ status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
      return
    }
    const again = await this.wallets.wallet[method](
      path,
      Object.fromEntries(Object.entries(body).reverse()),
      headers,
    )
    // When a hold ends its time is made to be over, see `#expire`.
    const lasting = ({ trace_id: _, expires_at: __, ...rest }: Answer['body']) => rest
    expect([again.status, lasting(again.body)]).toEqual([answer.status, lasting(answer.body)])
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    for (const name of ['location', 'consistency-token'])
      expect(again.headers.get(name)).toBe(answer.headers.get(name))
  }

  async #look(which: number): Promise<void> {
    const { wallet } = this.wallets
    const id = this.#id(['plain', 'rich', 'overdrawing', 'boundless'][which % 4] ?? '')
    const account = this.#model.accounts.get(id) as { balance: bigint; version: number; limit: bigint }
    const [held, { balance, version, limit }] = [this.#model.held(id), account]
    const numbers = { balance, held, available: balance - held, overdraft_limit: limit }
    const shown = Object.fromEntries(
      Object.entries(numbers).map(([name, minor]) => [name, this.#number(minor)]),
    )
    expect(await wallet.get(`/accounts/${id}`)).toMatchObject({ status: 200, body: { ...shown, version } })

    const line = ({ from, versions }: Paid) => versions[from === id ? 0 : 1]
    const isOwn = ({ from, to }: Paid) => from === id || to === id
    const own = [
      ...this.#model.payments.filter(isOwn).map((paid) => ({ id: paid.id, line: line(paid) })),
      ...this.#model.postings.flatMap((posted) => {
        const first = posted.legs.find(isOwn)
        return first ? { id: posted.id, line: line(first) } : []
      }),
    ].sort((a, b) => b.line - a.line)
    const listed = (await wallet.get(`/transactions?account_id=${id}&limit=200`)).body.data as {
      id: string
    }[]
    expect(listed.map((one) => one.id)).toEqual(own.map((paid) => paid.id))
    const promised = this.#model.promises[which % (this.#model.promises.length || 1)]
    if (promised)
      expect(await wallet.get(`/holds/${promised.id}`)).toMatchObject({
        status: 200,
        body: this.#shown(promised),
      })
  }

  /**
   * Its time is over at once, without anybody waiting for it: nothing can be had of it any more,
   * and the first one ends it.
   */
  async #expire(promised: Promised, release: boolean): Promise<void> {
    await this.sweep(async () => {
      await this.wallets
        .sql`update holds set expires_at = now() - interval '1 second' where id = ${promised.id}`
      promised.late = true
      await this.#ask(`/holds/${promised.id}/capture`, {}, false, () =>
        this.#model.capture(promised, null, noNote),
      )
      if (release)
        await this.#ask(`/holds/${promised.id}/release`, {}, false, () => this.#model.release(promised))
    })
    if (!release) this.#model.release(promised, 'expired')
    expect(await this.wallets.wallet.get(`/holds/${promised.id}`)).toMatchObject({
      body: this.#shown(promised),
    })
  }

  /** Sends what can be read, and compares the answer with the model's. */
  async #ask(
    path: string,
    body: Record<string, unknown>,
    keyed: boolean,
    onPaper: () => Paid | Posted | Promised | Refusal,
  ) {
    const { key, answer } = await this.#send(path, body, keyed)
    const before = new Map(this.#model.promises.map((promised) => [promised, promised.status]))
    const expected = onPaper()
    const isEnding = 'status' in expected && before.has(expected as Promised)
    this.#compare(expected, answer.status, answer.body, isEnding ? 200 : 201)
    expect(answer.headers.get('idempotency-replayed')).toBeNull()
    if (!isRefusal(expected)) {
      expect(answer.headers.get('consistency-token')).toBe(tokenOf(expected))
      const location = isEnding ? null : `/${'placed' in expected ? 'holds' : 'transactions'}/${expected.id}`
      expect(answer.headers.get('location')).toBe(location)
    }
    if (key) this.#kept.push({ method: 'post', path, body, key, answer })
  }

  /** Sends what cannot be read, or is about nothing: no key is used up by it. */
  async #refused(path: string, body: Record<string, unknown>, expected: Refusal): Promise<Answer> {
    const { answer } = await this.#send(path, body, true)
    expect(answer).toMatchObject({ status: expected.status, body: { code: expected.code } })
    expect((await this.#send(path, body, true)).answer.headers.get('idempotency-replayed')).toBeNull()
    return answer
  }

  async #send(path: string, body: Record<string, unknown>, keyed: boolean) {
    const key = keyed ? `${this.#name} ${this.#taken}` : undefined
    const answer = await this.wallets.wallet.post(path, body, key ? { 'idempotency-key': key } : {})
    return { key, answer }
  }

  #compare(expected: Paid | Posted | Promised | Refusal, status: number, body: object, success = 201): void {
    if (isRefusal(expected)) {
      const { at: leg, ...refusal }: Refusal & { at?: number } = expected
      expect({ ...body, status }).toMatchObject(refusal)
      if (leg !== undefined)
        expect(body).toMatchObject({ detail: expect.stringContaining(`posting ${leg}: `) })
      return
    }
    expect({ ...body, status }).not.toHaveProperty('code')
    expect(status).toBe(success)
    const answer = body as { id: string; created_at: string; effective_at: string; expires_at: string }
    if (expected.id === '') expected.id = answer.id
    if ('placed' in expected) {
      expected.placed = Date.parse(answer.created_at)
      expected.expires = Date.parse(answer.expires_at)
    } else expected.effective = Date.parse(answer.effective_at)
    expect(body).toMatchObject(this.#shown(expected))
  }

  #shown(one: Paid | Posted | Promised): Record<string, unknown> {
    const { reference, metadata, effective_at } = one.note
    if ('legs' in one)
      return {
        id: one.id,
        kind: one.reverses === null ? 'postings' : 'reversal',
        currency: this.kept.currency,
        reference,
        metadata,
        reverses: one.reverses,
        postings: one.legs.map(({ from, to, amount, versions }) => ({
          account_id_from: from,
          account_id_to: to,
          amount: this.#number(amount),
          version_account_id_from: versions[0],
          version_account_id_to: versions[1],
        })),
      }
    const parties = { account_id_from: one.from, account_id_to: one.to }
    const common = { id: one.id, ...parties, amount: this.#number(one.amount), reference, metadata }
    if ('versions' in one) {
      const [version_account_id_from, version_account_id_to] = one.versions
      const { kind, reverses, hold: hold_id } = one
      const effective = effective_at ? { effective_at: new Date(effective_at).toISOString() } : {}
      return {
        ...common,
        ...effective,
        currency: this.kept.currency,
        kind,
        reverses,
        hold_id,
        version_account_id_from,
        version_account_id_to,
      }
    }
    const captured = one.captured === null ? null : this.#number(one.captured)
    const transaction_id = one.paidBy?.id ?? null
    return {
      ...common,
      currency: this.kept.currency,
      status: one.status,
      captured,
      transaction_id,
      version_account_id_from: one.version,
    }
  }

  #at = (note: Note): Note => ({
    ...note,
    effective_at: note.effective_at === 'opening' ? this.#opening : note.effective_at,
  })

  #payment(asked: AskedPayment) {
    const note = this.#at(asked.note)
    const currency = asked.otherCurrency ? 'CHF' : this.kept.currency
    const [from, to] = [
      asked.kind === 'deposit' ? outsideOf(currency) : this.#id(asked.from),
      asked.kind === 'withdrawal' ? outsideOf(currency) : this.#id(asked.to),
    ]
    const most = asked.kind === 'deposit' ? 10_000n : this.#model.spendable(from)
    const { minor, sent, isReadable } = this.#amount(
      asked.amount,
      most,
      asked.otherCurrency ? 2 : this.kept.decimals,
    )
    const payment: Payment = { kind: asked.kind, from, to, amount: minor, currency, note }
    const body: Record<string, unknown> = {
      ...(asked.kind === 'transfer' ? {} : { kind: asked.kind }),
      ...(asked.kind === 'deposit' ? {} : { account_id_from: from }),
      ...(asked.kind === 'withdrawal' ? {} : { account_id_to: to }),
      amount: sent,
      // BRL goes without saying.
      ...(currency === 'BRL' ? {} : { currency }),
      ...noted(note),
    }
    return { payment, body, isReadable: isReadable && asked.note.effective_at !== future }
  }

  #part(asked: AskedAmount, most: bigint, note: AskedPayment['note']) {
    const { minor, sent, isReadable } = this.#amount(asked === 'none' ? 'all' : asked, most)
    const body: Record<string, unknown> = { ...(asked === 'none' ? {} : { amount: sent }), ...noted(note) }
    return {
      body,
      minor: asked === 'none' ? null : minor,
      isReadable: isReadable && note.effective_at !== future,
    }
  }

  /** As a number or as text, in turns. */
  #amount(asked: Exclude<AskedAmount, 'none'>, most: bigint, decimals = this.kept.decimals) {
    if (asked === 'broken')
      return { minor: 0n, sent: `${this.#text(1n, decimals)}${decimals ? '' : '.'}1`, isReadable: false }
    if (asked === 'long') return { minor: 0n, sent: '1000000000000000', isReadable: false }
    const named = { all: most, more: most + 1n, most: digitsMax, zero: 0n, negative: -1n }
    const minor = typeof asked === 'number' ? BigInt(asked) : named[asked]
    if (minor > digitsMax) return { minor: 0n, sent: this.#text(minor, decimals), isReadable: false }
    const text = this.#text(minor, decimals)
    return { minor, sent: this.#taken % 2 ? text : Number(text), isReadable: true }
  }

  #text(minor: bigint, decimals = this.kept.decimals): string {
    const digits = String(minor < 0n ? -minor : minor).padStart(decimals + 1, '0')
    const cut = digits.length - decimals
    return `${minor < 0n ? '-' : ''}${digits.slice(0, cut)}${decimals ? `.${digits.slice(cut)}` : ''}`
  }

  #number = (minor: bigint): number => Number(this.#text(minor))
  #id = (name: string): string => this.#names.get(name) ?? ''
}

/** The newest version of each account. */
function tokenOf(one: Paid | Posted | Promised): string {
  if ('placed' in one) return `${one.from}:${one.version}`
  const versions = new Map<string, number>()
  for (const { from, to, versions: led } of 'legs' in one ? one.legs : [one])
    versions.set(from, led[0]).set(to, led[1])
  return [...versions].map(([id, version]) => `${id}:${version}`).join()
}

const future = '2999-01-01T00:00:00Z'
const noNote: Note = { reference: null, metadata: null, effective_at: null }
const unreadable: Refusal = { status: 422, code: 'VALIDATION' }
const noted = ({ effective_at, ...rest }: AskedPayment['note']) => ({
  ...rest,
  ...(effective_at ? { effective_at } : {}),
})
