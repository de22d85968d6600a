/** A client is erased: at both services, in every table, and for every reader of the topics. */
import { expect, test } from 'bun:test'
import { Kafka as KafkaClient, logLevel } from 'kafkajs'
import { startBalances } from './balances/service'
import { connectKafka } from './platform/kafka/client'
import { type Database, openDatabase } from './platform/postgres/database'
import { arrayOf } from './platform/postgres/statements'
import { eventually } from './testing/eventually'
import { differencesOf, noDifference } from './testing/reconciled'
import { type Answer, type Caller, callerOf, type Stack, startStack } from './testing/stack'
import { eva, log } from './testing/wallets'

/** In no other text. */
const person = { name: 'Zenobia Quorra', email: 'zenobia@quorra.example' }
const needles = ['quorra', Buffer.from('Quorra').toString('hex'), Buffer.from('quorra').toString('hex')]

const open = (url: string): Database & AsyncDisposable => {
  const database = openDatabase({ url, poolMax: 1, prepare: false, applicationName: 'saldo-test' })
  return Object.assign(database, { [Symbol.asyncDispose]: () => database.close() })
}

/** Tables, in any schema, that hold the person's name or e-mail address. */
async function tablesWith({ sql }: Database): Promise<string[]> {
  const tables = await sql<{ schema: string; name: string }[]>`
    select table_schema as schema, table_name as name from information_schema.tables
    where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`
  const found: string[] = []
  for (const { schema, name } of tables) {
    const rows = await sql`
      select from ${sql(schema)}.${sql(name)} as one
      where lower(one::text) like any(${arrayOf(needles.map((needle) => `%${needle}%`))}::text[])
      limit 1`
    if (rows.length > 0) found.push(`${schema}.${name}`)
  }
  return found
}

/** Topics of the installation, dead letters included, with a byte of the person in a record. */
async function topicsWith({ config }: Stack): Promise<string[]> {
  const { brokers, topicPrefix } = config.wallet.kafka
  const kafka = connectKafka({ ...config.wallet.kafka, clientId: 'stranger' }, log)
  const admin = new KafkaClient({ brokers, logLevel: logLevel.NOTHING }).admin()
  const found = new Set<string>()
  try {
    await admin.connect()
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(topicPrefix))
    expect(topics).toContain(`${topicPrefix}personal-data`)
    for await (const { topic, records } of kafka.read(await kafka.endOffsets(topics)))
      for (const { key, value, headers } of records) {
        const bytes = Buffer.concat([key, value, ...headers.flat()].map((part) => part ?? Buffer.alloc(0)))
        if (/quorra/i.test(bytes.toString('latin1'))) found.add(topic.slice(topicPrefix.length))
      }
    return [...found]
  } finally {
    await Promise.all([admin.disconnect(), kafka.close()])
  }
}

async function registerPerson(wallet: Caller) {
  const registration = { 'idempotency-key': 'registration' }
  const client = await wallet.post('/clients', person, registration)
  expect(client.status).toBe(201)
  const id = String(client.body.id)
  const account = String((await wallet.post('/accounts', { client_id: id })).body.id)
  expect((await wallet.post(`/accounts/${account}/deposits`, { amount: 12.5 })).status).toBe(201)
  const renamed = await wallet.patch(`/clients/${id}`, { name: 'Zenobia A. Quorra' })
  expect(renamed.body).toMatchObject({ name: 'Zenobia A. Quorra', version: 2 })
  return { id, account, registration }
}

const ownerShown = (balances: Caller, account: string, name: string | null) =>
  eventually(async () =>
    expect((await balances.get(`/balances/${account}`)).body).toMatchObject({ owner_name: name }),
  )

const purged = (wallet: Caller, id: string) =>
  eventually(async () =>
    expect((await wallet.get(`/clients/${id}/personal-data`)).body.purged_at).toBeString(),
  )

const seen = ({ status, body }: Answer) => [status, body.code]

