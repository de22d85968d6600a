/**
 * A thousand open streams during transfers: the delay of each event since the wallet wrote it, and the
 * CPU cost of serving the streams. In the end each stream has to have received every applied change
 * once.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { prepareDatabase } from '../../platform/postgres/migrate'
import { createLog } from '../../platform/telemetry/log'
import { eventually } from '../eventually.ts'
import { random } from '../random.ts'
import { type Caller, serviceConfig, spawnService } from '../stack.ts'
import { startBrokerProcess } from './broker-process.ts'
import { accountId, connect, seedAccounts } from './ledger-accounts.ts'
import { cpuMicrosOf, residentMegabytesOf } from './processes.ts'
import type { Readers, StreamReport } from './streams-readers.ts'

const accounts = 1000

type Case = { ofOne: number; ofAll: number; perSecond: number }
/** Cases with a single stream measure the pipeline alone. */
const cases: Case[] = [
  { ofOne: 0, ofAll: 1, perSecond: 100 },
  { ofOne: 1000, ofAll: 0, perSecond: 100 },
  { ofOne: 900, ofAll: 100, perSecond: 100 },
  { ofOne: 0, ofAll: 1000, perSecond: 10 },
  { ofOne: 0, ofAll: 1000, perSecond: 100 },
  { ofOne: 0, ofAll: 1, perSecond: 500 },
  { ofOne: 1000, ofAll: 0, perSecond: 500 },
]
/** Limit for streams of all accounts, where sampling every event would dominate the cost. */
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

    // So that balances knows every account.
    const round = Array.from({ length: accounts }, (_, index) => transferOf(index, (index + 1) % accounts))
    if ((await wallet.post('/transactions/batch', { transactions: round })).status !== 201)
      throw new Error('refused')
    await eventually(async () => {
      const [row] = await sql`select count(*)::int as count from entries`
      if (row?.count < 2 * accounts) throw new Error('balances lacks accounts')
    })
    row(
      'of one',
      'of all',
      'transfers/s',
      'sent/s',
      'MB/s',
      'p50 ms',
      'p99 ms',
      'max ms',
      'service %',
      'readers %',
      'before MB',
      'after MB',
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
  const [memory, countBegun] = [residentMegabytesOf(balances.pid), await count()]
  const readers = await startReaders({
    port: balances.port,
    paths,
    sampled: ofOne + Math.min(ofAll, sampledMax),
  })
  const begun = performance.now()
  const [serviceBusy, readersBusy] = [busyOf(balances.pid), busyOf(readers.pid)]
  const expected = 2 * (await move(wallet, perSecond, seconds))
  const report = await eventually(
    async () => {
      const applied = (await count()) - countBegun
      if (applied !== expected) throw new Error(`${applied} entries applied, expected ${expected}`)
      const [report, versions] = [await readers.report(), await versionsOf(sql)]
      const late = report.counts.slice(ofOne).filter((one) => one !== expected).length
      const behind = report.last
        .slice(0, ofOne)
        .filter((id, index) => versions[index % accounts] !== id).length
      if (late + behind > 0)
        throw new Error(`${late} streams of all accounts and ${behind} of one are behind`)
      return report
    },
    { timeoutMs: 60_000, intervalMs: 50 },
  )
  if (report.faults.length > 0) throw new Error(`${report.faults.length} faults, such as ${report.faults[0]}`)
  const elapsed = (performance.now() - begun) / 1000
  const received = report.counts.reduce((sum, one) => sum + one, 0)
  const costs = [serviceBusy(), readersBusy(), memory, residentMegabytesOf(balances.pid)]
  await readers.end()
  return [
    ofOne,
    ofAll,
    perSecond,
    received / elapsed,
    report.megabytes / elapsed,
    report.p50,
    report.p99,
    report.max,
    ...costs,
  ]
}

/**
 * Transfers between random accounts at a constant rate, independent of latency. Returns their number
 * once all have succeeded.
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
        if (status !== 201) throw new Error(`a transfer failed: ${status}`)
      }),
    )
  }
  await Promise.all(moving)
  return moving.length
}

/** Returns a function for the CPU use of a process since this call, in per cent. */
function busyOf(pid: number): () => number {
  const [micros, since] = [cpuMicrosOf(pid), performance.now()]
  return () => (cpuMicrosOf(pid) - micros) / (performance.now() - since) / 10
}

function row(...cells: (string | number)[]): void {
  const text = (cell: string | number) =>
    typeof cell === 'string' ? cell : cell.toLocaleString('en', { maximumFractionDigits: cell < 10 ? 1 : 0 })
  console.log(cells.map((cell) => text(cell).padStart(12)).join(''))
}

/** The current version of each account, in order of their ids. */
async function versionsOf(sql: ReturnType<typeof connect>): Promise<string[]> {
  const rows = await sql<{ version: string }[]>`
    select version::text from balances
    where account_id <= ${accountId(accounts)} order by account_id collate "C"`
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
    report: () => ask('report') as Promise<StreamReport>,
    async end() {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}
