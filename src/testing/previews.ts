/**
 * Random commands, each previewed and then executed with nothing in between: the preview has to be what
 * follows, in status, code, members, balances and versions.
 */
import type { Sql } from 'postgres'
import { routesOf } from './documented'
import type { Answer, Caller } from './stack'

export type PreviewRun = {
  wallet: Caller
  sql: Sql
  random: () => number
  /** Of its own: no other command moves money in it. */
  currency: string
  commands: number
}

export type PreviewReport = {
  /** By route, status and code. */
  counts: Map<string, number>
  /** What must not be, in words. */
  faults: string[]
}

type Body = Record<string, unknown>
type Command = { id: string; method: 'POST' | 'PATCH'; path: string; body: Body }
type State = Map<string, { version: number; balance: bigint; held: bigint }>

const pick = <T>(random: () => number, values: readonly T[]): T =>
  values[Math.floor(random() * values.length)] as T

/** The world account of a currency: its letters, as bytes. */
const worldOf = (currency: string) =>
  `00000000-0000-0000-0000-000000${Buffer.from(currency, 'ascii').toString('hex')}`

/** What commands can be about: filled by what was answered. */
class Lane {
  readonly accounts: string[] = []
  readonly transactions: string[] = []
  /** Amounts of open holds, by id. */
  readonly holds = new Map<string, bigint>()
  clientId = ''
  foreign = ''
  opening = ''
  state: State = new Map()

  constructor(readonly run: PreviewRun) {}

  get random() {
    return this.run.random
  }

  chance(share: number): boolean {
    return this.random() < share
  }

  /** Mostly one of the lane's own. */
  account(): string {
    if (this.chance(0.04)) return this.foreign
    if (this.chance(0.02)) return crypto.randomUUID()
    if (this.chance(0.02)) return worldOf(this.run.currency)
    const id = pick(this.random, this.accounts)
    return this.chance(0.05) ? id.toUpperCase() : id
  }

  /** In minor units of two decimals, as text or as a number; seldom nothing that can be moved. */
  amount(account: string): string | number {
    if (this.chance(0.03)) return pick(this.random, [0, -1, '1.001', 'all', 1e15, '9999999999999.99'])
    const { balance = 0n, held = 0n } = this.state.get(account.toLowerCase()) ?? {}
    const all = balance - held
    const minor = this.chance(0.2) && all > 0n ? all + pick(this.random, [0n, 1n]) : this.small()
    const text = `${minor / 100n}.${String(minor % 100n).padStart(2, '0')}`
    return this.chance(0.5) ? text : Number(text)
  }

  small(): bigint {
    return BigInt(1 + Math.floor(this.random() * 20_000))
  }

  remarks(): Body {
    const effective = [
      this.opening,
      '2020-02-29T00:00:00Z',
      '2999-01-01T00:00:00Z',
      '2024-01-31T00:00:00.0001Z',
    ]
    return {
      ...(this.chance(0.1) && { reference: pick(this.random, ['rent', '“two”\n😀', '']) }),
      ...(this.chance(0.1) && { metadata: { lines: [1, { x: null }] } }),
      ...(this.chance(0.1) && { effective_at: pick(this.random, effective) }),
    }
  }

  movement(account: string): Body {
    const currency = this.chance(0.03) ? pick(this.random, ['CHF', 'XXX', 'nothing']) : this.run.currency
    return { amount: this.amount(account), currency, ...this.remarks() }
  }

  postings(): Body {
    const { amount: _, ...rest } = this.movement('')
    const postings = Array.from({ length: 2 + Math.floor(this.random() * 3) }, () => {
      const from = this.account()
      return {
        ...(this.chance(0.8) && { account_id_from: from }),
        ...(this.chance(0.8) && { account_id_to: this.account() }),
        amount: this.amount(from),
      }
    })
    return { postings, ...rest }
  }

  part(): Body {
    return { ...(this.chance(0.6) && { amount: this.amount('') }), ...this.remarks() }
  }

  known(ids: Iterable<string>): string {
    const all = [...ids]
    if (all.length === 0 || this.chance(0.03)) return pick(this.random, [crypto.randomUUID(), 'nothing'])
    return pick(this.random, all.slice(-30))
  }
}

