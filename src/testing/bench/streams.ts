/**
 * A thousand open streams while money moves: how late each event is, counted from when the wallet
 * wrote it, and what that costs the process that serves them. In the end every stream has to have
 * heard of everything that was applied, once.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { prepareDatabase } from '../../platform/postgres/migrate'
import { createLog } from '../../platform/telemetry/log'
import { eventually } from '../eventually.ts'
import { random } from '../random.ts'
import { type Caller, serviceConfig, spawnService } from '../stack.ts'
import { cpuMicrosOf, startBrokerProcess } from './broker-process.ts'
import { accountId, connect, seedAccounts } from './ledger-accounts.ts'
import type { Heard, Readers } from './streams-readers.ts'

const accounts = 1000

type Case = { ofOne: number; ofAll: number; perSecond: number }
/** One stream says what the way to it takes, and what the service does anyway. */
const cases: Case[] = [
  { ofOne: 0, ofAll: 1, perSecond: 100 },
  { ofOne: 1000, ofAll: 0, perSecond: 100 },
  { ofOne: 900, ofAll: 100, perSecond: 100 },
  { ofOne: 0, ofAll: 1000, perSecond: 10 },
  { ofOne: 0, ofAll: 1000, perSecond: 100 },
  { ofOne: 0, ofAll: 1, perSecond: 500 },
  { ofOne: 1000, ofAll: 0, perSecond: 500 },
]
/** Of streams of all, which hear of so much that looking at each time would be most of the work. */
const sampledMax = 50

export async function benchStreams([seconds = '10']: string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-streams-'))
  const ending: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const owners = ['wallet', 'balances'].map((name) => ({ name, user: name, password: name }))
    const server = await startPostgres({ dataDir: join(directory, 'postgres'), databases: owners })
    ending.push(server.stop)
    const broker = await startBrokerProcess(join(directory, 'broker'))
    ending.push(() => broker.end('SIGKILL'))
    const configOf = (name: 'wallet' | 'balances') => {
      const url = server.url(name)
      const serviceUrl = url.replace(`${name}:${name}@`, `${name}_service:${name}_service@`)
      const settings = {
        database: { name, url, serviceUrl },
        brokers: [broker.brokers],
        topicPrefix: '',
        seed: false,
      }
      return serviceConfig(name, settings)
    }
    const log = createLog({ service: 'bench', level: 'error', format: 'json' })
    const { signal } = new AbortController()
    const folder = join(import.meta.dir, '../../../migrations/wallet')
    await prepareDatabase({ url: server.url('wallet'), folder, migrate: true, log, signal })
    await seedAccounts(server.url('wallet'), log)
    const wallet = await spawnService(configOf('wallet'))
    ending.push(wallet.kill)
    const balances = await spawnService(configOf('balances'))
    ending.push(balances.kill)
    const sql = connect(server.url('balances'))
    ending.push(sql.end)

    // So that balances hears of each.
    const round = Array.from({ length: accounts }, (_, index) => transferOf(index, (index + 1) % accounts))
    if ((await wallet.post('/transactions/batch', { transactions: round })).status !== 201)
      throw new Error('refused')
    await eventually(async () => {
      const [row] = await sql`select count(*)::int as count from entries`
      if (row?.count < 2 * accounts) throw new Error('not all accounts are known')
    })
    row(
      'of one',
      'of all',
      'transfers/s',
      'told/s',
      'MB/s',
      'p50 ms',
      'p99 ms',
      'longest ms',
      'service %',
      'readers %',
      'before MB',
      'then MB',
    )
    await measure({ ofOne: 1, ofAll: 1, perSecond: 100 }, 3, { wallet, balances, sql })
    for (const one of cases) row(...(await measure(one, Number(seconds), { wallet, balances, sql })))
  } finally {
    for (const end of ending.toReversed()) await end()
  }
}

type Measured = { wallet: Caller; balances: Caller & { pid: number }; sql: ReturnType<typeof connect> }

