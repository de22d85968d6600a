/**
 * Several wallets on one database, all after the same few accounts, with and without connections
 * that are cut: what was answered is what happened.
 */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { eventually } from '../../testing/eventually'
import { casesOf, drawn, seeded } from '../../testing/random'
import type { Answer, Caller } from '../../testing/stack'
import { eva, expectSoundLedger, frank, startWallets, type Wallets } from '../../testing/wallets'

const people = [eva, frank]
const [callers, commandsEach] = [24, 4 * casesOf(2)]
/** Retries are bounded: after this many a wallet is considered stuck. */
const triesMax = 200

const command = fc.record({
  verb: fc.constantFrom(
    'pay',
    'pay',
    'pay',
    'deposit',
    'withdraw',
    'hold',
    'hold',
    'capture',
    'capture',
    'release',
    'reverse',
    'batch',
  ),
  amount: fc.integer({ min: 1, max: 40_000 }).map((minor) => minor / 100),
  forth: fc.boolean(),
  mode: fc.constantFrom('atomic', 'best_effort'),
  which: fc.nat(),
  /** How often it is sent at once, each time to another wallet. Without a key it must not be sent again. */
  keyed: fc.constantFrom('no', 'once', 'once', 'twice'),
})
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never

describe.each(drawn([2, 3, 4]))('%p wallets', (count) => {
  test.each([
    ['left alone', 0],
    ['with connections cut', 0.4],
  ])(
    '%s',
    seeded(async (_random, _name: string, share: number) => {
      await using wallets = await startWallets(count)
      const run = new Run(wallets)
      const asked = fc.sample(command, callers * commandsEach)
      const calling = Array.from({ length: callers }, async (_, caller) => {
        for (let index = caller; index < asked.length; index += callers)
          await run.ask(asked[index] as Command, index)
      })
      const cutting = share > 0 ? run.cut(share) : undefined
      await Promise.all(calling).finally(() => run.end())
      await cutting

      await run.expectAnswersAreTheLedger({ mayFail: share > 0 })
      await expectSoundLedger(wallets)
    }),
  )
})

type Moved = {
  id: string
  account_id_from: string
  account_id_to: string
  amount: number
  reference: string | null
}
type Held = Moved & { status: string }

class Run {
  /** By id: what was answered as done, the same however often it was answered. */
  readonly #moved = new Map<string, Moved>()
  readonly #held = new Map<string, Held>()
  readonly #answers: Answer[] = []
  /** References of what was sent without a key and answered with a 503: the result is unknown. */
  readonly #unknown = new Set<string>()
  #over = false

  constructor(readonly wallets: Wallets) {}

  async ask({ keyed, ...command }: Command, index: number): Promise<void> {
    const reference = `command ${index}`
    const { path, body } = this.#requestOf(command, reference)
    const key = keyed === 'no' ? undefined : `key ${index}`
    const answers = await Promise.all(
      Array.from({ length: keyed === 'twice' ? 2 : 1 }, (_, nth) =>
        this.#askUntilAnswered(path, body, { key, first: index + nth }),
      ),
    )
    expect(
      new Set(answers.map((answer) => JSON.stringify([answer?.status, answer?.body.id, answer?.body.code])))
        .size,
    ).toBe(1)
    for (const answer of answers) {
      if (!answer) this.#unknown.add(reference)
      else this.#learn(answer.body)
    }
  }