/** By the id of its route. A test fails for a route that changes the ledger and is missing here. */
const generators: Record<string, { weight: number; make(lane: Lane): Omit<Command, 'id' | 'method'> }> = {
  createClient: {
    weight: 1,
    make: ({ random }) => ({
      path: '/clients',
      body: { name: pick(random, ['Ada', '']), email: pick(random, ['ada@example.com', 'ada']) },
    }),
  },
  createAccount: {
    weight: 1,
    make: (lane) => ({
      path: '/accounts',
      body: {
        client_id: lane.chance(0.2) ? crypto.randomUUID() : lane.clientId,
        // Those of others, so that this lane's accounts stay few.
        currency: pick(lane.random, ['CHF', 'SEK', 'nothing']),
        overdraft_limit: pick(lane.random, [0, '5.00', -1]),
      },
    }),
  },
  createTransfer: {
    weight: 10,
    make(lane) {
      if (lane.chance(0.3)) return { path: '/transactions', body: lane.postings() }
      const from = lane.account()
      const parties = { account_id_from: from, account_id_to: lane.account() }
      return { path: '/transactions', body: { ...parties, ...lane.movement(from) } }
    },
  },
  createDeposit: {
    weight: 4,
    make(lane) {
      const id = lane.chance(0.02) ? 'nothing' : lane.account()
      return { path: `/accounts/${id}/deposits`, body: lane.movement(id) }
    },
  },
  createWithdrawal: {
    weight: 3,
    make(lane) {
      const id = lane.account()
      return { path: `/accounts/${id}/withdrawals`, body: lane.movement(id) }
    },
  },
  reverseTransaction: {
    weight: 4,
    make: (lane) => ({ path: `/transactions/${lane.known(lane.transactions)}/reverse`, body: lane.part() }),
  },
  createBatch: {
    weight: 3,
    make(lane) {
      const members = Array.from({ length: 1 + Math.floor(lane.random() * 5) }, () => {
        if (lane.chance(0.15)) return lane.postings()
        const kind = pick(lane.random, ['transfer', 'transfer', 'deposit', 'withdrawal'])
        const from = lane.account()
        return {
          kind,
          ...(kind !== 'deposit' && { account_id_from: from }),
          ...(kind !== 'withdrawal' && { account_id_to: lane.account() }),
          ...lane.movement(from),
        }
      })
      const mode = pick(lane.random, ['atomic', 'best_effort', 'best_effort', undefined])
      return { path: '/transactions/batch', body: { ...(mode && { mode }), transactions: members } }
    },
  },
  createHold: {
    weight: 4,
    make(lane) {
      const from = lane.account()
      const { effective_at: _, ...movement } = lane.movement(from)
      const expiries = ['2020-02-29T00:00:00Z', '2999-01-01T00:00:00Z', dayFromNow()]
      return {
        path: '/holds',
        body: {
          account_id_from: from,
          ...(lane.chance(0.7) && { account_id_to: lane.account() }),
          ...movement,
          ...(lane.chance(0.1) && { expires_at: pick(lane.random, expiries) }),
        },
      }
    },
  },
  captureHold: {
    weight: 3,
    make: (lane) => ({ path: `/holds/${lane.known(lane.holds.keys())}/capture`, body: lane.part() }),
  },
  releaseHold: {
    weight: 2,
    make: (lane) => ({ path: `/holds/${lane.known(lane.holds.keys())}/release`, body: {} }),
  },
}

const changeOf = (weight: number, path: string, bodies: Body[]) => ({
  weight,
  make: (lane: Lane) => ({ path: `/accounts/${lane.account()}${path}`, body: pick(lane.random, bodies) }),
})

Object.assign(generators, {
  freezeAccount: changeOf(1, '/freeze', [{}, { scope: 'debits' }, { scope: 'all', reference: 'case 7' }]),
  unfreezeAccount: changeOf(4, '/unfreeze', [{}, { reference: 'over' }]),
  updateAccount: changeOf(
    2,
    '',
    [0, '50.00', 70.5, -1, '9999999999999.99'].map((limit) => ({ overdraft_limit: limit })),
  ),
  closeAccount: {
    weight: 1,
    make(lane) {
      const id = lane.account()
      const { balance = 0n } = lane.state.get(id.toLowerCase()) ?? {}
      // The lane keeps its accounts.
      return { path: `/accounts/${balance === 0n ? lane.foreign : id}/close`, body: {} }
    },
  },
  updateClient: {
    weight: 1,
    make: (lane) => ({
      path: `/clients/${lane.chance(0.2) ? crypto.randomUUID() : lane.clientId}`,
      body: pick(lane.random, [{ name: 'Ada' }, { name: 'Ada L' }, { email: 'ada' }, {}]),
    }),
  },
  extendHold: {
    weight: 2,
    make: (lane) => ({
      path: `/holds/${lane.known(lane.holds.keys())}`,
      body: { expires_at: pick(lane.random, ['2020-02-29T00:00:00Z', '2999-01-01T00:00:00Z', ...days()]) },
    }),
  },
} satisfies typeof generators)