test('a client that was erased is nowhere, and its money is where it was', async () => {
  await using stack = await startStack()
  const { wallet, balances } = stack
  await using ledger = open(stack.databases.wallet.url)
  await using model = open(stack.databases.balances.url)
  const { id, account, registration } = await registerPerson(wallet)
  await ownerShown(balances, account, 'Zenobia A. Quorra')
  expect(await tablesWith(ledger)).toEqual(['public.personal_data'])
  expect(await tablesWith(model)).toEqual(['public.clients'])
  expect(await topicsWith(stack)).toEqual(['personal-data'])
  const path = `/clients/${id}/personal-data`
  const known = (await wallet.get(path)).body
  expect(known).toMatchObject({ erased_at: null, purged_at: null })
  expect(known.versions).toMatchObject([
    { version: 1, ...person },
    { version: 2, ...person, name: 'Zenobia A. Quorra' },
  ])

  const erased = await wallet.delete(path, { 'idempotency-key': 'erasure' })
  expect(erased).toMatchObject({ status: 200, body: { id, name: null, email: null, version: 3 } })
  expect(erased.body.erased_at).toBe(erased.body.updated_at)
  expect(await tablesWith(ledger)).toEqual([])
  // Repeated, under the key and without.
  const replay = await wallet.delete(path, { 'idempotency-key': 'erasure' })
  expect([replay.body, replay.headers.get('idempotency-replayed')]).toEqual([erased.body, 'true'])
  expect((await wallet.delete(path)).body).toEqual(erased.body)

  expect((await wallet.get(`/clients/${id}`)).body).toEqual(erased.body)
  expect((await wallet.get(`/clients?email=${person.email}`)).body.data).toEqual([])
  expect((await wallet.get(path)).body).toMatchObject({ versions: [], erased_at: erased.body.erased_at })
  expect(seen(await wallet.patch(`/clients/${id}`, { name: 'Zenobia' }))).toEqual([422, 'CLIENT_ERASED'])
  const again = await wallet.post('/clients', person, registration)
  expect(again).toMatchObject({ status: 201, body: { id, name: null, email: null, version: 1 } })
  for (const unknown of [crypto.randomUUID(), 'x']) {
    expect(seen(await wallet.delete(`/clients/${unknown}/personal-data`))).toEqual([404, 'CLIENT_NOT_FOUND'])
    expect(seen(await wallet.get(`/clients/${unknown}/personal-data`))).toEqual([404, 'CLIENT_NOT_FOUND'])
  }
  const paid = await wallet.post('/transactions', {
    account_id_from: account,
    account_id_to: eva,
    amount: 2.5,
  })
  expect(paid.status).toBe(201)

  await ownerShown(balances, account, null)
  await purged(wallet, id)
  expect(await topicsWith(stack)).toEqual([])
  expect(await tablesWith(model)).toEqual([])
  expect(await differencesOf(stack)).toEqual(noDifference)
  await eventually(async () =>
    expect((await balances.get(`/balances/${account}`)).body).toMatchObject({ balance: 10, client_id: id }),
  )

  // The topics, read from their beginning by a read side that has nothing.
  const database = await stack.backing.createDatabase('balances', 'balances')
  const config = stack.config.balances
  const replica = await startBalances(
    {
      ...config,
      database: { ...config.database, url: database.url },
      kafka: { ...config.kafka, groupId: 'replay' },
      seedOnStart: false,
    },
    log,
  )
  try {
    const empty = callerOf('balances', replica.port)
    await ownerShown(empty, eva, 'Eva')
    await eventually(async () =>
      expect((await empty.get(`/balances/${account}`)).body).toMatchObject({ balance: 10, owner_name: null }),
    )
    await eventually(async () => expect((await empty.get('/balances')).headers.get('balances-lag')).toBe('0'))
    await using rows = open(database.url)
    expect(await tablesWith(rows)).toEqual([])
    // The seed's, which the purge has published again.
    expect(await rows.sql`select name from clients where name is not null`).toHaveLength(10)
  } finally {
    await replica.stop()
  }
})

test('erasures, changes and registrations at the same time: what was not erased is left', async () => {
  await using stack = await startStack()
  const { wallet } = stack
  const register = async (name: string) =>
    String((await wallet.post('/clients', { name, email: 'many@example.com' })).body.id)
  const ids = await Promise.all(Array.from({ length: 30 }, (_, number) => register(`Quorra ${number}`)))
  const [erased, kept] = [ids.slice(0, 20), ids.slice(20)]
  const late: Promise<string>[] = []
  await Promise.all([
    ...erased.map((id) => wallet.delete(`/clients/${id}/personal-data`)),
    ...erased.map((id) => wallet.patch(`/clients/${id}`, { name: 'Quorra again' })),
    ...kept.map((id, number) => wallet.patch(`/clients/${id}`, { name: `Kept ${number}` })),
  ])
  // While passes run.
  for (const [number, id] of kept.entries()) {
    late.push(register(`Late ${number}`))
    await wallet.patch(`/clients/${id}`, { name: `Left ${number}` })
  }
  for (const id of erased) await purged(wallet, id)
  expect(await topicsWith(stack)).toEqual([])

  await using model = open(stack.databases.balances.url)
  const named = (word: string) => Array.from({ length: 10 }, (_, number) => `${word} ${number}`)
  const left = [...kept, ...(await Promise.all(late))]
  const shown = async () => {
    const rows = await model.sql<{ name: string }[]>`
      select name from clients where id = any(${arrayOf(left)}::text[]) order by name`
    return rows.map(({ name }) => name)
  }
  await eventually(async () => expect(await shown()).toEqual([...named('Late'), ...named('Left')]))
  expect(await tablesWith(model)).toEqual([])
  expect(await differencesOf(stack)).toEqual(noDifference)
})

