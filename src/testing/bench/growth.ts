/**
 * The same work on a ledger that has grown: filled by SQL to each size, then measured with
 * `npm start`'s own processes. A tenth as many accounts as transactions, up to a million.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Filled, fill } from './growth-fill.ts'
import { measureReads } from './growth-reads.ts'
import { runLoad } from './ledger-load.ts'
import { CostMeter, type Figures } from './path-costs.ts'
import { type Reference, startReference } from './path-reference.ts'
import { median, reportSizes } from './path-report.ts'
import {
  checkPath,
  type PathStack,
  registerClient,
  startPath,
  thisCheckout,
  untilConsumed,
  untilSettled,
} from './path-stack.ts'
import { peakMegabytesOf, residentMegabytesOf } from './processes.ts'

const accountsMax = 1_000_000
const referenceMs = 4000

export async function benchGrowth(args: string[]): Promise<void> {
  const plan = readPlan(args)
  const scratch = mkdtempSync(join(tmpdir(), 'bench-growth-'))
  const ending: (() => unknown)[] = [() => rmSync(scratch, { recursive: true, force: true })]
  try {
    const dataDir = plan.directory ?? join(scratch, 'data')
    const all = new Map<string, Figures>()
    for (const transactions of plan.sizes) {
      const to = { transactions, accounts: Math.min(plan.accounts, Math.ceil(transactions * plan.share)) }
      await grow(dataDir, to)
      if (plan.fillOnly) continue
      const reference = await startReference(scratch)
      try {
        all.set(transactions.toLocaleString('en'), await measure(dataDir, to, plan, reference))
      } finally {
        await reference?.stop()
        rmSync(join(scratch, 'reference'), { recursive: true, force: true })
      }
      reportSizes(all)
    }
    const plain = Object.fromEntries([...all].map(([size, figures]) => [size, Object.fromEntries(figures)]))
    if (plan.json) await Bun.write(plan.json, `${JSON.stringify(plain, null, 2)}\n`)
  } finally {
    for (const end of ending.toReversed()) await end()
  }
}

type Size = Omit<Filled, 'clientId'>
type Plan = ReturnType<typeof readPlan>

function readPlan(args: string[]) {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args,
    options: {
      ...{
        at: text,
        directory: text,
        seconds: text,
        rounds: text,
        json: text,
        reconcile: text,
        accounts: text,
      },
      fill: { type: 'boolean' },
    },
  })
  const sizes = (values.at ?? '100000,1000000,10000000').split(',').map(Number)
  return {
    sizes: sizes.toSorted((a, b) => a - b),
    directory: values.directory === undefined ? undefined : resolve(thisCheckout, values.directory),
    ms: Number(values.seconds ?? 8) * 1000,
    rounds: Number(values.rounds ?? 3),
    json: values.json,
    // Every account begins with a deposit.
    accounts: Number(values.accounts ?? accountsMax),
    share: values.accounts === undefined ? 0.1 : 1,
    /** Reconcile reads everything: some 80 s for a million events. */
    reconcileMax: Number(values.reconcile ?? 1_000_000),
    fillOnly: values.fill ?? false,
  }
}

/** The size is written down when a fill is complete: what was begun and not ended cannot be used. */
async function grow(dataDir: string, size: Size): Promise<void> {
  const file = join(dataDir, 'growth.json')
  if (!existsSync(dataDir)) {
    const stack = await startPath(thisCheckout, dataDir)
    const { id: clientId } = await registerClient(stack)
    await untilConsumed(stack)
    await stack.stop()
    writeFileSync(file, JSON.stringify({ transactions: 0, accounts: 0, clientId }))
  }
  if (!existsSync(file))
    throw new Error(`${dataDir} is not of this bench, or its fill was cut short: remove it`)
  const filled = JSON.parse(readFileSync(file, 'utf8')) as Filled
  if (filled.transactions >= size.transactions) return
  const to = { ...filled, ...size }
  rmSync(file)
  await fill(dataDir, filled, to)
  writeFileSync(file, JSON.stringify(to))
}

