/**
 * Three brokers, two wallets and three balances under load, of which some are killed: `npm run cluster`.
 * Nothing that was accepted may be lost. Needs `KAFKA_SCRIPT`, a script that starts Apache Kafka: three
 * brokers, three replicas of each topic, `min.insync.replicas` 2.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { type ServiceName, serviceNames } from '../../config/config.ts'
import { optionsOrExit } from '../../platform/process/options.ts'
import { freePort } from '../../platform/process/ports.ts'
import { backing, endOfFile } from '../backing.ts'
import { type Balancer, startBalancer } from '../fleet/balancer.ts'
import { Load, openAccounts } from '../fleet/load.ts'
import { type Replica, type Settings, startReplica } from '../fleet/replica.ts'
import { verdictOn } from '../fleet/verdict.ts'
import { thisCheckout } from '../upgrade/checkout.ts'

const usage = `Usage: KAFKA_SCRIPT=PROGRAM npm run cluster [-- --rate N]
  Kills a broker, a wallet and two balances of a cluster under load.
  --rate  requests a second (default 200)`
const options = optionsOrExit(usage, { rate: { type: 'string', default: '200' } })

const counts = { wallet: 2, balances: 3 }
/** For how long something is away, and how long all is there before the next, in milliseconds. */
const awayMs = 6000
const betweenMs = 4000
const checkMs = 1000

/** The cluster of the script. Its ports are KAFKA_PORT and the two after it. */
function openKafka() {
  const script = process.env.KAFKA_SCRIPT
  if (!script) {
    console.error(`KAFKA_SCRIPT is not set.\n${usage}`)
    process.exit(2)
  }
  const env = {
    ...{ PATH: process.env.PATH, HOME: process.env.HOME, XDG_CACHE_HOME: process.env.XDG_CACHE_HOME },
    ...{ KAFKA_PORT: process.env.KAFKA_PORT ?? String(freePort()), KAFKA_AUTO_CREATE: 'false' },
  }
  return async (...command: string[]): Promise<string> => {
    const child = Bun.spawn([script, ...command], { env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
    const [output, complaints] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    if ((await child.exited) !== 0) throw new Error(`kafka ${command.join(' ')}: ${complaints}`)
    return output.trim().split('\n').at(-1) ?? ''
  }
}
type Kafka = ReturnType<typeof openKafka>

type Fleet = {
  settings: Settings
  balancers: Record<ServiceName, Balancer>
  replicas: Record<ServiceName, Replica[]>
}

async function add({ settings, balancers, replicas }: Fleet, service: ServiceName): Promise<void> {
  const replica = await startReplica(thisCheckout, service, settings)
  replicas[service].push(replica)
  balancers[service].add(replica.port)
}

/** The balancer takes it out a second later, as one that checks every second does. */
async function kill({ replicas, balancers }: Fleet, service: ServiceName): Promise<void> {
  const killed = replicas[service].shift()
  if (!killed) return
  await killed.end('SIGKILL')
  void Bun.sleep(checkMs).then(() => balancers[service].drain(killed.port))
}

/** What happens to the cluster, one after the other. */
const stepsOf = (fleet: Fleet, kafka: Kafka): [string, () => Promise<unknown>][] => [
  ['all are there', () => Bun.sleep(betweenMs)],
  ['broker 2 is killed', () => kafka('kill', '2').then(() => Bun.sleep(awayMs))],
  ['broker 2 is back', () => kafka('start', '2').then(() => Bun.sleep(betweenMs))],
  ['a wallet is killed', () => kill(fleet, 'wallet').then(() => Bun.sleep(awayMs))],
  ['a wallet is back', () => add(fleet, 'wallet').then(() => Bun.sleep(betweenMs))],
  [
    'two of the balances are killed',
    () => kill(fleet, 'balances').then(() => kill(fleet, 'balances').then(() => Bun.sleep(awayMs))),
  ],
  [
    'two of the balances are back',
    () => add(fleet, 'balances').then(() => add(fleet, 'balances').then(() => Bun.sleep(betweenMs))),
  ],
]

async function run(kafka: Kafka, folder: string): Promise<number> {
  const brokers = await kafka('up', '3')
  process.env.KAFKA_BROKERS = brokers
  const shared = await backing()
  const settings: Settings = {
    ...{ brokers, topicPrefix: shared.topicPrefix(), partitions: 6, folder },
    databases: {
      wallet: await shared.createDatabase('wallet'),
      balances: await shared.createDatabase('balances'),
    },
  }
  const balancers = { wallet: startBalancer(), balances: startBalancer() }
  const fleet: Fleet = { settings, balancers, replicas: { wallet: [], balances: [] } }
  const [wallet, balances] = serviceNames.map((service) =>
    postgres(settings.databases[service].url, { max: 1, onnotice: () => {} }),
  ) as [postgres.Sql, postgres.Sql]
  let load: Load | undefined
  try {
    for (const service of serviceNames)
      for (let count = 0; count < counts[service]; count++) await add(fleet, service)
    load = new Load({
      ...{ walletPort: balancers.wallet.port, balancesPort: balancers.balances.port },
      accounts: await openAccounts(balancers.wallet.port),
      ...{ perSecond: Number(options.rate), repeats: true },
    })
    for (const [name, work] of stepsOf(fleet, kafka)) await report(name, load, work)
    await report('the rest is answered', load, () => load?.stop() ?? Promise.resolve())
    return await judge(load, verdictOn({ load, settings, wallet, balances }))
  } finally {
    await load?.stop()
    const all = [...fleet.replicas.wallet, ...fleet.replicas.balances]
    await Promise.all(all.map(({ end }) => end('SIGTERM')))
    await Promise.all([wallet.end(), balances.end(), balancers.wallet.stop(), balancers.balances.stop()])
    await endOfFile()
  }
}

async function report(name: string, load: Load, work: () => Promise<unknown>): Promise<void> {
  const begun = performance.now()
  await work()
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  const { accepted, repeated, slowestReadMs, longestGapMs } = load.takeFigures()
  console.log(
    `${name}: ${seconds} s, ${accepted} accepted, ${repeated} sent again, slowest read ` +
      `${Math.round(slowestReadMs)} ms, longest time without a read ${Math.round(longestGapMs)} ms`,
  )
}

/** The number of checks that fail. */
async function judge(load: Load, checks: [string, () => Promise<unknown>][]): Promise<number> {
  console.log(
    [...load.answers]
      .sort()
      .map(([name, count]) => `${name}: ${count}`)
      .join(', '),
  )
  let failed = load.strange.length > 0 ? 1 : 0
  if (failed > 0) console.log(`(fail) answers: ${load.strange.join('\n')}`)
  for (const [name, work] of checks) {
    const fault = await work().then(
      () => undefined,
      (error: Error) => error.message,
    )
    if (fault !== undefined) failed++
    console.log(fault === undefined ? `(pass) ${name}` : `(fail) ${name}\n${fault}`)
  }
  return failed
}

const kafka = openKafka()
const folder = mkdtempSync(join(tmpdir(), 'saldo-cluster-'))
let failed = 1
try {
  failed = await run(kafka, folder)
} finally {
  await kafka('reset')
  if (failed === 0) rmSync(folder, { recursive: true })
  else console.log(`Logs of the processes are in ${folder}`)
}
process.exit(failed > 0 ? 1 : 0)