test('a rebuild that waits, its swap and its rollback bring no erased name back', async () => {
  await using stack = await startStack()
  const { wallet, balances } = stack
  await using model = open(stack.databases.balances.url)
  const { id, account } = await registerPerson(wallet)
  await ownerShown(balances, account, 'Zenobia A. Quorra')
  const state = async (wanted: string) =>
    eventually(async () => expect((await balances.get('/rebuild')).body.state).toBe(wanted))

  expect((await balances.post('/rebuild', { manual: true })).status).toBe(202)
  await state('ready')
  expect(await tablesWith(model)).toEqual(['public.clients', 'shadow.clients'])
  expect((await wallet.delete(`/clients/${id}/personal-data`)).status).toBe(200)
  await ownerShown(balances, account, null)
  expect(await tablesWith(model)).toEqual([])
  await purged(wallet, id)
  expect((await balances.post('/rebuild', { action: 'swap' })).status).toBe(202)
  await state('swapped')
  await ownerShown(balances, account, null)
  expect((await balances.get(`/balances/${eva}`)).body.owner_name).toBe('Eva')
  expect(await tablesWith(model)).toEqual([])

  // An erasure after the swap has nothing to look for in the tables from before.
  const ownerOfEva = (await wallet.get(`/accounts/${eva}`)).body.client_id
  expect((await wallet.delete(`/clients/${ownerOfEva}/personal-data`)).status).toBe(200)
  await ownerShown(balances, eva, null)
  const [before] = await model.sql`
    select to_regclass('previous.balances') is not null as kept, to_regclass('previous.clients') as names`
  expect(before).toEqual({ kept: true, names: null })
  expect((await balances.post('/rebuild', { action: 'rollback' })).status).toBe(202)
  await state('rolled_back')
  await ownerShown(balances, eva, null)
  await ownerShown(balances, account, null)
  expect(await model.sql`select from clients where name = 'Eva'`).toHaveLength(0)
})

test('a dead letter of personal data has none of it', async () => {
  await using stack = await startStack()
  const { balances, config } = stack
  await using model = open(stack.databases.balances.url)
  const topic = `${config.wallet.kafka.topicPrefix}personal-data`
  const client = crypto.randomUUID()
  const kafka = connectKafka({ ...config.wallet.kafka, clientId: 'stranger' }, log)
  const publisher = kafka.publisher()
  const record = { topic, key: client, value: '', headers: { about: 'Quorra' } }
  const payload = { id: client, name: 'Zenobia Quorra', 'Quorra twice': 1, version: 'two' }
  try {
    await kafka.ensureTopics([topic], 1)
    await publisher.send([
      { ...record, value: JSON.stringify({ Name: 'PersonalDataRecorded', Payload: payload }) },
      { ...record, value: '{"Quorra":1,"Quorra":2}' },
      { ...record, key: 'Quorra', value: 'Quorra' },
    ])
    await eventually(async () => {
      const { data } = (await balances.get('/dead-letters')).body as { data: { sent_at: unknown }[] }
      expect(data.map(({ sent_at }) => typeof sent_at)).toEqual(['string', 'string', 'string'])
    })
    const letters = (await balances.get('/dead-letters')).body.data as Record<string, unknown>[]
    // Of several partitions.
    const contents = letters.map(({ cause, key, value }) => [cause, key, value])
    expect(contents.toSorted()).toEqual([
      ['duplicate_member', client, null],
      ['not_json', null, null],
      ['payload_invalid', client, null],
    ])
    const redriven = await balances.post('/dead-letters/redrive', { all: true })
    expect(redriven.body.counts).toMatchObject({ still_failing: 3 })
    await eventually(async () => {
      const after = (await balances.get('/dead-letters')).body.data as Record<string, unknown>[]
      expect(after.map(({ cause, attempts }) => [cause, attempts])).toEqual(
        letters.map(({ cause }) => [cause, 2]),
      )
    })
    expect(await tablesWith(model)).toEqual([])
    // What the stranger has sent is there until the next purge; its copies have nothing.
    expect(await topicsWith(stack)).toEqual(['personal-data'])
  } finally {
    await publisher.close()
    await kafka.close()
  }
})