async function measure(
  dataDir: string,
  size: Size,
  plan: Plan,
  reference: Reference | undefined,
): Promise<Figures> {
  let stack = await startPath(thisCheckout, dataDir)
  const figures: Figures = new Map([['start after a stop, s', stack.readyMs / 1000]])
  try {
    const rounds: Figures[] = []
    await load(stack, size, 2000)
    for (let round = 0; round < plan.rounds; round++) {
      const r = await reference?.measure(referenceMs)
      rounds.push(await measureTransfers(stack, size, plan.ms, r?.perSecond ?? Number.NaN))
    }
    for (const name of rounds[0]?.keys() ?? [])
      figures.set(name, median(rounds.map((each) => each.get(name) ?? Number.NaN)))
    for (const [name, value] of await measureReads(stack, size)) figures.set(name, value)
    for (const [name, value] of await measureSizes(stack, dataDir)) figures.set(name, value)
    await stack.stop('SIGKILL')
    stack = await startPath(thisCheckout, dataDir)
    figures.set('start after kill -9, s', stack.readyMs / 1000)
    const transactions = await countTransactions(stack)
    await checkPath(stack, transactions, 0)
    if (transactions <= plan.reconcileMax) figures.set('reconcile, s', await reconcile(stack))
    return figures
  } finally {
    await stack.stop()
  }
}

async function load({ walletPort }: PathStack, { accounts }: Size, ms: number, connections = 64) {
  const answer = await runLoad({ port: walletPort, connections, accounts, ms, batch: 1 })
  const { 201: done = 0, ...others } = answer.statuses
  if (Object.keys(others).length > 0)
    throw new Error(`transfers were answered ${JSON.stringify(answer.statuses)}`)
  return { ...answer, done }
}

async function measureTransfers(stack: PathStack, size: Size, ms: number, r: number): Promise<Figures> {
  await untilSettled(stack)
  const meter = await CostMeter.start(stack)
  const begun = performance.now()
  const { done, elapsedMs, p50, p99 } = await load(stack, size, ms)
  await untilSettled(stack)
  const carriedMs = performance.now() - begun
  const costs = await meter.end(done)
  const lone = await load(stack, size, ms / 4, 1)
  return new Map([
    ['R, transfers/s', r],
    ['accepted, in R', (done / elapsedMs) * (1000 / r)],
    ['transfers/s, accepted', (done / elapsedMs) * 1000],
    ['transfers/s, carried', (done / carriedMs) * 1000],
    ['POST p50, ms', p50],
    ['POST p99, ms', p99],
    ['lone POST p50, ms', lone.p50],
    ['lone POST p99, ms', lone.p99],
    ...costs,
  ])
}

async function measureSizes(stack: PathStack, dataDir: string): Promise<Figures> {
  const transactions = await countTransactions(stack)
  const [row] = await stack.admin<Record<string, string>[]>`
    select pg_database_size('wallet') as wallet, pg_database_size('balances') as balances`
  const broker = Number((await Bun.$`du -sb ${join(dataDir, 'broker')}`.text()).split('\t')[0])
  const bytes = { wallet: Number(row?.wallet), balances: Number(row?.balances), broker }
  const { wallet, balances, broker: brokerPid } = stack.pids
  return new Map([
    ...Object.entries(bytes).map(
      ([name, size]) => [`disk per transfer, ${name}, bytes`, size / transactions] as const,
    ),
    ['memory, wallet, MB', residentMegabytesOf(wallet)],
    ['memory, balances, MB', residentMegabytesOf(balances)],
    ['memory, broker, MB', residentMegabytesOf(brokerPid)],
    ['peak memory, wallet, MB', peakMegabytesOf(wallet)],
    ['peak memory, balances, MB', peakMegabytesOf(balances)],
    ['peak memory, broker, MB', peakMegabytesOf(brokerPid)],
    ['open files, broker', Number((await Bun.$`ls /proc/${brokerPid}/fd | wc -l`.text()).trim())],
  ])
}

async function countTransactions({ wallet }: PathStack): Promise<number> {
  const [row] = await wallet<{ count: number }[]>`select count(*)::int as count from transactions`
  return row?.count ?? 0
}

/** In seconds. Throws unless it finds no difference. */
async function reconcile(stack: PathStack): Promise<number> {
  const begun = performance.now()
  const child = Bun.spawn([process.execPath, 'src/cli/main.ts', 'reconcile'], {
    cwd: thisCheckout,
    env: {
      PATH: process.env.PATH,
      WALLET_DATABASE_URL: stack.urls.wallet,
      BALANCES_DATABASE_URL: stack.urls.balances,
      KAFKA_BROKERS: `127.0.0.1:${stack.brokerPort}`,
    },
    stdout: 'pipe',
    stderr: 'ignore',
  })
  const output = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error(`reconcile found differences:\n${output}`)
  return (performance.now() - begun) / 1000
}