const days = () => [1, 20, 40, 60].map((days) => new Date(Date.now() + days * 86_400_000).toISOString())

export const previewedRoutes = Object.keys(generators)

const dayFromNow = () => new Date(Date.now() + 86_400_000).toISOString()

export async function runPreviews(run: PreviewRun): Promise<PreviewReport> {
  const lane = new Lane(run)
  await open(lane)
  const report: PreviewReport = { counts: new Map(), faults: [] }
  for (let number = 0; number < run.commands; number++) {
    const command = commandOf(lane)
    try {
      const { status, code } = await check(lane, command)
      const kind = 'postings' in command.body ? 'createTransfer, postings' : command.id
      const name = `${kind}: ${status}${code}`
      report.counts.set(name, (report.counts.get(name) ?? 0) + 1)
    } catch (error) {
      const { message } = error as Error
      report.faults.push(`${number}: ${command.path} ${JSON.stringify(command.body)}: ${message}`)
      lane.state = await stateOf(lane)
    }
  }
  return report
}

/** With and without money, with and without a limit below zero, and one in another currency. */
async function open(lane: Lane): Promise<void> {
  const { wallet, currency } = lane.run
  const made = async (path: string, body: object) => {
    const { status, body: answer } = await wallet.post(path, body)
    if (status !== 201) throw new Error(`${path} answers ${status}: ${JSON.stringify(answer)}`)
    return answer
  }
  lane.clientId = String((await made('/clients', { name: 'Ada', email: 'ada@example.com' })).id)
  const account = { client_id: lane.clientId, currency }
  for (const overdraft_limit of [0, 0, '50.00', 0, '9999999999999.99']) {
    const opened = await made('/accounts', { ...account, overdraft_limit })
    lane.accounts.push(String(opened.id))
    lane.opening = String(opened.created_at)
  }
  lane.foreign = String((await made('/accounts', { ...account, currency: 'EUR' })).id)
  const [poor, rich] = lane.accounts
  await made(`/accounts/${poor}/deposits`, { amount: 100, currency })
  await made(`/accounts/${rich}/deposits`, { amount: 1_000_000, currency })
  lane.state = await stateOf(lane)
}

const weights = Object.entries(generators).flatMap(([id, { weight }]) => Array<string>(weight).fill(id))

function commandOf(lane: Lane): Command {
  const id = pick(lane.random, weights)
  const route = routesOf.wallet.find((one) => one.id === id)
  const made = generators[id]?.make(lane)
  if (!route || !made) throw new Error(`no route is called ${id}`)
  return { id, method: route.method as 'POST', ...made }
}

/** As in the tables. */
async function stateOf({ run, accounts }: Lane): Promise<State> {
  const ids = [...accounts, worldOf(run.currency)]
  const rows = await run.sql<{ id: string; version: number; balance: string; held: string }[]>`
    select id, version::int, balance_minor::text as balance, held_minor::text as held
    from accounts where id = any(${ids}) order by id`
  return new Map(
    rows.map(({ id, version, balance, held }) => [
      id,
      { version, balance: BigInt(balance), held: BigInt(held) },
    ]),
  )
}

/** Throws where preview and reality differ. Returns what both answered. */
async function check(lane: Lane, { method, path, body }: Command): Promise<{ status: number; code: string }> {
  const { wallet } = lane.run
  const key = lane.chance(0.02) ? '""' : crypto.randomUUID()
  const headers: Record<string, string> = lane.chance(0.3) ? { 'idempotency-key': key } : {}
  const send = (sent: Body) => wallet[method === 'POST' ? 'post' : ('patch' as 'post')](path, sent, headers)
  const before = lane.state
  const preview = await send({ ...body, dry_run: true })
  expectSame('the tables after the preview', await stateOf(lane), before)
  const real = await send(body)
  expectSame('status', preview.status, real.status)
  expectSame('the answer', comparable(preview, body), comparable(real, body))
  expectMarks(lane, preview, real)
  const after = await stateOf(lane)
  expectSame('accounts', after, foretold(lane, preview, path))
  lane.state = after
  remember(lane, real)
  return { status: real.status, code: 'code' in real.body ? ` ${real.body.code}` : '' }
}

