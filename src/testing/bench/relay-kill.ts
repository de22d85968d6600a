/**
 * Kills the wallet whose relay leads, again and again, in the middle of concurrent transfers at two
 * wallets on one database, and starts it anew. Every transfer has a key and is sent again, to the
 * next wallet, until it is answered. In the end each is once in the ledger, each of its events is
 * where the wallet says, and the read side has an entry for each version of each account, the same
 * as the wallet's.
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

    // The first to be there leads.
    const wallets = [await spawnService(walletConfig), await spawnService(walletConfig)]
    const balances = await spawnService(balancesConfig)
    ending.push(balances.stop, () => Promise.all(wallets.map((wallet) => wallet.stop())))
    const rich = await sql<
      { id: string }[]
    >`select id from accounts where client_id is not null and balance_minor >= 50000`
    const accounts = rich.map(({ id }) => id)

    const load = new Load(wallets, accounts)
    const [led, told]: [number[], number[]] = [[], []]
    const begunAt = performance.now()
    for (let round = 0; round < Number(kills); round++) {
      const share = Math.floor(Number(transfers) / Number(kills))
      const enough = load.ids.size + random() * share
      const paying = Promise.all(Array.from({ length: share }, () => load.pay()))
      await eventually(() => assert(load.ids.size >= enough, 'too few transfers were answered'), patience)

      const leader = await leaderOf(sql)
      const [first, second] = wallets.splice(0)
      if (!first || !second) throw new Error('there are two wallets')
      wallets.push(second)
      await first.kill()
      const killedAt = performance.now()
      const id = await load.pay()
      await eventually(async () => assert((await leaderOf(sql)) !== leader, 'nobody else leads'), patience)
      led.push(performance.now() - killedAt)
      await eventually(async () => assert(await isPublished(second, id), `${id} is not published`), patience)
      told.push(performance.now() - killedAt)
      const again = await spawnService(walletConfig, first.port)
      await paying
      wallets.push(again)
    }
    const seconds = (performance.now() - begunAt) / 1000
    console.log(
      `${load.ids.size} transfers, ${load.repeats} sent again; ${led.length} kills in ${seconds.toFixed(1)} s`,
    )
    console.log(`from the kill until another relay leads: ${presentTimes(led)}`)
    console.log(`from the kill until what was paid after it is on the broker: ${presentTimes(told)}`)

    await eventually(async () => {
      const waiting = await sql`select from outbox limit 1`
      assert(waiting.length === 0, 'events still wait in the outbox')
    }, patience)
    const faults = [
      ...(await findFaults(sql)),
      ...(await findLedgerFaults(sql, load.ids)),
      ...(await findPlaceFaults(wallets[0] as Caller, load.ids, walletConfig)),
      ...(await findReadFaults(sql, readSql)),
    ]
    for (const fault of faults.slice(0, 20)) console.error(fault)
    if (faults.length > 0) throw new Error(`${faults.length} faults`)
    console.log(
      'every event is at its place, every entry is at the read side once, and all accounts together hold 0.00',
    )
  } finally {
    for (const end of ending.toReversed()) await end()
  }
}

type Config = ReturnType<typeof serviceConfig>

class Load {
  readonly ids = new Set<string>()
  /** How often something was sent again. */
  repeats = 0
  #sent = 0

  constructor(
    readonly wallets: Caller[],
    readonly accounts: string[],
  ) {}

  /** Answers the id once the transfer is answered. */
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
      if (!mayPass) throw new Error(`a transfer was answered ${answer.status} ${JSON.stringify(answer.body)}`)
      this.repeats++
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    throw new Error('a transfer has no answer')
  }
}

/** The session of the relay that leads. */
async function leaderOf(sql: Sql): Promise<number | undefined> {
  const [row] = await sql`
    select pid from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and application_name = 'saldo-relay'`
  return row?.pid
}

type Place = { name: string; topic: string; partition: number; offset: number; status: string }
const placesOf = async (caller: Caller, id: string): Promise<Place[]> =>
  (await caller.get(`/transactions/${id}/delivery`)).body.events as Place[]
const isPublished = async (caller: Caller, id: string) =>
  (await placesOf(caller, id)).every((place) => place.status === 'published' && place.offset !== null)

async function findLedgerFaults(sql: Sql, ids: ReadonlySet<string>): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`select id from transactions where amount_minor = 1`
  const written = new Set(rows.map(({ id }) => id))
  return [
    ...[...ids].filter((id) => !written.has(id)).map((id) => `transfer ${id} was answered, and is not there`),
    ...[...written]
      .filter((id) => !ids.has(id))
      .map((id) => `transfer ${id} is there, and was answered to nobody`),
  ]
}

/** Looks for every event of every transaction at the place that the wallet names. */
async function findPlaceFaults(wallet: Caller, ids: ReadonlySet<string>, config: Config): Promise<string[]> {
  const kafka = connectKafka(config.kafka, createLog({ service: 'bench', level: 'error', format: 'json' }))
  const found = new Map<string, string>()
  const subscription = await kafka.subscribe({
    groupId: 'bench',
    topics: ['transactions', 'balances'],
    onAssigned: async () => [],
    onTrouble: () => {},
    onBatch: async ({ topic, partition, records, next }) => {
      for (const record of records)
        found.set(`${topic}/${partition}/${record.offset}`, headerText(record, 'ce_id'))
      return next
    },
  })
  const faults: string[] = []
  for (const id of ids) {
    const places = await placesOf(wallet, id)
    if (places.length !== 2) faults.push(`transfer ${id} has ${places.length} events`)
    for (const { name, topic, partition, offset } of places) {
      const there = () => found.get(`${topic}/${partition}/${offset}`)
      await eventually(() => assert(there() !== undefined, 'nothing there'), { timeoutMs: 10_000 }).catch(
        () => {},
      )
      if (there() !== `${name}/${id}`)
        faults.push(`${name}/${id} is not at ${topic}/${partition}/${offset}: ${there()}`)
    }
  }
  await subscription.close()
  await kafka.close()
  console.log(
    `${found.size} records on both topics, ${found.size - new Set(found.values()).size} of them repeats`,
  )
  return faults
}

/** Waits for the read side, and compares it, entry by entry and account by account. */
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
    assert(entries.length >= written.length, 'the read side has too few entries')
    return entries
  }, patience).catch(() => entriesIn(readSql))
  const [standing] = await readSql`
    select (select sum(balance_minor)::text from balances) as sum, (select count(*)::int from dead_letters) as dead`
  console.log(`${read.length} entries at the read side, ${written.length} in the ledger`)
  return [
    ...written.filter((entry) => !new Set(read).has(entry)).map((entry) => `the read side has no ${entry}`),
    ...(read.length === written.length
      ? []
      : [`${read.length} entries are read, and ${written.length} written`]),
    ...(standing?.sum === '0' && standing.dead === 0
      ? []
      : [`the read side holds ${JSON.stringify(standing)}`]),
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
