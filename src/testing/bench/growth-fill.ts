/**
 * A ledger of any size within minutes: accounts, transactions and entries by SQL, the same events by
 * the wallet's own code to the broker, and the rows of the read side, as the services would have
 * written them one by one. There are no deliveries, which are kept for some days only.
 *
 * What depends on the tables is in `tables`, on the events in `publishMoves`.
 */
import { realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type postgres from 'postgres'
import type { EncodedEvent } from '../../contract/wire/envelope.ts'
import { offsetCommit } from '../../local/broker/apis/groups.ts'
import { startPostgres } from '../../local/postgres/cluster.ts'
import { connectKafka, type Kafka } from '../../platform/kafka/client.ts'
import { showProgressBar } from '../../platform/process/progress-bar.ts'
import { createLog } from '../../platform/telemetry/log.ts'
import { accountToEvent, toEvents } from '../../wallet/events.ts'
import { recordOf } from '../../wallet/outbox/relay.ts'
import { RawKafka } from '../raw-kafka.ts'
import { startBrokerProcess } from './broker-process.ts'
import { accountId, connect, world } from './ledger-accounts.ts'

/** What a directory has been filled to. */
export type Filled = { transactions: number; accounts: number; clientId: string }

/** Transactions at a time. Their window functions fit into memory. */
const chunkMax = 100_000
const pageSize = 2000
/** Below what balances records as a large movement. */
const depositMinor = 900_000

/**
 * Fills a stopped data directory of `npm start` from one size to another: first a deposit to each new
 * account, then transfers between any two accounts.
 */
export async function fill(dataDir: string, from: Filled, to: Filled): Promise<void> {
  const servers = await startServers(dataDir)
  const { ledger, model, kafka } = servers
  const progress = showProgressBar('transactions', to.transactions - from.transactions)
  try {
    await ledger.unsafe(tables.moves)
    await model.unsafe(tables.modelMoves)
    await openAccounts(servers, from, to)
    const deposits = to.accounts - from.accounts
    for (let done = from.transactions; done < to.transactions; ) {
      const chunk = Math.min(chunkMax, to.transactions - done)
      const opened = Math.min(deposits, done - from.transactions)
      const depositing = Math.min(chunk, deposits - opened)
      await appendMoves(ledger, {
        chunk,
        depositing,
        firstAccount: from.accounts + opened + 1,
        accounts: to.accounts,
        seed: done,
      })
      await Promise.all([publishMoves(ledger, kafka), projectMoves(servers)])
      done += chunk
      progress.add(chunk)
    }
    await setOffsets(servers)
    await ledger`drop table growth_moves`
    await model`drop table growth_moves`
    for (const sql of [ledger, model]) await sql`vacuum analyze`
    await ledger`checkpoint`
  } finally {
    progress.end()
    await servers.stop()
    await Bun.$`sync -f ${dataDir}`.quiet()
  }
}

type Servers = Awaited<ReturnType<typeof startServers>>

/** As the superuser, because the append-only tables have triggers. */
async function startServers(dataDir: string) {
  const server = await startPostgres({
    dataDir: join(dataDir, 'postgres'),
    databases: [],
    // Of the fill alone. The caller syncs, and a fill that is cut short is begun again.
    durable: false,
  })
  const url = (name: string) => new URL(name, server.adminUrl).href
  const [ledger, model] = [connect(url('wallet')), connect(url('balances'))]
  // Beside the connection that reads pages.
  const copying = connect(url('wallet'))
  for (const sql of [ledger, model]) {
    await sql`set session_replication_role = replica`
    await sql`set synchronous_commit = off`
    await sql`set work_mem = '256MB'`
  }
  await ledger`alter system set max_wal_size = '16GB'`
  await ledger`select pg_reload_conf()`
  const broker = await startBrokerProcess(join(dataDir, 'broker'))
  const kafka = connectKafka(
    { brokers: [broker.brokers], clientId: 'bench', ssl: false, sasl: undefined },
    createLog({ service: 'bench', level: 'error', format: 'json' }),
  )
  return {
    ...{ ledger, model, copying, kafka, dataDir, brokers: broker.brokers },
    async stop() {
      await ledger`alter system reset max_wal_size`
      await Promise.all([ledger.end(), model.end(), copying.end(), kafka.close()])
      await broker.end('SIGTERM')
      await server.stop()
    },
  }
}

const id = (number: string) =>
  `('${accountId(0).slice(0, 24)}' || (${accountId(0).slice(24)} + ${number}))::uuid`

/** The last move of each account, with its version and balance. */
const newestMoves = `
      select distinct on (account_id) account_id, version, balance, created_at
      from (
        select account_id_from as account_id, version_from as version, balance_from as balance, created_at
        from growth_moves
        union all
        select account_id_to, version_to, balance_to, created_at from growth_moves
      ) as legs
      order by account_id, version desc`

/** All that depends on the columns of either service. */
const tables = {
  moves: `
    drop table if exists growth_moves;
    create unlogged table growth_moves (
      n bigint, id uuid, kind text, account_id_from uuid, account_id_to uuid, amount_minor bigint,
      version_from bigint, balance_from bigint, version_to bigint, balance_to bigint,
      created_at timestamptz(3)
    )`,
  modelMoves: `
    drop table if exists growth_moves;
    create unlogged table growth_moves (
      id text, account_id_from text, account_id_to text, amount_minor bigint,
      version_from bigint, balance_from bigint, version_to bigint, balance_to bigint,
      created_at timestamptz(3)
    )`,
  copied: `
    id, account_id_from, account_id_to, amount_minor, version_from, balance_from, version_to, balance_to,
    created_at`,
  append: `
    insert into transactions (id, kind, account_id_from, account_id_to, version_from, version_to,
      amount_minor, currency, effective_at, created_at)
    select id, kind, account_id_from, account_id_to, version_from, version_to, amount_minor, 'BRL',
      created_at, created_at
    from growth_moves order by n;
    insert into entries (account_id, version, transaction_id, amount_minor, balance_minor, created_at)
    select account_id_from, version_from, id, -amount_minor, balance_from, created_at from growth_moves
    union all
    select account_id_to, version_to, id, amount_minor, balance_to, created_at from growth_moves;
    update accounts set version = newest.version, balance_minor = newest.balance,
      updated_at = newest.created_at
    from (${newestMoves}) as newest
    where accounts.id = newest.account_id`,
  project: `
    insert into entries (account_id, version, amount_minor, balance_minor, held_minor, created_at,
      transaction_id, counterparty_id)
    select account_id_from, version_from, -amount_minor, balance_from, 0, created_at, id, account_id_to
    from growth_moves
    union all
    select account_id_to, version_to, amount_minor, balance_to, 0, created_at, id, account_id_from
    from growth_moves;
    update balances set version = newest.version, balance_minor = newest.balance, source = 'versioned',
      updated_at = newest.created_at
    from (${newestMoves}) as newest
    where balances.account_id = newest.account_id`,
}

async function openAccounts({ ledger, model, kafka }: Servers, from: Filled, to: Filled): Promise<void> {
  const { clientId } = from
  const [after, upTo] = [from.accounts, to.accounts]
  if (upTo === after) return
  const createdAt = new Date()
  await ledger.unsafe(`
    insert into accounts (id, client_id, currency, overdraft_limit_minor, opening_limit_minor, created_at,
      updated_at)
    select ${id('number')}, '${clientId}', 'BRL', 0, 0, '${createdAt.toISOString()}',
      '${createdAt.toISOString()}'
    from generate_series(${after + 1}, ${upTo}) as number`)
  await model.unsafe(`
    insert into balances (account_id, client_id, currency, balance_minor, version, opened,
      opening_limit_minor, created_at, updated_at)
    select ${id('number')}::text, '${clientId}', 'BRL', 0, 0, true, 0, '${createdAt.toISOString()}',
      '${createdAt.toISOString()}'
    from generate_series(${after + 1}, ${upTo}) as number`)
  const opening = { clientId, currency: 'BRL', overdraftLimitMinor: 0n, openingLimitMinor: 0n, actor: null }
  await publish(
    kafka,
    (function* () {
      for (let number = after + 1; number <= upTo; number++)
        yield accountToEvent({ ...opening, id: accountId(number), createdAt })
    })(),
  )
}

type Moves = { chunk: number; depositing: number; firstAccount: number; accounts: number; seed: number }

/** Draws the moves in their order, and gives each leg the next version and balance of its account. */
async function appendMoves(ledger: postgres.Sql, moves: Moves): Promise<void> {
  const { chunk, depositing, firstAccount, accounts, seed } = moves
  const draw = (salt: number, below: string) => `(abs(hashint8extended(n, ${seed + salt})) % (${below}))`
  await ledger.unsafe(`
    truncate growth_moves;
    insert into growth_moves
    with drawn as materialized (
      select n, n <= ${depositing} as deposit,
        case when n <= ${depositing} then 0 else 1 + ${draw(1, String(accounts))} end as number_from,
        case when n <= ${depositing} then ${firstAccount} + n - 1
          else ${draw(2, `${accounts} - 1`)} end as other,
        case when n <= ${depositing} then ${depositMinor} else 1 + ${draw(3, '10000')} end as amount_minor
      from generate_series(1, ${chunk}) as n
    ),
    moves as materialized (
      select n, uuidv7() as id, deposit, amount_minor,
        case when deposit then '${world}'::uuid else ${id('number_from')} end as account_id_from,
        -- The payee is any other account.
        case when deposit then ${id('other')}
          else ${id(`(1 + (number_from + other) % ${accounts})`)} end as account_id_to
      from drawn
    ),
    legs as materialized (
      select n, account_id, amount,
        row_number() over (partition by account_id order by n) as step,
        sum(amount) over (partition by account_id order by n) as moved
      from (
        select n, account_id_from as account_id, -amount_minor as amount from moves
        union all
        select n, account_id_to, amount_minor from moves
      ) as each
    )
    select moves.n, moves.id, case when deposit then 'deposit' else 'transfer' end,
      account_id_from, account_id_to, amount_minor,
      payer.version + paying.step, payer.balance_minor + paying.moved,
      payee.version + paid.step, payee.balance_minor + paid.moved,
      -- One time for all, so that it never runs back within an account.
      now()
    from moves
    join legs as paying on paying.n = moves.n and paying.account_id = account_id_from
    join legs as paid on paid.n = moves.n and paid.account_id = account_id_to
    join accounts as payer on payer.id = account_id_from
    join accounts as payee on payee.id = account_id_to;
    ${tables.append}`)
}

type Move = {
  id: string
  kind: 'deposit' | 'transfer'
  account_id_from: string
  account_id_to: string
  amount_minor: string
  version_from: string
  balance_from: string
  version_to: string
  balance_to: string
  created_at: Date
}

/** In the order in which they were written, with the wallet's own events and records. */
async function publishMoves(ledger: postgres.Sql, kafka: Kafka): Promise<void> {
  for await (const rows of ledger<Move[]>`select * from growth_moves order by n`.cursor(pageSize))
    await publish(kafka, rows.flatMap(eventsOf))
}

function eventsOf(move: Move) {
  const currency = 'BRL'
  const snapshot = (accountId: string, version: string, balance: string) => {
    const limit = accountId === world ? null : 0n
    return {
      ...{ id: accountId, currency, status: 'open' as const, heldMinor: 0n },
      ...{ version: BigInt(version), balanceMinor: BigInt(balance) },
      ...{ overdraftLimitMinor: limit, openingLimitMinor: limit },
    }
  }
  const { id, kind, account_id_from: accountIdFrom, account_id_to: accountIdTo, created_at: createdAt } = move
  return toEvents({
    ...{ id, createdAt, type: 'transaction' },
    from: snapshot(accountIdFrom, move.version_from, move.balance_from),
    to: snapshot(accountIdTo, move.version_to, move.balance_to),
    transaction: {
      ...{ id, kind, leg: 0, currency, accountIdFrom, accountIdTo, createdAt, effectiveAt: createdAt },
      ...{ versionFrom: BigInt(move.version_from), versionTo: BigInt(move.version_to) },
      ...{ amountMinor: BigInt(move.amount_minor), reference: null, metadata: null, actor: null },
      ...{ reverses: null, holdId: null },
    },
  })
}

const publishers = new WeakMap<Kafka, ReturnType<Kafka['publisher']>>()

/** In pages, since an opening makes one event for each account. */
async function publish(kafka: Kafka, events: Iterable<EncodedEvent>): Promise<void> {
  const publisher = publishers.get(kafka) ?? kafka.publisher()
  publishers.set(kafka, publisher)
  let page: ReturnType<typeof recordOf>[] = []
  const send = async () => {
    const sent = await publisher.send(page)
    if (sent.some((one) => typeof one === 'string')) throw new Error('the broker refused a record')
    page = []
  }
  for (const event of events) {
    page.push(recordOf({ ...event, traceparent: null }, { topicPrefix: '', sign: undefined }))
    if (page.length === pageSize) await send()
  }
  if (page.length > 0) await send()
}

/** Through a file of the server, which has both databases. */
async function projectMoves({ copying, model, dataDir }: Servers): Promise<void> {
  const file = join(realpathSync(dataDir), 'postgres/cluster/growth-moves')
  await copying.unsafe(`copy growth_moves (${tables.copied}) to '${file}'`)
  await model.unsafe(`truncate growth_moves; copy growth_moves (${tables.copied}) from '${file}'`)
  rmSync(file)
  await model.unsafe(tables.project)
}

/** As if all had been consumed: the projection's offsets are in its database, the others at the broker. */
async function setOffsets({ model, kafka, brokers }: Servers): Promise<void> {
  const clusterId = await kafka.clusterId()
  for (const { topic, partition, offset } of await kafka.endOffsets([
    'personal-data',
    'accounts',
    'balances',
  ]))
    await model`
      update consumed_offsets
      set next_offset = ${String(offset)}, last_offset = null, last_checksum = null
      where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition}`
  await model`delete from reaction_last_records`

  const reacting = 'transactions'
  const ends = await kafka.endOffsets([reacting])
  await using raw = await RawKafka.connect(brokers)
  const answer = await raw.request(offsetCommit, {
    ...{ groupId: 'balances-large-movements', generation: -1, memberId: '' },
    topics: [
      {
        name: reacting,
        partitions: ends.map(({ partition, offset }) => ({
          partition,
          offset: Number(offset),
          metadata: null,
        })),
      },
    ],
  })
  const refused = answer.topics.flatMap(({ partitions }) =>
    partitions.filter(({ errorCode }) => errorCode !== 0),
  )
  if (refused.length > 0) throw new Error('the broker refused offsets')
}