  /** Undefined when there is no key, and so no way to hear what came of it. */
  async #askUntilAnswered(
    path: string,
    body: object,
    { key, first }: { key: string | undefined; first: number },
  ) {
    const headers: Record<string, string> = key ? { 'idempotency-key': key } : {}
    for (let tried = 0; tried < triesMax; tried++) {
      const caller = this.wallets.callers[(first + tried) % this.wallets.callers.length] as Caller
      const answer = await caller.post(path, body, headers)
      this.#answers.push(answer)
      const isFinal = answer.status !== 503 && answer.body.code !== 'IDEMPOTENCY_IN_PROGRESS'
      if (isFinal) return answer
      if (!key) return undefined
    }
    throw new Error(`${path} has no answer after ${triesMax} tries`)
  }

  /** A share of all connections ends, again and again, each time after some more answers. */
  async cut(share: number): Promise<void> {
    while (!this.#over) {
      await this.wallets.cutConnections(share)
      const enough = this.#answers.length + 5
      await eventually(() => expect(this.#over || this.#answers.length >= enough).toBe(true), {
        intervalMs: 2,
      })
    }
  }

  end(): void {
    this.#over = true
  }

  async expectAnswersAreTheLedger({ mayFail }: { mayFail: boolean }): Promise<void> {
    const codes = new Set(
      this.#answers.flatMap(({ status, body }) => (status < 300 ? [] : `${status} ${body.code}`)),
    )
    for (const code of codes) expect([...refusals, ...(mayFail ? ['503 UNAVAILABLE'] : [])]).toContain(code)
    for (const { body } of this.#answers) expect(JSON.stringify(body)).not.toMatch(/deadlock|duplicate key/i)
    // Nor did the database have to refuse a batch for something other than a race: that would be
    // one command that spoils it for others.
    expect(this.wallets.errors).toEqual([])

    const { sql } = this.wallets
    const transactions = await eventually(
      () => sql<(Moved & { kind: string })[]>`
        select id, account_id_from, account_id_to, amount_minor::float8 / 100 as amount, reference, kind
        from transactions where reference like 'command %'`,
    )
    const known = transactions.filter(({ id }) => this.#moved.has(id))
    expect(known.length).toBe(this.#moved.size)
    for (const { kind: _, ...written } of known) expect(this.#moved.get(written.id)).toMatchObject(written)
    const untold = transactions
      .filter(({ id }) => !this.#moved.has(id))
      .map(({ reference }) => reference ?? '')
    expect(untold.filter((reference) => !this.#unknown.has(reference))).toEqual([])

    const holds = await sql<{ id: string; reference: string; status: string; endings: number }[]>`
      select id, reference, status,
        (select count(*)::int from transactions where hold_id = holds.id) as endings
      from holds`
    for (const { id, reference, status, endings } of holds) {
      const answered = this.#held.get(id)
      expect(answered !== undefined || this.#unknown.has(reference)).toBe(true)
      expect(endings).toBe(status === 'captured' ? 1 : 0)
      // The caller that was answered as the one to release it was that one.
      if (answered?.status === 'released') expect(status).toBe('released')
    }
    expect(holds.filter(({ id }) => this.#held.has(id)).length).toBe(this.#held.size)

    // Open holds are released, and nothing is held any more.
    for (const { id } of holds.filter(({ status }) => status === 'placed'))
      expect(await this.wallets.wallet.post(`/holds/${id}/release`, {})).toMatchObject({ status: 200 })
    const [held] = await sql`select sum(held_minor)::int as left from accounts`
    expect(held?.left).toBe(0)
  }

  #learn(body: Answer['body']): void {
    const results =
      'results' in body
        ? (body.results as { transaction?: Moved }[]).flatMap((one) => one.transaction ?? [])
        : [body as Moved]
    for (const one of results) {
      if (!one.id) continue
      const known = 'kind' in one ? this.#moved : this.#held
      const before = known.get(one.id) as Held | undefined
      // A released hold is published as released, perhaps before it is published as placed.
      if (before?.status !== 'released') known.set(one.id, one as Held)
    }
  }

  #requestOf({ verb, amount, forth, mode, which }: Omit<Command, 'keyed'>, reference: string) {
    const [account_id_from = '', account_id_to = ''] = forth ? people : people.toReversed()
    const [hold, transaction] = [this.#held, this.#moved].map(
      (known) => [...known.keys()][which % (known.size || 1)],
    )
    const pay = { path: '/transactions', body: { account_id_from, account_id_to, amount, reference } }
    if (verb === 'deposit')
      return { path: `/accounts/${account_id_to}/deposits`, body: { amount, reference } }
    if (verb === 'withdraw')
      return { path: `/accounts/${account_id_from}/withdrawals`, body: { amount, reference } }
    if (verb === 'hold') return { path: '/holds', body: pay.body }
    if (verb === 'capture' && hold) return { path: `/holds/${hold}/capture`, body: { reference } }
    if (verb === 'release' && hold) return { path: `/holds/${hold}/release`, body: {} }
    if (verb === 'reverse' && transaction)
      return { path: `/transactions/${transaction}/reverse`, body: { amount, reference } }
    if (verb !== 'batch') return pay
    const back = { ...pay.body, account_id_from: account_id_to, account_id_to: account_id_from }
    // More than there is, at the end: an atomic batch has to leave nothing of what went before it.
    const last = which % 2 ? [{ ...pay.body, amount: 1_000_000 }] : []
    return { path: '/transactions/batch', body: { mode, transactions: [back, pay.body, back, ...last] } }
  }
}

const refusals = [
  '422 INSUFFICIENT_FUNDS',
  '422 BATCH_REFUSED',
  '422 AMOUNT_EXCEEDS_ORIGINAL',
  '422 TRANSACTION_NOT_REVERSIBLE',
  '409 TRANSACTION_ALREADY_REVERSED',
  '409 HOLD_ALREADY_CAPTURED',
  '409 HOLD_ALREADY_RELEASED',
  '409 IDEMPOTENCY_IN_PROGRESS',
]
