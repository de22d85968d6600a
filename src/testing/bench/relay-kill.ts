/**
 * Repeatedly kills and restarts the wallet whose relay leads, during concurrent transfers at two
 * wallets on one database. Transfers have idempotency keys and are retried at the next wallet until
 * they succeed. In the end each is in the ledger once, its events are at the offsets that the wallet
 * reports, and the read model has the same entries as the ledger.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { connectKafka } from '../../platform/kafka/client'
import { createLog } from '../../platform/telemetry/log'
import { eventually } from '../eventually.ts'
import { headerText } from '../headers.ts'
import { findFaults } from '../ledger-faults.ts'
import { random } from '../random.ts'
import { type Caller, serviceConfig, spawnService } from '../stack.ts'
import { startBrokerProcess } from './broker-process.ts'
import { connect } from './ledger-accounts.ts'

type Sql = ReturnType<typeof connect>

const patience = { timeoutMs: 60_000, intervalMs: 5 }

export async function killRelay([kills = '20', transfers = '5000']: string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-relay-kill-'))
  const ending: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const names = ['wallet', 'balances'] as const
    const databases = names.map((name) => ({ name, user: name, password: name }))
    const server = await startPostgres({ dataDir: join(directory, 'postgres'), databases })
    ending.push(server.stop)
    const broker = await startBrokerProcess(join(directory, 'broker'))
    ending.push(() => broker.end('SIGKILL'))
    const [walletConfig, balancesConfig] = names.map((name) => {
      const serviceUrl = server.url(name).replaceAll(`${name}:${name}@`, 'service:service@')
      const database = { name, url: server.url(name), serviceUrl }
      return serviceConfig(name, {
        database,
        brokers: [broker.brokers],
        topicPrefix: '',
        seed: name === 'wallet',
      })
    }) as [Config, Config]
    const [sql, readSql] = [connect(server.url('wallet')), connect(server.url('balances'))]
    ending.push(sql.end, readSql.end)

    // The first one leads.
    const wallets = [await spawnService(walletConfig), await spawnService(walletConfig)]
    const balances = await spawnService(balancesConfig)
    ending.push(balances.stop, () => Promise.all(wallets.map((wallet) => wallet.stop())))
    const rich = await sql<
      { id: string }[]
    >`select id from accounts where client_id is not null and balance_minor >= 50000`
    const accounts = rich.map(({ id }) => id)

    const load = new Load(wallets, accounts)
    const [led, published]: [number[], number[]] = [[], []]
    const begunAt = performance.now()
    for (let round = 0; round < Number(kills); round++) {
      const share = Math.floor(Number(transfers) / Number(kills))
      const enough = load.ids.size + random() * share
      const paying = Promise.all(Array.from({ length: share }, () => load.pay()))
      await eventually(() => assert(load.ids.size >= enough, 'too few transfers succeeded'), patience)

      const leader = await leaderOf(sql)
      const [first, second] = wallets.splice(0)
      if (!first || !second) throw new Error('there are two wallets')
      wallets.push(second)
      await first.kill()
      const killedAt = performance.now()
      const id = await load.pay()
      await eventually(async () => assert((await leaderOf(sql)) !== leader, 'no other relay leads'), patience)
      led.push(performance.now() - killedAt)
      await eventually(async () => assert(await isPublished(second, id), `${id} is not published`), patience)
      published.push(performance.now() - killedAt)
      const again = await spawnService(walletConfig, first.port)
      await paying
      wallets.push(again)
    }
    const seconds = (performance.now() - begunAt) / 1000
    console.log(
      `${load.ids.size} transfers, ${load.repeats} retries; ${led.length} kills in ${seconds.toFixed(1)} s`,
    )
    console.log(`from the kill until another relay leads: ${presentTimes(led)}`)
    console.log(`from the kill until the next transfer is published: ${presentTimes(published)}`)

    await eventually(async () => {
      const waiting = await sql`select from outbox limit 1`
      assert(waiting.length === 0, 'the outbox is not empty')
    }, patience)
    const faults = [
      ...(await findFaults(sql)),
      ...(await findLedgerFaults(sql, load.ids)),
      ...(await findEventFaults(wallets[0] as Caller, load.ids, walletConfig)),
      ...(await findReadFaults(sql, readSql)),
    ]
    for (const fault of faults.slice(0, 20)) console.error(fault)
    if (faults.length > 0) throw new Error(`${faults.length} faults`)
    console.log(
      'every event is at its offset, the read model matches the ledger, and all balances add up to 0.00',
    )
  } finally {
    for (const end of ending.toReversed()) await end()
  }
}

type Config = ReturnType<typeof serviceConfig>

class Load {
  readonly ids = new Set<string>()
  /** Number of retries. */
  repeats = 0
  #sent = 0

  constructor(
    readonly wallets: Caller[],
    readonly accounts: string[],
  ) {}

  /** Returns the id once the transfer succeeds. */
  async pay(): Promise<string> {
    const number = this.#sent++
    const [account_id_from, account_id_to] = [0, 1].map(
      (offset) => this.accounts[(number + offset) % this.accounts.length],
    )
    const headers = { 'idempotency-key': crypto.randomUUID() }
    for (let tried = 0; tried < 10_000; tried++) {
      const wallet = this.wallets[(number + tried) % this.wallets.length] as Caller
      const body = { account_id_from, account_id_to, amount: 0.01 }
      const answer = await wallet.post('/transactions', body, headers).catch(() => undefined)
      if (answer?.status === 201) {
        this.ids.add(String(answer.body.id))
        return String(answer.body.id)
      }
      const mayPass = !answer || answer.status === 503 || answer.body.code === 'IDEMPOTENCY_IN_PROGRESS'
      if (!mayPass) throw new Error(`a transfer failed: ${answer.status} ${JSON.stringify(answer.body)}`)
      this.repeats++
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    throw new Error('a transfer never succeeded')
  }
}

