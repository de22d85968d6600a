/** Republished events equal the first publication, for consumers that have them and for a new one. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { startBalances } from '../../balances/service'
import { openDatabase, openSession } from '../../platform/postgres/database'
import { prepareDatabase } from '../../platform/postgres/migrate'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { eventsIn, fillOutboxRows } from '../../testing/outbox'
import { serviceConfig } from '../../testing/stack'
import { eva, frank, log, steadyClock, world } from '../../testing/wallets'
import { grants } from '../db/grants'
import type { Command } from '../domain/book'
import { execute } from '../ledger/execute'
import { createOptimisticState } from '../ledger/optimistic-state'
import { seedWallet } from '../seed/seed'
import { startWallet } from '../service'
import { republishAll } from './republish'

type Event = {
  topic: string
  key: string
  name: string
  payload: Record<string, unknown>
  subject: string
  time: string
}

/** A command of any kind, without the common fields. */
type Terms = Command extends infer One
  ? One extends Command
    ? Omit<One, keyof typeof common>
    : never
  : never
const common = { id: '', currency: 'BRL', reference: 'order 7', metadata: { colour: 'red' } }

const noProgress = { add() {} }
const never = new AbortController().signal
const minute = (number: number) => new Date(Date.UTC(2026, 0, 1, 0, number))

