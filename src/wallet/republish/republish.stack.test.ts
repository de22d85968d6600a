/**
 * Events that are told again: the same as the first time, to a reader that has them and to one that
 * has nothing.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { startBalances } from '../../balances/service'
import { openDatabase, openSession } from '../../platform/postgres/database'
import { prepareDatabase } from '../../platform/postgres/migrate'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { serviceConfig } from '../../testing/stack'
import { eva, frank, log, steadyClock, world } from '../../testing/wallets'
import { openAccount } from '../accounts/open-account'
import { registerClient } from '../accounts/register-client'
import { grants } from '../db/grants'
import type { Command } from '../domain/book'
import { execute } from '../ledger/execute'
import type { Wallet } from '../ledger/ledger'
import { createOptimisticState } from '../ledger/optimistic-state'
import { seedWallet } from '../seed/seed'
import { startWallet } from '../service'
import { parseWanted, tell } from './republish'

setDefaultTimeout(60_000)

type Told = {
  topic: string
  key: string
  name: string
  payload: Record<string, unknown>
  subject: string
  time: string
}

/** A command of any kind, but for what they have in common. */
type Asked = Command extends infer One
  ? One extends Command
    ? Omit<One, keyof typeof common>
    : never
  : never
const common = { id: '', currency: 'BRL', reference: 'order 7', metadata: { colour: 'red' } }

const nobody = { add() {} }
const never = new AbortController().signal
const minute = (number: number) => new Date(Date.UTC(2026, 0, 1, 0, number))

/**
 * A ledger in which everything has happened that can happen, a minute apart, and of which nothing
 * has been relayed yet.
 */
async function startTown() {
  const shared = await backing()
  const place = await shared.createDatabase('wallet')
  const config = serviceConfig('wallet', {
    database: place,
    brokers: shared.brokers,
    topicPrefix: '',
    seed: true,
  })
  const folder = join(import.meta.dir, '../../../migrations/wallet')
  const { url, migrationUrl: ownerUrl } = config.database
  await prepareDatabase({ url, ownerUrl, grants, folder, migrate: true, log, signal: never })
  const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'test' })
  await seedWallet(url, database, log)

  let now = minute(0)
  const ledger = {
    database,
    log,
    clock: steadyClock(() => now),
    onAppended() {},
    optimistic: createOptimisticState(),
  }
  const executeAt = async (at: number, asked: Asked) => {
    now = minute(at)
    // In no order, so that nothing can be told in the order of ids.
    const command = { ...common, ...asked, id: crypto.randomUUID() } as Command
    const [answer] = await execute(ledger, [
      { commands: [command], atomic: true, traceparent: null, idempotencyKey: null },
    ])
    expect(answer).toMatchObject({ outcomes: [{ result: expect.stringMatching(/transaction|hold/) }] })
    return command.id
  }
  const evaToFrank = { accountIdFrom: eva, accountIdTo: frank }
  const frankToEva = { accountIdFrom: frank, accountIdTo: eva }
  const effectiveAt = null
  const hold = (at: number, hours: number) =>
    executeAt(at, {
      type: 'hold',
      ...evaToFrank,
      toWorld: false,
      amountMinor: 1000n,
      expiresAt: minute(at + hours * 60),
    })
  const transfer = { type: 'transfer', kind: 'transfer', amountMinor: 1234n, effectiveAt } as const

  const wallet = { database, clock: () => now, relay: { wake() {} } } as unknown as Wallet
  now = minute(1)
  const unkeyed = { traceparent: null, idempotencyKey: null }
  const registered = await registerClient(wallet, {
    name: 'Grace "G" Ó',
    email: 'grace@example.com',
    ...unkeyed,
  })
  const clientId = registered.kind === 'done' ? registered.value.id : ''
  now = minute(2)
  const opening = await openAccount(wallet, {
    clientId,
    currency: 'BRL',
    overdraftLimitMinor: 5000n,
    ...unkeyed,
  })
  const grace = opening.kind === 'done' && opening.value.accepted ? opening.value.account.id : ''
  const paid = await executeAt(3, { ...transfer, ...evaToFrank, effectiveAt: minute(-9999) })
  await executeAt(4, { ...transfer, kind: 'deposit', accountIdFrom: world, accountIdTo: frank })
  await executeAt(5, { ...transfer, accountIdFrom: grace, accountIdTo: eva })
  await executeAt(6, { type: 'reversal', reverses: paid, ...frankToEva, amountMinor: 34n, effectiveAt })
  const holds = { captured: await hold(7, 1), released: await hold(8, 1), expired: await hold(9, 1) }
  await hold(10, 8_000)
  await executeAt(11, {
    type: 'capture',
    holdId: holds.captured,
    ...evaToFrank,
    amountMinor: 500n,
    effectiveAt,
  })
  await executeAt(12, { type: 'release', holdId: holds.released, ...evaToFrank, reason: 'released' })
  await executeAt(13, { ...transfer, ...frankToEva })
  await executeAt(70, { type: 'release', holdId: holds.expired, ...evaToFrank, reason: 'expired' })
  await executeAt(71, { ...transfer, kind: 'withdrawal', accountIdFrom: grace, accountIdTo: world })

  const owner = openSession({ url: place.url, applicationName: 'test' })
  const take = async (): Promise<Told[]> => {
    const rows = await owner`with taken as (delete from outbox returning *) select * from taken order by id`
    return rows.map((row) => ({
      topic: row.aggregatetype,
      key: row.aggregateid,
      name: row.type,
      payload: JSON.parse(row.payload).Payload,
      subject: row.subject,
      time: row.occurred_at,
    }))
  }
  const firstTime = await owner`select * from outbox order by id`
  return {
    shared,
    config,
    database,
    owner,
    grace,
    take,
    again: (...args: string[]) => tell(database, parseWanted(args), nobody, never),
    told: await take(),
    /** Puts the events of the first time into the outbox, as they were. */
    async tellFirst() {
      for (const { id: _, ...row } of firstTime) await owner`insert into outbox ${owner(row)}`
    },
    async stop() {
      await database.close()
      await owner.end()
    },
  }
}