/** The session of the relay that leads. */
async function leaderOf(sql: Sql): Promise<number | undefined> {
  const [row] = await sql`
    select pid from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and application_name = 'saldo-relay'`
  return row?.pid
}

type EventPosition = { name: string; topic: string; partition: number; offset: number; status: string }
const positionsOf = async (caller: Caller, id: string): Promise<EventPosition[]> =>
  (await caller.get(`/transactions/${id}/delivery`)).body.events as EventPosition[]
const isPublished = async (caller: Caller, id: string) =>
  (await positionsOf(caller, id)).every(
    (position) => position.status === 'published' && position.offset !== null,
  )

async function findLedgerFaults(sql: Sql, ids: ReadonlySet<string>): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`select id from transactions where amount_minor = 1`
  const written = new Set(rows.map(({ id }) => id))
  return [
    ...[...ids]
      .filter((id) => !written.has(id))
      .map((id) => `transfer ${id} was acknowledged, but is missing`),
    ...[...written]
      .filter((id) => !ids.has(id))
      .map((id) => `transfer ${id} is in the ledger, but was never acknowledged`),
  ]
}

/** Looks up every event of every transaction at the offset that the wallet reports. */
async function findEventFaults(wallet: Caller, ids: ReadonlySet<string>, config: Config): Promise<string[]> {
  const kafka = connectKafka(config.kafka, createLog({ service: 'bench', level: 'error', format: 'json' }))
  const found = new Map<string, string>()
  const subscription = await kafka.subscribe({
    groupId: 'bench',
    topics: ['transactions', 'balances'],
    onAssigned: async () => [],
    onTrouble: () => {},
    onBatches: async (batches) => {
      for (const { topic, partition, records } of batches)
        for (const record of records)
          found.set(`${topic}/${partition}/${record.offset}`, headerText(record, 'ce_id'))
      return batches.map(({ next }) => next)
    },
  })
  const faults: string[] = []
  for (const id of ids) {
    const positions = await positionsOf(wallet, id)
    if (positions.length !== 2) faults.push(`transfer ${id} has ${positions.length} events`)
    for (const { name, topic, partition, offset } of positions) {
      const there = () => found.get(`${topic}/${partition}/${offset}`)
      await eventually(() => assert(there() !== undefined, 'no record'), { timeoutMs: 10_000 }).catch(
        () => {},
      )
      if (there() !== `${name}/${id}`)
        faults.push(`${name}/${id} is not at ${topic}/${partition}/${offset}: ${there()}`)
    }
  }
  await subscription.close()
  await kafka.close()
  console.log(
    `${found.size} records on both topics, ${found.size - new Set(found.values()).size} of them duplicates`,
  )
  return faults
}

/** Waits for the read model and compares its entries with the ledger. */
async function findReadFaults(sql: Sql, readSql: Sql): Promise<string[]> {
  const entriesIn = async (one: Sql) =>
    (
      await one`
      select concat_ws(' ', account_id::text, version, amount_minor, balance_minor, held_minor) as entry
      from entries order by entry`
    ).map(({ entry }) => String(entry))
  const written = await entriesIn(sql)
  const read = await eventually(async () => {
    const entries = await entriesIn(readSql)
    assert(entries.length >= written.length, 'the read model has too few entries')
    return entries
  }, patience).catch(() => entriesIn(readSql))
  const [totals] = await readSql`
    select (select sum(balance_minor)::text from balances) as sum,
      (select count(*)::int from dead_letters) as dead`
  console.log(`${read.length} entries in the read model, ${written.length} in the ledger`)
  return [
    ...written.filter((entry) => !new Set(read).has(entry)).map((entry) => `the read model lacks ${entry}`),
    ...(read.length === written.length
      ? []
      : [`${read.length} entries in the read model, ${written.length} in the ledger`]),
    ...(totals?.sum === '0' && totals.dead === 0 ? [] : [`the read model has ${JSON.stringify(totals)}`]),
  ]
}

function presentTimes(ms: number[]): string {
  const sorted = ms.toSorted((one, other) => one - other)
  const [median, most] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted.at(-1)].map((one) =>
    one?.toFixed(0),
  )
  return `median ${median} ms, at most ${most} ms`
}

function assert(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}
