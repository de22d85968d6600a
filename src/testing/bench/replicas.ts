/**
 * Four wallets on one database for half a minute: all commands that move or hold money, over ten hot
 * accounts and ten thousand others, while database connections are terminated at random. Commands
 * have idempotency keys and are retried at the next wallet until they get a final response; in the
 * end the ledger has to match the responses to the cent.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { prepareDatabase } from '../../platform/postgres/migrate'
import { createLog } from '../../platform/telemetry/log'
import { eventually } from '../eventually.ts'
import { findFaults } from '../ledger-faults.ts'
import { random } from '../random.ts'
import { type Answer, type Caller, callerOf } from '../stack.ts'
import { startBrokerProcess } from './broker-process.ts'
import { startWalletProcess } from './ledger.ts'
import { accountId, accountsMax, connect, seedAccounts } from './ledger-accounts.ts'

const [replicas, callers, hot] = [4, 64, 10]
/** Interval of the cuts, and the share of connections to cut. */
const [cutMs, cutShare] = [250, 0.2]

export async function benchReplicas(args: string[]): Promise<void> {
  const [seconds = '30'] = args.filter((argument) => argument !== '--calm')
  const directory = mkdtempSync(join(tmpdir(), 'bench-replicas-'))
  const ending: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const owner = { user: 'bench', password: 'bench' }
    const dataDir = join(directory, 'postgres')
    const server = await startPostgres({ dataDir, databases: [{ name: 'wallet', ...owner }] })
    ending.push(server.stop)
    const broker = await startBrokerProcess(join(directory, 'broker'))
    ending.push(() => broker.end('SIGKILL'))
    const log = createLog({ service: 'bench', level: 'error', format: 'json' })
    const url = server.url('wallet')
    const folder = join(import.meta.dir, '../../../migrations/wallet')
    await prepareDatabase({ url, folder, migrate: true, log, signal: new AbortController().signal })
    await seedAccounts(url, log)
    const wallets = await Promise.all(
      Array.from({ length: replicas }, () => startWalletProcess(url, broker.brokers)),
    )
    ending.push(...wallets.map((wallet) => wallet.end))
    const [sql, admin] = [connect(url), connect(server.adminUrl)]
    ending.push(sql.end, admin.end)

    const before = await readLedger(sql)
    const troubles = async () => {
      const [row] = await admin<{ rolled_back: number; deadlocks: number }[]>`
        select xact_rollback::int as rolled_back, deadlocks::int
        from pg_stat_database where datname = 'wallet'`
      return row ?? { rolled_back: 0, deadlocks: 0 }
    }
    const troublesBefore = await troubles()
    const load = new Load(wallets.map(({ port }) => callerOf('wallet', port)))
    const begun = performance.now()
    let cut = 0
    const cutting = setInterval(async () => {
      if (args.includes('--calm')) return
      const ended = await admin`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = 'wallet' and application_name like 'saldo%' and random() < ${cutShare}`
      cut += ended.length
    }, cutMs)
    await load.run(Number(seconds) * 1000).finally(() => clearInterval(cutting))
    const elapsed = (performance.now() - begun) / 1000
    load.report(elapsed)
    const { rolled_back, deadlocks } = await troubles()
    const tried = rolled_back - troublesBefore.rolled_back
    console.log(`${cut} connections cut, ${tried} statements rolled back, ${deadlocks} of them by a deadlock`)

    await eventually(
      async () => {
        if ((await sql`select from outbox limit 1`).length > 0) throw new Error('the outbox is not empty')
      },
      { timeoutMs: 120_000, intervalMs: 100 },
    )
    const faults = [...(await findFaults(sql)), ...load.differences(before, await readLedger(sql))]
    for (const fault of faults) console.error(fault)
    if (faults.length > 0) throw new Error(`the ledger does not match the responses: ${faults.length} faults`)
    console.log('every account matches the responses to the cent, and all balances add up to 0.00')
  } finally {
    for (const end of ending.toReversed()) await end()
  }
}

type LedgerState = { balances: Map<string, bigint>; transactions: Set<string> }

async function readLedger(sql: ReturnType<typeof connect>): Promise<LedgerState> {
  const accounts = await sql<
    { id: string; balance: string }[]
  >`select id, balance_minor::text as balance from accounts`
  const transactions = await sql<{ id: string }[]>`select id from transactions`
  return {
    balances: new Map(accounts.map(({ id, balance }) => [id, BigInt(balance)])),
    transactions: new Set(transactions.map(({ id }) => id)),
  }
}

type Moved = { id: string; account_id_from: string; account_id_to: string; amount: number; kind?: string }

class Load {
  /** Number of responses by kind of command and status. */
  readonly #answers = new Map<string, Map<string, number>>()
  readonly #moved = new Map<string, Moved>()
  /** Holds that are open as far as the load knows. */
  readonly #open: string[] = []
  readonly #latencies: number[] = []
  #commands = 0

  constructor(readonly wallets: Caller[]) {}

  async run(ms: number): Promise<void> {
    const until = performance.now() + ms
    const calling = Array.from({ length: callers }, async () => {
      while (performance.now() < until) await this.#sendOne()
    })
    await Promise.all(calling)
  }