let town: Awaited<ReturnType<typeof startTown>>
beforeAll(async () => {
  town = await startTown()
})
afterAll(() => town.stop())

/**
 * Of a hold the ledger does not keep how the payee stood, which changes nothing for it: what is
 * told again of it is a state of before.
 */
function withoutPayee({ payload, ...event }: Told): Told {
  if (event.name !== 'BalanceUpdated' || payload.amount !== 0) return { payload, ...event }
  const { balance_account_id_to: _, version_account_id_to: __, held_account_id_to: ___, ...rest } = payload
  return { payload: rest, ...event }
}
const textsOf = (events: Told[]) => events.map((event) => JSON.stringify(withoutPayee(event))).toSorted()

const versionsOf = (events: Told[], key: string) =>
  events
    .filter((event) => event.name === 'BalanceUpdated' && event.key === key)
    .map((event) => event.payload.version_account_id_from)

test('all that was told is told again, word for word, each once, and in the order of the account that paid', async () => {
  await town.again()
  const again = await town.take()
  expect(textsOf(again)).toEqual(textsOf(town.told))
  expect(new Set(again.map((event) => event.name)).size).toBe(6)
  for (const key of [eva, frank, town.grace, world])
    expect(versionsOf(again, key)).toEqual(versionsOf(town.told, key))
  const payees = again.filter(({ name, payload }) => name === 'BalanceUpdated' && payload.amount === 0)
  expect(payees.length).toBe(6)
  for (const { payload } of payees)
    expect(payload).toMatchObject({
      account_id_to: frank,
      balance_account_id_to: 0,
      version_account_id_to: 0,
    })
})

test('of one account is told how it was opened, for whom, and whatever it paid, got or promised', async () => {
  for (const account of [eva, town.grace, world]) {
    await town.again('--account', account)
    const [{ client_id: owner } = {}] = await town.owner`select client_id from accounts where id = ${account}`
    const isAbout = ({ payload, name }: Told) =>
      [payload.account_id_from, payload.account_id_to].includes(account) ||
      ([account, owner].includes(String(payload.id)) && /^(Account|Client)/.test(name))
    expect(textsOf(await town.take())).toEqual(textsOf(town.told.filter(isAbout)))
  }
})

test('since a time is told what happened at it or later, ends of holds of before among it', async () => {
  // As by a wallet whose clock was behind, and which was the last to change them.
  await town.owner`update accounts set updated_at = updated_at - interval '9 minutes'`
  for (const since of [minute(2), minute(12), minute(70), minute(72)]) {
    await town.again('--since', since.toISOString())
    const later = town.told.filter((event) => new Date(event.time) >= since)
    expect(textsOf(await town.take())).toEqual(textsOf(later))
  }
  await town.again('--since', minute(5).toISOString(), '--account', town.grace)
  expect((await town.take()).map((event) => event.name)).toEqual([
    'TransactionCreated',
    'BalanceUpdated',
    'TransactionCreated',
    'BalanceUpdated',
  ])
})

