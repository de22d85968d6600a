/**
 * Transfers per second and their cost: the wallet, compared with a conventional service on the same
 * stack and with PostgreSQL alone. Subjects take turns within one run, so that other load affects all;
 * ratios are within a round. PostgreSQL syncs every commit. After each turn the ledger has to balance
 * and to contain exactly the acknowledged transfers.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { prepareDatabase } from '../../platform/postgres/migrate'
import { freePort } from '../../platform/process/ports.ts'
import { createLog } from '../../platform/telemetry/log'
import { eventually } from '../eventually.ts'
import { startBrokerProcess } from './broker-process.ts'
import { accountsMax, checkLedger, connect, seedAccounts } from './ledger-accounts.ts'
import { type Load, runLoad } from './ledger-load.ts'
import { preparePgbench, runPgbench, type Script } from './ledger-pgbench.ts'
import { plotRates, type Rates } from './ledger-plot.ts'
import { cpuMicrosOf, postgresMicrosOf } from './processes.ts'

type Case = { accounts: number; connections: number }
type Run = { done: number; perSecond: number; p50: number; p99: number }
type Costs = { serviceMicros: number; postgresMicros: number }
type Measured = Run & Costs

type Subject = {
  name: string
  /** The database whose ledger is checked. */
  url: string
  /** The process whose CPU time is measured, if any. */
  pid?: number
  /** False if it only commits. */
  movesMoney: boolean
  runs(one: Case): boolean
  run(one: Case, ms: number): Promise<Run>
  /** Resolves when all work of the run is done. Counts as cost, not as time. */
  settled?(): Promise<void>
}

const hot = 10
const batchSize = 100
const batches = `batches of ${batchSize}`
const plans = {
  quick: { connections: [1, 64], hotConnections: [64], rounds: 3, ms: 2000 },
  full: { connections: [1, 8, 32, 64, 256], hotConnections: [1, 8, 32, 64, 256], rounds: 3, ms: 2000 },
}

export async function benchLedger(args: string[]): Promise<void> {
  const plan = args.includes('--full') ? plans.full : plans.quick
  const directory = mkdtempSync(join(tmpdir(), 'bench-ledger-'))
  const ending: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const { server, urls } = await startDatabases(directory)
    ending.push(server.stop)
    const broker = await startBrokerProcess(join(directory, 'broker'))
    ending.push(() => broker.end('SIGKILL'))
    // Nothing listens there: the relay finds no broker, and the outbox grows.
    const noBroker = `127.0.0.1:${freePort()}`
    const alone = await startWalletProcess(urls.alone, noBroker)
    ending.push(alone.end)
    const relayed = await startWalletProcess(urls.relayed, broker.brokers)
    ending.push(relayed.end)
    const naive = await startNaiveProcess(urls.plain)
    ending.push(naive.end)

    const uniform64 = ({ accounts, connections }: Case) => accounts === accountsMax && connections === 64
    const subjects: Subject[] = [
      overHttp('wallet', urls.alone, alone),
      {
        ...overHttp('wallet, relay on', urls.relayed, relayed),
        runs: uniform64,
        settled: () => untilRelayed(urls.relayed),
      },
      overHttp(batches, urls.alone, alone, batchSize),
      overHttp('naive service', urls.plain, naive),
    ]
    if (Bun.which('pgbench'))
      subjects.push(
        withPgbench('single statements', urls.plain, directory),
        withPgbench('one function', urls.plain, directory),
        {
          ...withPgbench('one-row commit', urls.plain, directory),
          movesMoney: false,
          runs: ({ accounts }) => accounts === accountsMax,
        },
      )
    else console.log('pgbench is not on PATH: comparing the wallet with the naive service only')

    const warmUp = { accounts: accountsMax, connections: 64 }
    for (const subject of subjects.filter(({ pid }) => pid)) await measure(subject, warmUp, 1000, server.pid)
    const cases = [
      ...plan.connections.map((connections) => ({ accounts: accountsMax, connections })),
      ...plan.hotConnections.map((connections) => ({ accounts: hot, connections })),
    ]
    const all: Rates[] = []
    for (const one of cases) {
      const taking = subjects.filter((subject) => subject.runs(one))
      const measured = new Map<string, Measured[]>(taking.map(({ name }) => [name, []]))
      for (let round = 0; round < plan.rounds; round++) {
        for (const subject of round % 2 ? taking.toReversed() : taking)
          measured.get(subject.name)?.push(await measure(subject, one, plan.ms, server.pid))
      }
      report(one, measured)
      all.push({
        ...one,
        rates: new Map([...measured].map(([name, runs]) => [name, median(runs.map((run) => run.perSecond))])),
      })
    }
    const plotFile = args.find((argument) => argument.startsWith('--plot='))?.slice('--plot='.length)
    if (plotFile) await Bun.write(plotFile, plotRates(all))
  } finally {
    for (const end of ending.toReversed()) await end()
  }
}

