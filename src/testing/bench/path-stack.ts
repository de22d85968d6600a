/**
 * The processes of `npm start`, of this or another checkout, on free ports and a data directory of
 * their own; and what the benches of the whole path read from them.
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type postgres from 'postgres'
import { localDatabaseUrl } from '../../config/config.ts'
import { connectKafka, type Kafka } from '../../platform/kafka/client.ts'
import { partitionName } from '../../platform/kafka/offsets.ts'
import { freePort } from '../../platform/process/ports.ts'
import { createLog } from '../../platform/telemetry/log.ts'
import { eventually } from '../eventually.ts'
import { checkLedger, connect } from './ledger-accounts.ts'
import { commandOf, environmentOf, treeOf } from './processes.ts'

export type PathStack = {
  walletPort: number
  balancesPort: number
  brokerPort: number
  /** Of the services and the broker, by name, and of the postmaster. */
  pids: Record<'wallet' | 'balances' | 'broker' | 'postmaster', number>
  /** Single connections as the owners, and as the superuser. */
  wallet: postgres.Sql
  balances: postgres.Sql
  admin: postgres.Sql
  kafka: Kafka
  /** Of the databases, as their owners. */
  urls: Record<'wallet' | 'balances', string>
  /** From the start of the process until both services are ready. */
  readyMs: number
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

export const thisCheckout = resolve(import.meta.dir, '../../..')
const startMsMax = 60_000
const outputMax = 4000

export async function startPath(checkout: string, dataDir: string): Promise<PathStack> {
  const [walletPort, balancesPort, postgresPort, brokerPort] = freePorts(4) as [
    number,
    number,
    number,
    number,
  ]
  const begun = performance.now()
  const child = Bun.spawn([process.execPath, 'src/local/launch.cjs', 'src/local/start.ts'], {
    cwd: checkout,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      DATA_DIR: dataDir,
      WALLET_PORT: String(walletPort),
      BALANCES_PORT: String(balancesPort),
      POSTGRES_PORT: String(postgresPort),
      KAFKA_PORT: String(brokerPort),
      LOG_LEVEL: 'error',
    },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    void (async () => {
      for await (const chunk of stream.pipeThrough(new TextDecoderStream()))
        output = (output + chunk).slice(-outputMax)
    })()
  const stop = (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM') => stopTree(child, signal)
  try {
    for (const port of [walletPort, balancesPort]) await untilReady(port, () => child.exitCode === null)
  } catch (error) {
    await stop()
    throw new Error(`npm start in ${checkout} failed: ${output}`, { cause: error })
  }
  const readyMs = performance.now() - begun
  const password = readFileSync(join(dataDir, 'postgres/admin-password'), 'utf8')
  const urls = {
    wallet: localDatabaseUrl('wallet', postgresPort),
    balances: localDatabaseUrl('balances', postgresPort),
  }
  const [wallet, balances] = [connect(urls.wallet), connect(urls.balances)]
  const admin = connect(`postgres://postgres:${password}@127.0.0.1:${postgresPort}/postgres`)
  const kafka = connectKafka(
    { brokers: [`127.0.0.1:${brokerPort}`], clientId: 'bench', ssl: false, sasl: undefined },
    createLog({ service: 'bench', level: 'error', format: 'json' }),
  )
  return {
    ...{ walletPort, balancesPort, brokerPort, wallet, balances, admin, kafka, urls, readyMs },
    pids: findPids(child.pid),
    async stop(signal) {
      await Promise.all([wallet.end(), balances.end(), admin.end(), kafka.close()])
      await stop(signal)
    },
  }
}

/** Different ones, so all are drawn while the others are known. */
function freePorts(count: number): number[] {
  const ports = new Set<number>()
  while (ports.size < count) ports.add(freePort())
  return [...ports]
}

async function untilReady(port: number, isRunning: () => boolean): Promise<void> {
  await eventually(
    async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
      if (!isRunning()) return
      if (answer?.status !== 200) throw new Error(`port ${port} is not ready`)
    },
    { timeoutMs: startMsMax },
  )
  if (!isRunning()) throw new Error('it has ended')
}

/** An orderly stop; or the whole tree at once, as with a loss of power for processes. */
async function stopTree(child: Bun.Subprocess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const tree = treeOf(child.pid)
  if (signal === 'SIGTERM') child.kill(signal)
  else for (const { pid } of tree) killQuietly(pid)
  await child.exited
  await eventually(() => {
    if (tree.some(({ pid }) => commandOf(pid) !== '')) throw new Error('processes are left')
  })
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended with its parent.
  }
}