/** More than are let wait in the outbox, of nothing. */
const fill = () => town.owner`
  insert into outbox (aggregatetype, aggregateid, type, payload, subject, occurred_at)
  select 'balances', 'many', 'BalanceUpdated', '{}', gen_random_uuid(), now() from generate_series(1, 1001)`

test('nothing is added to an outbox that is full; when there is room, it goes on', async () => {
  await fill()
  const notes: (string | undefined)[] = []
  const progress = { add: (_: number, note?: string) => notes.push(note) }
  const telling = tell(town.database, parseWanted([]), progress, never)
  await eventually(() => expect(notes.length).toBeGreaterThan(2))
  expect(new Set(notes)).toEqual(new Set(['1001 events wait for the relay']))
  expect((await town.take()).length).toBe(1001)
  expect(await telling).toBe(town.told.length)
  expect((await town.take()).length).toBe(town.told.length)
  expect(notes.at(-1)).toBeUndefined()
})

test('the command says what it did, and that it was stopped', async () => {
  const spawn = (...args: string[]) =>
    Bun.spawn([process.execPath, join(import.meta.dir, '../../cli/main.ts'), 'republish', ...args], {
      env: { DATABASE_URL: town.config.database.url },
      stdout: 'pipe',
      stderr: 'pipe',
    })
  const endOf = async (child: ReturnType<typeof spawn>) => [
    await child.exited,
    await new Response(child.stdout).text(),
  ]
  expect(await endOf(spawn())).toEqual([0, `${town.told.length} events are told again\n`])
  expect(textsOf(await town.take())).toEqual(textsOf(town.told))

  await fill()
  const stopped = spawn('--account', eva)
  await eventually(async () => {
    const isThere = await town.owner`select from pg_stat_activity where application_name = 'saldo-republish'`
    expect(isThere.length).toBeGreaterThan(0)
  })
  stopped.kill('SIGINT')
  expect(await endOf(stopped)).toEqual([
    130,
    '0 events are told again; stopped before the end, and may be begun anew\n',
  ])
  expect((await town.take()).length).toBe(1001)
})

test('a reader that has it all is not changed by it, and one that had nothing ends with the same', async () => {
  const { shared, config, owner } = town
  // Topics of one partition. With several, the time of an account's last change is that of whatever
  // told its version first, a hold for it perhaps.
  const read = async (topicPrefix: string) => {
    const place = await shared.createDatabase('balances')
    const settings = serviceConfig('balances', {
      database: place,
      brokers: shared.brokers,
      topicPrefix,
      seed: false,
    })
    const service = await startBalances({ ...settings, kafka: { ...settings.kafka, partitions: 1 } }, log)
    const sql = openSession({ url: place.url, applicationName: 'test' })
    return {
      async rows() {
        const balances = await sql`select * from balances order by account_id`
        const entries = await sql`select * from entries order by account_id, version`
        return { balances, entries, clients: await sql`select * from clients order by id` }
      },
      hasRead: (records: number) =>
        eventually(async () => {
          const [row] = await sql`select sum(next_offset)::int as records from consumed_offsets`
          expect(row?.records).toBe(records)
        }),
      async [Symbol.asyncDispose]() {
        await service.stop()
        await sql.end()
      },
    }
  }
  const relayTo = async (topicPrefix: string) => {
    const kafka = { ...config.kafka, topicPrefix, partitions: 1 }
    const service = await startWallet({ ...config, seedOnStart: false, kafka }, log)
    return { [Symbol.asyncDispose]: () => service.stop() }
  }
  const [first, second] = [shared.topicPrefix(), shared.topicPrefix()]
  const all = town.told.length
  const ofInterest = town.told.filter(({ topic }) => topic !== 'transactions').length

  await using reader = await read(first)
  const before = await (async () => {
    await using _ = await relayTo(first)
    await town.tellFirst()
    await reader.hasRead(ofInterest)
    const rows = await reader.rows()
    expect(await town.again()).toBe(all)
    await reader.hasRead(2 * ofInterest)
    expect(await reader.rows()).toEqual(rows)
    return rows
  })()
  expect(before.entries.length).toBe(Number((await owner`select count(*) from entries`)[0]?.count))

  await using newcomer = await read(second)
  await using _ = await relayTo(second)
  expect(await town.again()).toBe(all)
  await newcomer.hasRead(ofInterest)
  expect(await newcomer.rows()).toEqual(before)
})