/**
 * Three databases with the same accounts: two for wallets, and one without triggers for the other
 * subjects.
 */
async function startDatabases(directory: string) {
  const owner = { user: 'bench', password: 'bench' }
  const server = await startPostgres({
    dataDir: join(directory, 'postgres'),
    databases: [{ name: 'alone', ...owner }],
  })
  const log = createLog({ service: 'bench', level: 'error', format: 'json' })
  const alone = server.url('alone')
  const folder = join(import.meta.dir, '../../../migrations/wallet')
  await prepareDatabase({ url: alone, folder, migrate: true, log, signal: new AbortController().signal })
  await seedAccounts(alone, log)
  const admin = connect(server.adminUrl)
  for (const name of ['relayed', 'plain'])
    await admin.unsafe(`create database ${name} template alone owner bench`)
  const relayed = await server.createDatabase({ name: 'relayed', ...owner })
  const plain = await server.createDatabase({ name: 'plain', ...owner })
  // pgbench reconnects in every turn: keep the cost of its password check low.
  await admin`set scram_iterations = 1`
  await admin.unsafe(`alter role ${owner.user} password '${owner.password}'`)
  await admin.end()

  const sql = connect(plain)
  await sql.unsafe(`
    drop trigger entries_double_entry on entries; drop trigger transactions_booked on transactions`)
  await preparePgbench(sql)
  const [durable] =
    await sql`select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit`
  await sql.end()
  console.log(`fsync ${durable?.fsync}, synchronous_commit ${durable?.commit}, ${accountsMax} accounts`)
  return { server, urls: { alone, relayed, plain } }
}

type ServiceProcess = { port: number; pid: number; end(): Promise<void> }

export async function startWalletProcess(url: string, brokers: string): Promise<ServiceProcess> {
  const port = freePort()
  const serviceUrl = new URL(url)
  serviceUrl.username = serviceUrl.password = 'bench_service'
  const child = Bun.spawn([process.execPath, join(import.meta.dir, '../../main.ts'), '--lifeline'], {
    env: {
      PATH: process.env.PATH,
      SERVICE: 'wallet',
      HOST: '127.0.0.1',
      PORT: String(port),
      LOG_LEVEL: 'error',
      DATABASE_URL: serviceUrl.href,
      MIGRATION_DATABASE_URL: url,
      KAFKA_BROKERS: brokers,
    },
    stdin: 'pipe',
    stdout: 'inherit',
    stderr: 'inherit',
  })
  await eventually(
    async () => {
      const { status } = await fetch(`http://127.0.0.1:${port}/readyz`)
      if (status !== 200) throw new Error(`the wallet is not ready: ${status}`)
    },
    { timeoutMs: 20_000 },
  )
  return { port, pid: child.pid, end: () => endOf(child) }
}

async function startNaiveProcess(url: string): Promise<ServiceProcess> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'ledger-naive.ts'), url], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const { value } = await child.stdout.getReader().read()
  const [word, port] = new TextDecoder().decode(value).trim().split(' ')
  if (word !== 'ready') throw new Error('the naive service did not start')
  return { port: Number(port), pid: child.pid, end: () => endOf(child) }
}

async function endOf(child: Bun.Subprocess): Promise<void> {
  child.kill('SIGKILL')
  await child.exited
}