function expectSame(what: string, actual: unknown, expected: unknown): void {
  if (Bun.deepEquals(actual, expected)) return
  throw new Error(`${what}: ${Bun.inspect(actual)} instead of ${Bun.inspect(expected)}`)
}

/** Members that differ: ids of what is new, times of the decision, and what marks a preview. */
function comparable({ body }: Answer, asked: Body): unknown {
  const times = ['created_at', 'updated_at', 'ended_at', 'effective_at', 'expires_at']
  const left = new Set(['id', 'dry_run', 'assumed', 'trace_id', ...times.filter((name) => !(name in asked))])
  const clean = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(clean)
    if (typeof value !== 'object' || value === null) return value
    const members = Object.entries(value).filter(([name]) => !left.has(name))
    return Object.fromEntries(members.map(([name, member]) => [name, clean(member)]))
  }
  return clean(body)
}

function expectMarks(lane: Lane, preview: Answer, real: Answer): void {
  const { dry_run, assumed } = preview.body as { dry_run?: boolean; assumed?: Assumed[] }
  const isMalformed = preview.status === 400 || preview.body.code === 'VALIDATION'
  if (!isMalformed) expectSame('dry_run', dry_run, true)
  expectSame(
    'dry_run and assumed of the real answer',
    [real.body.dry_run, real.body.assumed],
    [undefined, undefined],
  )
  expectSame('replayed', real.headers.get('idempotency-replayed'), null)
  for (const { account_id, version } of assumed ?? []) {
    const known = lane.state.get(account_id)
    if (known) expectSame(`the version of ${account_id}`, version, known.version)
  }
  if (preview.status === 201) {
    expectSame('the id of something new', preview.body.id ?? null, null)
    for (const name of ['location', 'consistency-token']) expectSame(name, preview.headers.get(name), null)
  }
}
type Assumed = { account_id: string; version: number }

type Moved = {
  kind: string
  account_id_from: string
  account_id_to: string
  amount: number | string
  version_account_id_from: number
  version_account_id_to: number
  hold_id: string | null
}

/** The accounts as the preview says that they will be. */
function foretold(lane: Lane, { status, body }: Answer, path: string): State {
  const state: State = new Map([...lane.state].map(([id, account]) => [id, { ...account }]))
  if (status >= 400) return state
  const change = (id: string, version: number, by: { balance?: bigint; held?: bigint }) => {
    const account = state.get(id)
    if (!account) return
    account.version = version
    account.balance += by.balance ?? 0n
    account.held += by.held ?? 0n
  }
  for (const moved of movementsIn(body)) {
    const amount = minorOf(moved.amount)
    const freed = moved.hold_id === null ? 0n : (lane.holds.get(moved.hold_id) ?? 0n)
    change(moved.account_id_from, moved.version_account_id_from, { balance: -amount, held: -freed })
    change(moved.account_id_to, moved.version_account_id_to, { balance: amount })
  }
  if ('overdraft_limit' in body && path !== '/accounts') change(String(body.id), Number(body.version), {})
  const isExtension = /^\/holds\/[^/]+$/.test(path)
  if (isExtension) change(String(body.account_id_from), Number(body.version_account_id_from), {})
  else if (body.status === 'placed' || body.status === 'released') {
    const amount = minorOf(body.amount as number)
    const held = body.status === 'placed' ? amount : -amount
    change(String(body.account_id_from), Number(body.version_account_id_from), { held })
  }
  return state
}

/** The transactions of an answer. */
function movementsIn(body: Body): Moved[] {
  if (Array.isArray(body.results))
    return body.results.flatMap(({ transaction }: { transaction?: Body }) =>
      transaction ? movementsIn(transaction) : [],
    )
  if (Array.isArray(body.postings)) return body.postings.map((leg) => ({ hold_id: null, ...leg }))
  return 'kind' in body ? [body as Moved] : []
}

/** Of two decimals. */
function minorOf(amount: number | string): bigint {
  const [units = '', cents = ''] = String(amount).split('.')
  return BigInt(units + cents.padEnd(2, '0'))
}

function remember(lane: Lane, { status, body }: Answer): void {
  if (status >= 400) return
  if (body.status === 'placed') lane.holds.set(String(body.id), minorOf(body.amount as number))
  if ('kind' in body) lane.transactions.push(String(body.id))
}