/** A ledger with an event of every kind, a minute apart, none of them relayed yet. */
async function startTown() {
  const shared = await backing()
  const place = await shared.createDatabase('wallet', 'wallet')
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
  const executeAt = async (at: number, terms: Terms) => {
    now = minute(at)
    // Random, so that the order of ids is not the order of events.
    const sent = { ...common, ...terms, id: crypto.randomUUID() } as Command
    const isOfCaller = !('reason' in terms) || terms.reason !== 'expired'
    const command = isOfCaller ? { ...sent, actor: `key ${at}` } : sent
    const [answer] = await execute(ledger, [
      { commands: [command], atomic: true, traceparent: null, idempotencyKey: null },
    ])
    expect(answer).toMatchObject({
      results: [{ kind: expect.stringMatching(/transaction|hold|client|account/) }],
    })
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

  const clientId = await executeAt(1, {
    type: 'registration',
    name: 'Grace "G" Ó',
    email: 'grace@example.com',
  })
  const grace = await executeAt(2, { type: 'opening', clientId, overdraftLimitMinor: 5000n })
  const paid = await executeAt(3, { ...transfer, ...evaToFrank, effectiveAt: minute(-9999) })
  await executeAt(4, { ...transfer, kind: 'deposit', accountIdFrom: world, accountIdTo: frank })
  await executeAt(5, { ...transfer, accountIdFrom: grace, accountIdTo: eva })
  await executeAt(6, { type: 'reversal', reverses: paid, ...frankToEva, amountMinor: 34n, effectiveAt })
  const holds = { captured: await hold(7, 1), released: await hold(8, 1), expired: await hold(9, 1) }
  const lasting = await hold(10, 8_000)
  await executeAt(11, {
    type: 'capture',
    holdId: holds.captured,
    ...evaToFrank,
    amountMinor: 500n,
    effectiveAt,
  })
  await executeAt(12, { type: 'release', holdId: holds.released, ...evaToFrank, reason: 'released' })
  await executeAt(13, { ...transfer, ...frankToEva })
  const posting = { kind: 'transfer', amountMinor: 700n } as const
  const posted = await executeAt(14, {
    type: 'postings',
    postings: [
      { ...posting, ...evaToFrank },
      { ...posting, ...frankToEva, amountMinor: 1n },
      { ...posting, accountIdFrom: eva, accountIdTo: grace },
      { ...posting, ...evaToFrank, kind: 'withdrawal', accountIdTo: world },
    ],
    effectiveAt: minute(10),
  })
  const back = { accountIdFrom: world, accountIdTo: eva, otherAccountIds: [frank, grace] }
  await executeAt(15, { type: 'reversal', reverses: posted, ...back, amountMinor: null, effectiveAt })
  await executeAt(70, { type: 'release', holdId: holds.expired, ...evaToFrank, reason: 'expired' })
  await executeAt(71, { ...transfer, kind: 'withdrawal', accountIdFrom: grace, accountIdTo: world })
  // Changes, each followed by movements that carry the terms then, on either side.
  await executeAt(72, { type: 'update', clientId, name: 'Grace Ó', email: null })
  await executeAt(73, { type: 'status', accountId: grace, status: 'debits_frozen' })
  await executeAt(74, { ...transfer, ...evaToFrank, accountIdTo: grace })
  await executeAt(75, { type: 'extension', holdId: lasting, ...evaToFrank, expiresAt: minute(500_000) })
  await executeAt(76, { type: 'overdraft', accountId: grace, overdraftLimitMinor: 7000n })
  await executeAt(77, { type: 'status', accountId: grace, status: 'open' })
  await executeAt(78, { ...transfer, kind: 'withdrawal', accountIdFrom: grace, accountIdTo: world })
  await executeAt(79, { type: 'overdraft', accountId: grace, overdraftLimitMinor: 5000n })
  await executeAt(80, { ...transfer, ...evaToFrank })
  await executeAt(81, { type: 'update', clientId, name: null, email: 'g@example.com' })
  await executeAt(82, { type: 'erasure', clientId })

  const owner = openSession({ url: place.url, applicationName: 'test' })
  const take = async (): Promise<Event[]> => {
    const rows = await owner`with taken as (delete from outbox returning *) select * from taken order by id`
    return eventsIn(rows).map(({ value, traceparent: _, ...event }) => ({
      ...event,
      payload: JSON.parse(value).Payload ?? {},
    }))
  }
  const firstTime = await owner`select * from outbox order by id`
  const outbox = await take()
  return {
    shared,
    config,
    database,
    owner,
    grace,
    take,
    republish: (accountId?: string, since = new Date(0)) =>
      republishAll(database, { accountId, since }, noProgress, never),
    outbox,
    published: newestOfPersonalData(outbox),
    /** Restores the outbox as it was before anything was published. */
    async restoreOutbox() {
      for (const { id: _, ...row } of firstTime) await owner`insert into outbox ${owner(row)}`
    },
    async stop() {
      await database.close()
      await owner.end()
    },
  }
}

/** Of the personal data of a client only what it is now is published again. */
const newestOfPersonalData = (events: Event[]): Event[] =>
  events.filter(
    ({ topic, key }, index) =>
      topic !== 'personal-data' ||
      !events.slice(index + 1).some((one) => one.topic === topic && one.key === key),
  )

let town: Awaited<ReturnType<typeof startTown>>
beforeAll(async () => {
  town = await startTown()
})
afterAll(() => town.stop())

/** The ledger does not record the payee's state at a hold: a republished one has an older state. */
function withoutPayee({ payload, ...event }: Event): Event {
  if (event.name !== 'BalanceUpdated' || payload.amount !== 0) return { payload, ...event }
  const { balance_account_id_to: _, version_account_id_to: __, held_account_id_to: ___, ...rest } = payload
  return { payload: rest, ...event }
}
const textsOf = (events: Event[]) => events.map((event) => JSON.stringify(withoutPayee(event))).toSorted()

const versionsOf = (events: Event[], key: string) =>
  events
    .filter((event) => event.name === 'BalanceUpdated' && event.key === key)
    .map((event) => event.payload.version_account_id_from)

test('every event is republished as it was, once, in the order of the paying account', async () => {
  await town.republish()
  const republished = await town.take()
  expect(textsOf(republished)).toEqual(textsOf(town.published))
  expect(new Set(republished.map((event) => event.name)).size).toBe(12)
  // The seed is older; a hold that expired has no actor.
  for (const { name, topic, payload, time } of republished) {
    if (topic === 'personal-data') continue
    const at = (new Date(time).getTime() - minute(0).getTime()) / 60_000
    expect([name, payload.actor]).toEqual([name, at <= 0 || at === 70 ? undefined : `key ${at}`])
  }
  const carried = republished.flatMap(({ payload }) => payload.overdraft_limit_account_id_from ?? [])
  expect(carried).toEqual([70, 70, 70])
  for (const key of [eva, frank, town.grace, world])
    expect(versionsOf(republished, key)).toEqual(versionsOf(town.published, key))
  const payees = republished.filter(({ name, payload }) => name === 'BalanceUpdated' && payload.amount === 0)
  expect(payees.map(({ payload }) => payload.account_id_to).toSorted()).toEqual([
    ...Array(4).fill(world),
    ...Array(7).fill(frank),
  ])
  for (const { payload } of payees)
    expect(payload).toMatchObject({ balance_account_id_to: 0, version_account_id_to: 0 })
})

test('for one account: its client, its opening, and what it paid, received and reserved', async () => {
  for (const account of [eva, town.grace, world]) {
    await town.republish(account)
    const [{ client_id: owner } = {}] = await town.owner`select client_id from accounts where id = ${account}`
    const isAbout = ({ payload, name, key }: Event) =>
      payload.account_id_from === account ||
      // A state that is carried along is no part of its history.
      (payload.account_id_to === account && payload.amount !== 0) ||
      ((payload.postings ?? []) as Event['payload'][]).some((leg) =>
        [leg.account_id_from, leg.account_id_to].includes(account),
      ) ||
      ([account, owner].includes(key) && /^(Account|Client|PersonalData)/.test(name))
    expect(textsOf(await town.take())).toEqual(textsOf(town.published.filter(isAbout)))
  }
})

test('since a time: events at it or later, also of holds that were placed before', async () => {
  // As by a wallet with a slow clock that was the last to change them.
  await town.owner`update accounts set updated_at = updated_at - interval '9 minutes'`
  for (const since of [minute(2), minute(12), minute(70), minute(75), minute(83)]) {
    await town.republish(undefined, since)
    const later = town.published.filter((event) => new Date(event.time) >= since)
    expect(textsOf(await town.take())).toEqual(textsOf(later))
  }
  await town.republish(town.grace, minute(5))
  const paid = ['TransactionCreated', 'BalanceUpdated']
  const posted = ['PostingsCreated', 'BalanceUpdated']
  const changed = ['AccountUpdated', 'BalanceUpdated']
  expect((await town.take()).map((event) => event.name)).toEqual([
    ...['ClientUpdated', 'ClientUpdated', 'ClientUpdated', 'PersonalDataErased'],
    ...[...paid, ...posted, ...posted, ...paid, ...changed, ...paid, ...changed, ...changed, ...paid],
    ...changed,
  ])
})

/** More rows than republishing adds to. */
const fill = () => fillOutboxRows(town.owner, 1001)

test('nothing is added to a full outbox; it goes on once there is room', async () => {
  await fill()
  const notes: (string | undefined)[] = []
  const progress = { add: (_: number, note?: string) => notes.push(note) }
  const all = { accountId: undefined, since: new Date(0) }
  const republishing = republishAll(town.database, all, progress, never)
  await eventually(() => expect(notes.length).toBeGreaterThan(2))
  expect(new Set(notes)).toEqual(new Set(['1001 events wait for the relay']))
  expect((await town.take()).length).toBe(1001)
  expect(await republishing).toBe(town.published.length)
  expect((await town.take()).length).toBe(town.published.length)
  expect(notes.at(-1)).toBeUndefined()
})

test('the command prints the number of events, and that it was interrupted', async () => {
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
  expect(await endOf(spawn())).toEqual([0, `${town.published.length} events enqueued for republication\n`])
  expect(textsOf(await town.take())).toEqual(textsOf(town.published))

  await fill()
  const stopped = spawn('--account', eva)
  await eventually(async () => {
    const isThere = await town.owner`select from pg_stat_activity where application_name = 'saldo-republish'`
    expect(isThere.length).toBeGreaterThan(0)
  })
  stopped.kill('SIGINT')
  expect(await endOf(stopped)).toEqual([130, '0 events enqueued for republication\n'])
  expect(await new Response(stopped.stderr).text()).toContain('Running it again is safe')
  expect((await town.take()).length).toBe(1001)
})

test('a consumer that has all events is unchanged, and a new one ends with the same rows', async () => {
  const { shared, config, owner } = town
  // A purge of the topic would publish more than what is counted here.
  await owner`update erasures set purged_at = now() where purged_at is null`
  // Topics of one partition. With several, an account's last change has the time of the event that
  // brought its version first, perhaps of a hold for it.
  const read = async (topicPrefix: string) => {
    const place = await shared.createDatabase('balances', 'balances')
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
  const all = town.published.length
  const isRead = ({ topic }: Event) => !['transactions', 'clients'].includes(topic)
  const [atFirst, ofInterest] = [town.outbox, town.published].map(
    (events) => events.filter(isRead).length,
  ) as [number, number]

  await using reader = await read(first)
  const before = await (async () => {
    await using _ = await relayTo(first)
    await town.restoreOutbox()
    await reader.hasRead(atFirst)
    const rows = await reader.rows()
    expect(await town.republish()).toBe(all)
    await reader.hasRead(atFirst + ofInterest)
    expect(await reader.rows()).toEqual(rows)
    return rows
  })()
  expect(before.entries.length).toBe(Number((await owner`select count(*) from entries`)[0]?.count))

  await using newcomer = await read(second)
  await using _ = await relayTo(second)
  expect(await town.republish()).toBe(all)
  await newcomer.hasRead(ofInterest)
  expect(await newcomer.rows()).toEqual(before)
})
