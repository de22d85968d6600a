/**
 * A rolling upgrade from the previous release to this checkout, back, and forward again, under load:
 * `npm run upgrade`. Two wallets and two balances are replaced one after the other; only 2xx, 409 and
 * 422 may be answered, and nothing may be lost.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { type ServiceName, serviceNames } from '../../config/config.ts'
import { optionsOrExit } from '../../platform/process/options.ts'
import { backing, endOfFile } from '../backing.ts'
import { type Balancer, startBalancer } from '../fleet/balancer.ts'
import { Load, openAccounts } from '../fleet/load.ts'
import { type Checkout, type Replica, type Settings, startReplica } from '../fleet/replica.ts'
import { verdictOn } from '../fleet/verdict.ts'
import { CheckoutError, checkOut, previousRelease, thisCheckout } from './checkout.ts'

const usage = `Usage: npm run upgrade [-- --rate N]
  Upgrades from ${previousRelease} to this version, back and forward again, process by process, under load.
  --rate  requests a second (default 300)`
const options = optionsOrExit(usage, { rate: { type: 'string', default: '300' } })

/** Under load with one version, before the next one comes, in milliseconds. */
const betweenMs = 1500
const replicasEach = 2

let passed = 0
let failed = 0

async function check(name: string, work: () => Promise<unknown> | unknown): Promise<void> {
  try {
    await work()
    passed++
    console.log(`(pass) ${name}`)
  } catch (error) {
    failed++
    console.log(`(fail) ${name}\n${(error as Error).message}`)
  }
}

type Fleet = { settings: Settings; balancers: Record<ServiceName, Balancer>; replicas: Replica[] }

/** Replaces every process by one of that version: out of rotation, SIGTERM, and the next one. */
async function roll({ settings, balancers, replicas }: Fleet, to: Checkout): Promise<void> {
  for (let index = 0; index < replicas.length; index++) {
    const { service, port, version, end, logFile } = replicas[index] as Replica
    await balancers[service].drain(port)
    const code = await end('SIGTERM')
    if (code !== 0)
      throw new Error(`${service} ${version} ended with ${code}: ${await Bun.file(logFile).text()}`)
    const next = await startReplica(to, service, settings)
    balancers[service].add(next.port)
    replicas[index] = next
  }
}

async function upgrade(former: Checkout, folder: string): Promise<void> {
  const shared = await backing()
  const settings: Settings = {
    brokers: shared.brokers.join(),
    topicPrefix: shared.topicPrefix(),
    databases: {
      wallet: await shared.createDatabase('wallet'),
      balances: await shared.createDatabase('balances'),
    },
    folder,
  }
  const balancers = { wallet: startBalancer(), balances: startBalancer() }
  const fleet: Fleet = { settings, balancers, replicas: [] }
  const [wallet, balances] = serviceNames.map((service) =>
    postgres(settings.databases[service].url, { max: 1, onnotice: () => {} }),
  ) as [postgres.Sql, postgres.Sql]
  let load: Load | undefined
  try {
    for (let count = 0; count < replicasEach; count++)
      for (const service of serviceNames) {
        const replica = await startReplica(former, service, settings)
        balancers[service].add(replica.port)
        fleet.replicas.push(replica)
      }
    load = new Load({
      walletPort: balancers.wallet.port,
      balancesPort: balancers.balances.port,
      accounts: await openAccounts(balancers.wallet.port),
      perSecond: Number(options.rate),
      repeats: false,
    })
    await tryAll(fleet, { former, load, wallet, balances })
  } finally {
    await load?.stop()
    await Promise.all(fleet.replicas.map(({ end }) => end('SIGTERM')))
    await Promise.all([wallet.end(), balances.end(), balancers.wallet.stop(), balancers.balances.stop()])
    await endOfFile()
  }
}

type Run = { former: Checkout; load: Load; wallet: postgres.Sql; balances: postgres.Sql }

async function tryAll(fleet: Fleet, { former, load, wallet, balances }: Run): Promise<void> {
  const begun = performance.now()
  await Bun.sleep(betweenMs)
  for (const to of [thisCheckout, former, thisCheckout]) {
    await check(`all processes are replaced by ${to.version}`, () => roll(fleet, to))
    await Bun.sleep(betweenMs)
  }
  await load.stop()
  const seconds = (performance.now() - begun) / 1000
  const counts = [...load.answers].sort().map(([name, count]) => `${name}: ${count}`)
  const sent = [...load.answers.values()].reduce((sum, count) => sum + count, 0)
  console.log(
    `${seconds.toFixed(0)} s, ${Math.round(sent / seconds)} requests a second: ${counts.join(', ')}`,
  )
  console.log(`slowest read of what was just written: ${Math.round(load.takeFigures().slowestReadMs)} ms`)
  await check('only 2xx, 409 and 422 were answered', () => {
    if (load.strange.length > 0) throw new Error(load.strange.join('\n'))
  })
  for (const [name, work] of verdictOn({ load, settings: fleet.settings, wallet, balances }))
    await check(name, work)
}

const folder = mkdtempSync(join(tmpdir(), 'saldo-upgrade-'))
try {
  await upgrade(await checkOut(previousRelease), folder)
} catch (error) {
  failed++
  console.log(`(fail) ${error instanceof CheckoutError ? error.message : (error as Error).stack}`)
}
const hasLogs = readdirSync(folder).length > 0
if (failed > 0 && hasLogs) console.log(`Logs of the processes are in ${folder}`)
else rmSync(folder, { recursive: true })
console.log(`\n ${passed} pass\n ${failed} fail`)
process.exit(failed > 0 ? 1 : 0)