async function measure(
  { ofOne, ofAll, perSecond }: Case,
  seconds: number,
  { wallet, balances, sql }: Measured,
) {
  const count = async () => Number((await sql`select count(*) from entries`)[0]?.count)
  const paths = [
    ...Array.from({ length: ofOne }, (_, index) => `/balances/${accountId(1 + (index % accounts))}/stream`),
    ...Array.from({ length: ofAll }, () => '/balances/stream'),
  ]
  const [memory, countBegun] = [megabytesOf(balances.pid), await count()]
  const readers = await startReaders({
    port: balances.port,
    paths,
    sampled: ofOne + Math.min(ofAll, sampledMax),
  })
  const begun = performance.now()
  const [serviceBusy, readersBusy] = [busyOf(balances.pid), busyOf(readers.pid)]
  const expected = 2 * (await move(wallet, perSecond, seconds))
  const heard = await eventually(
    async () => {
      const applied = (await count()) - countBegun
      if (applied !== expected) throw new Error(`${applied} entries were applied where ${expected} were made`)
      const [heard, versions] = [await readers.report(), await versionsOf(sql)]
      const late = heard.counts.slice(ofOne).filter((one) => one !== expected).length
      const behind = heard.last
        .slice(0, ofOne)
        .filter((id, index) => versions[index % accounts] !== id).length
      if (late + behind > 0)
        throw new Error(`${late} streams of all and ${behind} of one have not heard of everything`)
      return heard
    },
    { timeoutMs: 60_000, intervalMs: 50 },
  )
  if (heard.faults.length > 0) throw new Error(`${heard.faults.length} faults, such as ${heard.faults[0]}`)
  const elapsed = (performance.now() - begun) / 1000
  const told = heard.counts.reduce((sum, one) => sum + one, 0)
  const costs = [serviceBusy(), readersBusy(), memory, megabytesOf(balances.pid)]
  await readers.end()
  return [
    ofOne,
    ofAll,
    perSecond,
    told / elapsed,
    heard.megabytes / elapsed,
    heard.p50,
    heard.p99,
    heard.max,
    ...costs,
  ]
}

/**
 * Transfers between accounts by chance, at an even pace whatever the answers take. Answers how
 * many, when all are answered.
 */
async function move(wallet: Caller, perSecond: number, seconds: number): Promise<number> {
  const begun = performance.now()
  const moving: Promise<void>[] = []
  for (let sent = 0; sent < seconds * perSecond; sent++) {
    await Bun.sleep(Math.max(0, begun + (sent * 1000) / perSecond - performance.now()))
    const from = Math.floor(random() * accounts)
    const to = (from + 1 + Math.floor(random() * (accounts - 1))) % accounts
    moving.push(
      wallet.post('/transactions', transferOf(from, to)).then(({ status }) => {
        if (status !== 201) throw new Error(`a transfer was answered ${status}`)
      }),
    )
  }
  await Promise.all(moving)
  return moving.length
}

/** Begins to watch a process; answers how much of a processor it has used since, in per cent. */
function busyOf(pid: number): () => number {
  const [micros, since] = [cpuMicrosOf(pid), performance.now()]
  return () => (cpuMicrosOf(pid) - micros) / (performance.now() - since) / 10
}

function row(...cells: (string | number)[]): void {
  const text = (cell: string | number) =>
    typeof cell === 'string' ? cell : cell.toLocaleString('en', { maximumFractionDigits: cell < 10 ? 1 : 0 })
  console.log(cells.map((cell) => text(cell).padStart(12)).join(''))
}

/** The newest version of each account, in their order. */
async function versionsOf(sql: ReturnType<typeof connect>): Promise<string[]> {
  const rows = await sql<{ version: string }[]>`
    select version::text from balances where account_id <= ${accountId(accounts)} order by account_id collate "C"`
  return rows.map(({ version }) => version)
}

const transferOf = (from: number, to: number) => ({
  account_id_from: accountId(1 + from),
  account_id_to: accountId(1 + to),
  amount: 0.01,
})

async function startReaders(readers: Readers) {
  let answer: (message: unknown) => void = () => {}
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'streams-readers.ts')], {
    ipc: (message) => answer(message),
    stdout: 'inherit',
    stderr: 'inherit',
  })
  const ask = (message: unknown) =>
    new Promise<unknown>((resolve) => {
      answer = resolve
      child.send(message)
    })
  await ask(readers)
  return {
    pid: child.pid,
    report: () => ask('report') as Promise<Heard>,
    async end() {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

/** Resident memory of a process. NaN where the system does not tell. */
function megabytesOf(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024
  } catch {
    return Number.NaN
  }
}