function findPids(root: number): PathStack['pids'] {
  const tree = treeOf(root).map(({ pid }) => ({
    pid,
    command: commandOf(pid),
    environment: environmentOf(pid),
  }))
  const find = (what: string, matches: (each: (typeof tree)[number]) => boolean): number => {
    const found = tree.find(matches)
    if (!found) throw new Error(`npm start has no process of the ${what}: this bench runs on Linux only`)
    return found.pid
  }
  const service = (name: string) =>
    find(
      name,
      ({ command, environment }) =>
        command.includes('src/main.ts') && environment.includes(`SERVICE=${name}`),
    )
  return {
    wallet: service('wallet'),
    balances: service('balances'),
    broker: find('broker', ({ command }) => command.includes('broker/main.ts')),
    postmaster: find('PostgreSQL', ({ command }) => /^\S+\/postgres -D /.test(command)),
  }
}

/** A stopped stack's data, for another run from the same state. Pages are on disk when it returns. */
export async function copyData(from: string, to: string): Promise<void> {
  await Bun.$`mkdir -p ${to} && cp -a ${from}/. ${to} && sync -f ${to}`.quiet()
}

async function post({ walletPort }: PathStack, path: string, body: unknown): Promise<{ id: string }> {
  const answer = await fetch(`http://127.0.0.1:${walletPort}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (answer.status !== 201) throw new Error(`${path} was answered ${answer.status}: ${await answer.text()}`)
  return (await answer.json()) as { id: string }
}

/** The owner of a bench's accounts. */
export const registerClient = (stack: PathStack): Promise<{ id: string }> =>
  post(stack, '/clients', { name: 'Bench', email: 'bench@example.com' })

/** Opens funded accounts over HTTP, so that it does not depend on tables. Returns their ids. */
export async function fillAccounts(stack: PathStack, count: number): Promise<string[]> {
  const client = await registerClient(stack)
  const ids: string[] = []
  const fill = async () => {
    while (ids.length < count) {
      const place = ids.push('') - 1
      ids[place] = (await post(stack, '/accounts', { client_id: client.id })).id
    }
  }
  await Promise.all(Array.from({ length: 128 }, fill))
  for (let first = 0; first < count; first += 100) {
    const transactions = ids
      .slice(first, first + 100)
      .map((id) => ({ kind: 'deposit', account_id_to: id, amount: 1_000_000 }))
    await post(stack, '/transactions/batch', { mode: 'atomic', transactions })
  }
  return ids
}

/**
 * Resolves once the read side has every version, and the outbox is empty. Compares sums, which cost
 * little; `checkPath` compares accounts.
 */
export async function untilSettled({ wallet, balances }: PathStack, timeoutMs = 120_000): Promise<void> {
  await eventually(
    async () => {
      const [ledger] = await wallet<{ state: string; waiting: boolean }[]>`
        select sum(version) || ' versions of ' || count(*) || ' accounts' as state,
          exists (select from outbox) as waiting
        from accounts`
      const [model] = await balances<{ state: string }[]>`
        select sum(version) || ' versions of ' || count(*) filter (where opened) || ' accounts' as state
        from balances`
      if (ledger?.waiting || ledger?.state !== model?.state)
        throw new Error(`the ledger has ${ledger?.state}, the read side ${model?.state}`)
    },
    { timeoutMs, intervalMs: 25 },
  )
}

/**
 * Resolves once the read side has applied every record. Its rows alone do not show that after a first
 * start, which seeds them, and names of clients have no version.
 */
export async function untilConsumed(stack: PathStack): Promise<void> {
  await untilSettled(stack)
  await eventually(
    async () => {
      const ends = await stack.kafka.endOffsets(['personal-data', 'accounts', 'balances'])
      const rows = await stack.balances<{ name: string; next: string }[]>`
        select topic || '/' || partition as name, next_offset::text as next from consumed_offsets`
      const applied = new Map(rows.map(({ name, next }) => [name, next]))
      for (const { topic, partition, offset } of ends)
        if (applied.get(partitionName(topic, partition)) !== String(offset))
          throw new Error(`${topic}/${partition} is not applied up to ${offset}`)
    },
    { intervalMs: 100 },
  )
}

/**
 * Throws unless the ledger balances, has `added` transactions more than before, and the read side has
 * the same balance and version of each account.
 */
export async function checkPath(stack: PathStack, before: number, added: number): Promise<void> {
  const transactions = await checkLedger(stack.wallet)
  if (transactions - before !== added)
    throw new Error(`${added} transfers were acknowledged, ${transactions - before} are in the ledger`)
  const [ledger] = await stack.wallet<{ digest: string }[]>`
    select md5(string_agg(concat_ws(' ', id, balance_minor, version), ',' order by id::text collate "C"))
      as digest
    from accounts where version > 0`
  const [model] = await stack.balances<{ digest: string; letters: number }[]>`
    select
      md5(string_agg(concat_ws(' ', account_id, balance_minor, version), ',' order by account_id collate "C"))
        as digest,
      (select count(*)::int from dead_letters) as letters
    from balances where version > 0`
  if (!ledger?.digest || ledger.digest !== model?.digest || model.letters > 0)
    throw new Error(`the read side differs from the ledger: ${JSON.stringify({ ledger, model })}`)
}