function overHttp(name: string, url: string, { port, pid }: ServiceProcess, batch = 1): Subject {
  return {
    name,
    url,
    pid,
    movesMoney: true,
    runs: () => true,
    async run({ accounts, connections }, ms) {
      // More concurrent batches would exceed the queue limit.
      const load: Load = {
        port,
        connections: batch > 1 ? Math.min(connections, 8) : connections,
        accounts,
        ms,
        batch,
      }
      const { statuses, elapsedMs, p50, p99 } = await runLoad(load)
      const { 201: answered = 0, ...others } = statuses
      const done = answered * batch
      if (Object.keys(others).length > 0) throw new Error(`${name} answered ${JSON.stringify(statuses)}`)
      return { done, perSecond: (done / elapsedMs) * 1000, p50, p99 }
    },
  }
}

const withPgbench = (script: Script, url: string, directory: string): Subject => ({
  name: `pgbench, ${script}`,
  url,
  movesMoney: true,
  runs: () => true,
  run: (one, ms) => runPgbench({ script, url, directory, ms, ...one }),
})

async function untilRelayed(url: string): Promise<void> {
  const sql = connect(url)
  try {
    await eventually(
      async () => {
        const [outbox] = await sql`select exists (select from outbox) as waiting`
        if (outbox?.waiting) throw new Error('the outbox is not empty')
      },
      { timeoutMs: 60_000, intervalMs: 100 },
    )
  } finally {
    await sql.end()
  }
}

/**
 * Runs one turn and measures the CPU time of service and server until all its work is done.
 */
async function measure(subject: Subject, one: Case, ms: number, postmaster: number): Promise<Measured> {
  const sql = connect(subject.url)
  try {
    const before = await checkLedger(sql)
    const serviceMicros = () => (subject.pid ? cpuMicrosOf(subject.pid) : 0)
    const [serviceBegun, postgresBegun] = [serviceMicros(), postgresMicrosOf(postmaster)]
    const run = await subject.run(one, ms)
    await subject.settled?.()
    const costs = {
      serviceMicros: (serviceMicros() - serviceBegun) / run.done,
      postgresMicros: (postgresMicrosOf(postmaster) - postgresBegun) / run.done,
    }
    const added = (await checkLedger(sql)) - before
    if (added !== (subject.movesMoney ? run.done : 0))
      throw new Error(`${subject.name}: ${run.done} transfers were acknowledged, ${added} are in the ledger`)
    return { ...run, ...costs }
  } finally {
    await sql.end()
  }
}

function report({ accounts, connections }: Case, measured: Map<string, Measured[]>): void {
  const wallet = measured.get('wallet') ?? []
  const statements = measured.get('pgbench, single statements') ?? []
  console.log(
    `\n${connections} connections over ${accounts} accounts; median of ${wallet.length} rounds in turns`,
  )
  row('', 'per second', 'the wallet is', 'p50 ms', 'p99 ms', 'service µs', 'postgres µs', 'together')
  for (const [name, runs] of measured) {
    const middle = (value: (one: Measured) => number) => median(runs.map(value))
    // Ratios within a round, so that other load affects both sides.
    const ratio = median(
      runs.map(({ perSecond }, round) => (wallet[round]?.perSecond ?? Number.NaN) / perSecond),
    )
    row(
      name,
      number(middle(({ perSecond }) => perSecond)),
      `${number(ratio, 2)}×`,
      number(
        middle(({ p50 }) => p50),
        2,
      ),
      number(
        middle(({ p99 }) => p99),
        1,
      ),
      number(middle(({ serviceMicros }) => serviceMicros)),
      number(middle(({ postgresMicros }) => postgresMicros)),
      number(middle(({ serviceMicros, postgresMicros }) => serviceMicros + postgresMicros)),
    )
  }
  const batched = measured.get(batches) ?? []
  const ratio = median(
    batched.map(({ perSecond }, round) => perSecond / (statements[round]?.perSecond ?? Number.NaN)),
  )
  if (batched.length > 0) console.log(`${batches}: ${number(ratio, 2)}× single statements`)
}

function median(values: number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN
}

function number(value: number, digits = 0): string {
  return Number.isNaN(value) ? '–' : value.toLocaleString('en', { maximumFractionDigits: digits })
}

function row(first: string, ...others: string[]): void {
  console.log(`${first.padEnd(28)}${others.map((cell) => cell.padStart(15)).join('')}`)
}