  report(seconds: number): void {
    const latencies = this.#latencies.toSorted((one, other) => one - other)
    const [median, late, last] = [0.5, 0.99, 1].map((share) =>
      latencies[Math.ceil(latencies.length * share) - 1]?.toFixed(0),
    )
    const all = [...this.#answers.values()].flatMap((counts) => [...counts])
    const sum = (pattern: RegExp) =>
      all.reduce((total, [code, count]) => total + (pattern.test(code) ? count : 0), 0)
    console.log(
      `${this.#commands} commands in ${seconds.toFixed(1)} s at ${replicas} wallets,` +
        ` ${this.#moved.size} transactions`,
    )
    console.log(
      `responses: ${sum(/^2/)} done, ${sum(/^4/) - sum(/PROGRESS/)} refused,` +
        ` ${sum(/PROGRESS/)} in progress, ${sum(/^503/)} unavailable`,
    )
    console.log(`until the final response: p50 ${median} ms, p99 ${late} ms, max ${last} ms`)
    for (const [what, counts] of this.#answers)
      console.log(
        `  ${what.padEnd(10)} ${[...counts].map(([code, count]) => `${code}: ${count}`).join(', ')}`,
      )
  }

  /** Differences between the ledger and the responses. */
  differences(before: LedgerState, after: LedgerState): string[] {
    const expected = new Map(before.balances)
    for (const { account_id_from: from, account_id_to: to, amount } of this.#moved.values()) {
      const minor = BigInt(Math.round(amount * 100))
      expected.set(from, (expected.get(from) ?? 0n) - minor).set(to, (expected.get(to) ?? 0n) + minor)
    }
    const missing = [...this.#moved.keys()].filter((id) => !after.transactions.has(id))
    const unacknowledged = [...after.transactions].filter(
      (id) => !before.transactions.has(id) && !this.#moved.has(id),
    )
    return [
      ...[...after.balances].flatMap(([id, balance]) =>
        balance === expected.get(id) ? [] : `account ${id} has ${balance}, expected ${expected.get(id)}`,
      ),
      ...missing.map((id) => `transaction ${id} was acknowledged, but is missing`),
      ...unacknowledged.map((id) => `transaction ${id} is in the ledger, but was never acknowledged`),
    ]
  }

  async #sendOne(): Promise<void> {
    const [what, path, body] = this.#command()
    const headers = { 'idempotency-key': crypto.randomUUID() }
    const sentAt = performance.now()
    for (let tried = 0; tried < 1000; tried++) {
      const wallet = this.wallets[(this.#commands + tried) % this.wallets.length] as Caller
      const answer = await wallet.post(path, body, headers)
      this.#count(what, answer)
      if (answer.status === 503 || answer.body.code === 'IDEMPOTENCY_IN_PROGRESS') continue
      if (answer.status >= 500) throw new Error(`${path} was answered ${JSON.stringify(answer.body)}`)
      this.#learn(answer)
      this.#commands++
      this.#latencies.push(performance.now() - sentAt)
      return
    }
    throw new Error(`${path} got no final response`)
  }

  #count(what: string, { status, body }: Answer): void {
    const counts = this.#answers.get(what) ?? new Map<string, number>()
    const code = body.code ? `${status} ${body.code}` : String(status)
    this.#answers.set(what, counts.set(code, (counts.get(code) ?? 0) + 1))
  }

  #learn({ status, body }: Answer): void {
    if (status >= 300) return
    const made =
      'results' in body
        ? (body.results as { transaction?: Moved }[]).flatMap((one) => one.transaction ?? [])
        : [body as Moved]
    for (const one of made) if (one.kind) this.#moved.set(one.id, one)
    if (body.status === 'placed') this.#open.push(String(body.id))
  }

  /** Half of the commands are between hot accounts; a few exceed every balance. */
  #command(): [what: string, path: string, body: object] {
    const among = random() < 0.5 ? hot : accountsMax
    const from = below(among)
    const [account_id_from, account_id_to] = [
      accountId(1 + from),
      accountId(1 + ((from + 1 + below(among - 1)) % among)),
    ]
    const amount = below(50) === 0 ? 100_000_000 : (1 + below(100_000)) / 100
    const pay = { account_id_from, account_id_to, amount }
    const dice = below(100)
    if (dice < 5) return ['deposit', `/accounts/${account_id_to}/deposits`, { amount }]
    if (dice < 10) return ['withdrawal', `/accounts/${account_id_from}/withdrawals`, { amount }]
    if (dice < 20) return ['hold', '/holds', pay]
    if (dice < 35) {
      // Sometimes a hold that another caller may be ending, too.
      const hold = random() < 0.2 ? this.#open.at(-1) : this.#open.pop()
      if (hold && dice < 30) return ['capture', `/holds/${hold}/capture`, {}]
      if (hold) return ['release', `/holds/${hold}/release`, {}]
    }
    if (dice < 45) {
      const reversed = this.#recent()
      if (reversed)
        return ['reversal', `/transactions/${reversed}/reverse`, random() < 0.5 ? {} : { amount: 1 }]
    }
    if (dice < 50) {
      const mode = dice < 47 ? 'atomic' : 'best_effort'
      const back = { account_id_from: account_id_to, account_id_to: account_id_from, amount }
      return [
        'batch',
        '/transactions/batch',
        { mode, transactions: Array.from({ length: 10 }, (_, n) => (n % 2 ? back : pay)) },
      ]
    }
    return ['transfer', '/transactions', pay]
  }

  #last: string[] = []
  /** One of the latest transactions. */
  #recent(): string | undefined {
    if (this.#last.length === 0) this.#last = [...this.#moved.keys()].slice(-100)
    return this.#last.pop()
  }
}

const below = (limit: number): number => Math.floor(random() * limit)
