/**
 * Duration of `reconcile` for a number of events, run as a separate process beside both services. Then
 * a balance is changed by a cent in either database, which it has to report.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { random } from '../random.ts'
import { type Caller, serviceConfig, spawnService } from '../stack.ts'
import { startBrokerProcess } from './broker-process.ts'
import { connect } from './ledger-accounts.ts'

const accountsMax = 1000
const batchMax = 1000

export async function benchReconcile([events = '100000']: string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-reconcile-'))
  const ending: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const owners = ['wallet', 'balances'].map((name) => ({ name, user: name, password: name }))
    const server = await startPostgres({ dataDir: join(directory, 'postgres'), databases: owners })
    ending.push(server.stop)
    const broker = await startBrokerProcess(join(directory, 'broker'))
    ending.push(() => broker.end('SIGKILL'))
    const settings = { brokers: [broker.brokers], topicPrefix: '', seed: true }
    const start = async (name: 'wallet' | 'balances') => {
      const url = server.url(name)
      const serviceUrl = url.replace('wallet:wallet@', 'wallet_service:wallet_service@')
      const service = await spawnService(
        serviceConfig(name, { ...settings, database: { name, url, serviceUrl } }),
      )
      ending.push(service.kill)
      return service
    }
    const [wallet] = await Promise.all([start('wallet'), start('balances')])

    const accounts = await openAccounts(wallet)
    const moved = await move(wallet, accounts, Number(events) / 2)
    console.log(`${2 * moved} events of ${moved} movements between ${accounts.length} accounts`)
    const env = {
      PATH: process.env.PATH,
      WALLET_DATABASE_URL: server.url('wallet'),
      BALANCES_DATABASE_URL: server.url('balances'),
      KAFKA_BROKERS: broker.brokers,
    }
    await reconcile(env, 0, 600)
    for (let round = 1; round <= 3; round++) await reconcile(env, 0)
    const [ledger, model] = [connect(server.url('wallet')), connect(server.url('balances'))]
    const [one = '', other = ''] = accounts
    await ledger`alter table entries disable trigger user`
    await ledger`
      update entries set balance_minor = balance_minor + 1 where account_id = ${one} and version = 1`
    await model`update balances set balance_minor = balance_minor + 1 where account_id = ${other}`
    await Promise.all([ledger.end(), model.end()])
    console.log(`changed a balance by a cent: ${one} in the wallet, ${other} in balances`)
    await reconcile(env, 1)
  } finally {
    for (const end of ending.toReversed()) await end()
  }
}

async function openAccounts(wallet: Caller): Promise<string[]> {
  const client = await wallet.post('/clients', { name: 'Bench', email: 'bench@example.com' })
  const opened = Array.from({ length: accountsMax }, () =>
    wallet.post('/accounts', { client_id: client.body.id }),
  )
  return (await Promise.all(opened)).map(({ body }) => String(body.id))
}

/** A deposit to each account, and then transfers; `count` of both together, which is returned. */
async function move(wallet: Caller, accounts: string[], count: number): Promise<number> {
  const any = () => Math.floor(random() * accounts.length)
  const commandOf = (number: number): object => {
    if (number < accounts.length)
      return { kind: 'deposit', account_id_to: accounts[number], amount: 1_000_000 }
    const from = any()
    const to = (from + 1 + (any() % (accounts.length - 1))) % accounts.length
    return { account_id_from: accounts[from], account_id_to: accounts[to], amount: (1 + any()) / 100 }
  }
  for (let made = 0; made < count; made += batchMax) {
    const transactions = Array.from({ length: Math.min(batchMax, count - made) }, (_, index) =>
      commandOf(made + index),
    )
    const { status, body } = await wallet.post('/transactions/batch', { mode: 'atomic', transactions })
    if (status >= 300) throw new Error(`a batch was answered ${status}: ${JSON.stringify(body)}`)
  }
  return count
}

/** Runs the command, and throws unless it exits with `exitCode`. */
async function reconcile(
  env: Record<string, string | undefined>,
  exitCode: number,
  wait = 30,
): Promise<void> {
  const begun = performance.now()
  const command = [
    process.execPath,
    join(import.meta.dir, '../../cli/main.ts'),
    'reconcile',
    '--wait',
    String(wait),
  ]
  const child = Bun.spawn(command, { env, stdout: 'inherit', stderr: 'inherit' })
  const ended = await child.exited
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  const used = child.resourceUsage()
  const [cpu, megabytes] = [
    (Number(used?.cpuTime.total) / 1e6).toFixed(1),
    Math.round(Number(used?.maxRSS) / 2 ** 20),
  ]
  console.log(`  ${seconds} s, ${cpu} s CPU, peak memory ${megabytes} MB, exit code ${ended}\n`)
  if (ended !== exitCode) throw new Error(`expected exit code ${exitCode}`)
}
