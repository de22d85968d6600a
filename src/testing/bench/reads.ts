/**
 * GET /balances/{id} per second, compared with the same HTTP server with a constant response and with
 * one query per request; and the delay from sending a transfer until it can be read. Subjects take
 * turns within one run. PostgreSQL is durable, each service a separate process.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { prepareDatabase } from '../../platform/postgres/migrate'
import { arrayOf } from '../../platform/postgres/statements'
import { createLog } from '../../platform/telemetry/log'
import { random } from '../random.ts'
import { callerOf, serviceConfig, spawnService } from '../stack.ts'
import { startBrokerProcess } from './broker-process.ts'
import { startWalletProcess } from './ledger.ts'
import { accountId, accountsMax, connect, seedAccounts } from './ledger-accounts.ts'
import { type Load, runLoad } from './ledger-load.ts'
import { cpuMicrosOf } from './processes.ts'

type Subject = { name: string; port: number; pid: number }
type Run = { perSecond: number; p50: number; p99: number; micros: number }

const [rounds, turnMs] = [3, 2000]
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN

export async function benchReads([samples = '500']: string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-reads-'))
  const ending: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const owner = { user: 'bench', password: 'bench' }
    const databases = ['wallet', 'balances'].map((name) => ({ name, ...owner }))
    const server = await startPostgres({ dataDir: join(directory, 'postgres'), databases })
    ending.push(server.stop)
    const broker = await startBrokerProcess(join(directory, 'broker'))
    ending.push(() => broker.end('SIGKILL'))
    const url = server.url('balances')
    const serviceUrl = url.replace('bench:bench@', 'bench_service:bench_service@')
    const database = { name: 'balances', url, serviceUrl }
    const settings = { database, brokers: [broker.brokers], topicPrefix: '', seed: false }
    const service = await spawnService({ ...serviceConfig('balances', settings) })
    ending.push(() => service.kill())
    await fillBalances(url)
    const plain = async (kind: string): Promise<Subject> => {
      const child = Bun.spawn([process.execPath, join(import.meta.dir, 'reads-plain.ts'), kind, url], {
        stdin: 'pipe',
        stdout: 'pipe',
        stderr: 'inherit',
      })
      ending.push(() => child.kill())
      const { value } = await child.stdout.getReader().read()
      return { name: kind, port: Number(new TextDecoder().decode(value)), pid: child.pid }
    }
    const subjects = [{ ...service, name: 'balances' }, await plain('constant'), await plain('naive')]
    for (const subject of subjects) await take(subject, 32, 1000)
    for (const connections of [1, 32, 256]) report(connections, await compare(subjects, connections))

    const walletUrl = server.url('wallet')
    const log = createLog({ service: 'bench', level: 'error', format: 'json' })
    const folder = join(import.meta.dir, '../../../migrations/wallet')
    await prepareDatabase({
      url: walletUrl,
      folder,
      migrate: true,
      log,
      signal: new AbortController().signal,
    })
    await seedAccounts(walletUrl, log)
    const wallet = await startWalletProcess(walletUrl, broker.brokers)
    ending.push(wallet.end)
    await benchVisible(wallet.port, service.port, Number(samples))
  } finally {
    for (const end of ending.reverse()) await end()
  }
}

async function fillBalances(url: string): Promise<void> {
  const sql = connect(url)
  const ids = arrayOf(Array.from({ length: accountsMax }, (_, index) => accountId(index + 1)))
  await sql`
    insert into balances (account_id, currency, balance_minor, version, opened, created_at, updated_at)
    select id, 'BRL', 100050, 1, true, now(), now() from unnest(${ids}::text[]) as id`
  await sql`vacuum analyze`
  await sql.end()
}

async function take({ port, pid }: Subject, connections: number, ms: number): Promise<Run> {
  const load: Load = { port, connections, accounts: accountsMax, ms, batch: 1, reads: true }
  const begun = cpuMicrosOf(pid)
  const { statuses, elapsedMs, p50, p99 } = await runLoad(load)
  const { 200: answered = 0, ...others } = statuses
  if (Object.keys(others).length > 0) throw new Error(`reads were answered ${JSON.stringify(statuses)}`)
  return { perSecond: (answered / elapsedMs) * 1000, p50, p99, micros: (cpuMicrosOf(pid) - begun) / answered }
}

async function compare(subjects: Subject[], connections: number): Promise<Map<string, Run[]>> {
  const runs = new Map<string, Run[]>(subjects.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const subject of round % 2 ? subjects.toReversed() : subjects)
      runs.get(subject.name)?.push(await take(subject, connections, turnMs))
  }
  return runs
}

function report(connections: number, runs: Map<string, Run[]>): void {
  const heads = ['reads/s', 'p50 ms', 'p99 ms', 'service µs'].map((head) => head.padStart(12)).join('')
  console.log(`\n${`${connections} connections`.padEnd(20)}${heads}${'balances is'.padStart(20)}`)
  const ours = runs.get('balances') ?? []
  for (const [name, all] of runs) {
    const of = (field: keyof Run) => median(all.map((run) => run[field]))
    const ratios = all.map((run, index) => (ours[index]?.perSecond ?? Number.NaN) / run.perSecond)
    const ratio = name === 'balances' ? '' : `${median(ratios).toFixed(2)}×`
    const columns = [
      Math.round(of('perSecond')).toLocaleString('en'),
      of('p50').toFixed(2),
      of('p99').toFixed(1),
      of('micros').toFixed(0),
    ]
    console.log(
      `  ${name.padEnd(18)}${columns.map((text) => text.padStart(12)).join('')}${ratio.padStart(20)}`,
    )
  }
}

/** First without other load, then at about half the maximum rate of the wallet. */
async function benchVisible(walletPort: number, balancesPort: number, samples: number): Promise<void> {
  const [wallet, balances] = [callerOf('wallet', walletPort), callerOf('balances', balancesPort)]
  const transfer = () => {
    const from = 1 + Math.floor(random() * accountsMax)
    const body = {
      account_id_from: accountId(from),
      account_id_to: accountId((from % accountsMax) + 1),
      amount: 0.01,
    }
    return wallet
      .post('/transactions', body)
      .then((answer) => ({ answer, accountIdFrom: body.account_id_from }))
  }
  const visible = async () => {
    const begun = performance.now()
    const { answer, accountIdFrom } = await transfer()
    const headers = { 'consistency-token': answer.headers.get('consistency-token') ?? '', prefer: 'wait=20' }
    const { status } = await balances.get(`/balances/${accountIdFrom}`, headers)
    if (status !== 200) throw new Error(`a transfer did not become readable: ${status}`)
    return performance.now() - begun
  }
  const measure = async (label: string) => {
    const waits: number[] = []
    for (let sample = 0; sample < samples; sample++) waits.push(await visible())
    waits.sort((a, b) => a - b)
    const at = (share: number) => (waits[Math.floor(waits.length * share)] ?? Number.NaN).toFixed(1)
    console.log(`  ${label.padEnd(40)} p50 ${at(0.5)} ms   p99 ${at(0.99)} ms`)
  }
  console.log(`\nfrom sending a transfer until it can be read, ${samples} samples`)
  await measure('without other load')
  const ceiling = await takeTransfers(walletPort, 64, 3000)
  await Bun.sleep(3000)
  let over = false
  const gapMs = 10
  const each = Math.max(1, Math.round((ceiling / 2 / 1000) * gapMs))
  const timer = setInterval(() => {
    if (!over) for (let one = 0; one < each; one++) void transfer().catch(() => {})
  }, gapMs)
  await measure(`at ${Math.round(ceiling / 2).toLocaleString('en')} transfers/s, half the maximum`)
  over = true
  clearInterval(timer)
}

async function takeTransfers(port: number, connections: number, ms: number): Promise<number> {
  const load: Load = { port, connections, accounts: accountsMax, ms, batch: 1 }
  const { statuses, elapsedMs } = await runLoad(load)
  return ((statuses[201] ?? 0) / elapsedMs) * 1000
}
