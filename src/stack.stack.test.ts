/** The main job, end to end: money moves at the wallet, and shows at balances. */
import { expect, test } from 'bun:test'
import postgres from 'postgres'
import { startBalances } from './balances/service'
import { republish } from './cli/republish'
import { createLog } from './platform/telemetry/log'
import { runCommand } from './testing/command'
import { eventually } from './testing/eventually'
import { casesOf, drawn } from './testing/random'
import { type Caller, callerOf, type Stack, spawnService, startStack } from './testing/stack'
import { startWallet } from './wallet/service'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'

const transfer = (from: string, to: string, amount: number) => ({
  account_id_from: from,
  account_id_to: to,
  amount,
})

type Row = { id: string; balance: string; version: string }

async function readRows(url: string, query: string): Promise<Row[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  try {
    return [...(await sql.unsafe<Row[]>(query))].map((row) => ({ ...row }))
  } finally {
    await sql.end()
  }
}

/** What each side holds: accounts, balances and versions, in one order. */
const ledgerOf = ({ databases }: Stack) =>
  readRows(
    databases.wallet.url,
    'select id::text, balance_minor::text as balance, version::text from accounts order by 1',
  )
const readModelOf = ({ databases }: Stack) =>
  readRows(
    databases.balances.url,
    'select account_id as id, balance_minor::text as balance, version::text from balances order by 1',
  )

/** Waits until the read side holds exactly what the ledger holds. */
const expectSamePicture = (stack: Stack) =>
  eventually(
    async () => {
      expect(await readModelOf(stack)).toEqual(await ledgerOf(stack))
    },
    { intervalMs: 50 },
  )

const balanceOf = async (balances: Caller, id: string) => (await balances.get(`/balances/${id}`)).body

test('a transfer shows in the balances of both accounts, under both addresses', async () => {
  await using stack = await startStack()
  expect(await balanceOf(stack.balances, eva)).toMatchObject({ balance: 800, version: 4 })
  const made = await stack.wallet.post('/transactions', transfer(eva, frank, 100))
  expect(made.status).toBe(201)
  await eventually(async () => {
    expect(await balanceOf(stack.balances, eva)).toMatchObject({ account_id: eva, balance: 700, version: 5 })
    expect(await balanceOf(stack.balances, frank)).toMatchObject({
      account_id: frank,
      balance: 1300,
      version: 5,
    })
  })
  const [one, other] = await Promise.all([
    stack.balances.get(`/balances/${frank}`),
    stack.balances.get(`/accounts/${frank}`),
  ])
  expect(other.body).toEqual(one.body)
  await expectSamePicture(stack)
})

test('a new client with a new account shows up with its owner', async () => {
  await using stack = await startStack({ seed: false })
  const client = await stack.wallet.post('/clients', { name: 'Ivy', email: 'ivy@example.com' })
  const account = await stack.wallet.post('/accounts', { client_id: client.body.id })
  await eventually(async () => {
    const answer = await stack.balances.get(`/balances/${account.body.id}`)
    expect(answer).toMatchObject({ status: 200, body: { balance: 0, version: 0, client_id: client.body.id } })
    expect(JSON.stringify(answer.body)).toContain('Ivy')
  })
  await expectSamePicture(stack)
})

test('both seeds give one picture, versions included, whichever service starts first or alone', async () => {
  await using stack = await startStack({ start: [] })
  const balances = await spawnService(stack.config.balances)
  const alone = await readModelOf(stack)
  expect(alone.find((row) => row.id === eva)).toEqual({ id: eva, balance: '80000', version: '4' })
  expect(alone.find((row) => row.id === frank)).toEqual({ id: frank, balance: '120000', version: '4' })
  expect(alone.length).toBe(11)

  const wallet = await spawnService(stack.config.wallet)
  await wallet.post('/transactions', transfer(frank, eva, 1))
  await eventually(async () =>
    expect(await balanceOf(balances, eva)).toMatchObject({ balance: 801, version: 5 }),
  )
  // The topics tell the whole story from the beginning: a read side without a seed ends with the
  // same picture.
  await expectSamePicture(stack)
  await Promise.all([wallet.stop(), balances.stop()])
})

test('from offset 0 the topics alone tell everything', async () => {
  await using stack = await startStack({ start: [] })
  const wallet = await spawnService(stack.config.wallet)
  await wallet.post('/transactions', transfer(frank, eva, 1))
  const balances = await spawnService({ ...stack.config.balances, seedOnStart: false })
  await expectSamePicture(stack)
  await Promise.all([wallet.stop(), balances.stop()])
})

test('lost topics are republished from the ledger, and the read model is rebuilt from them', async () => {
  await using stack = await startStack({ start: [] })
  const { wallet, balances } = stack.config
  const log = createLog({ service: 'test', level: 'error', format: 'json' })
  const serve = async () => {
    const services = [await startWallet(wallet, log), await startBalances(balances, log)] as const
    const [ledger, reads] = [callerOf('wallet', services[0].port), callerOf('balances', services[1].port)]
    return { ledger, reads, stop: () => Promise.all(services.map((service) => service.stop())) }
  }
  const before = await serve()
  expect((await before.ledger.post('/transactions', transfer(eva, frank, 100))).status).toBe(201)
  await expectSamePicture(stack)
  await before.stop()

  // Another installation's topics are as empty as those of a broker that lost its disk.
  for (const { kafka } of [wallet, balances]) kafka.topicPrefix = stack.backing.topicPrefix()
  balances.kafka.topicPrefix = wallet.kafka.topicPrefix
  const { reads, stop } = await serve()
  const rebuilt = async (state: string) => {
    await reads.post('/rebuild', {})
    return eventually(async () => expect((await reads.get('/rebuild')).body).toMatchObject({ state }))
  }
  await rebuilt('refused')
  expect((await reads.get('/rebuild')).body.message).toContain('republish')
  const env = { DATABASE_URL: wallet.database.url }
  expect((await runCommand(republish, [], env)).code).toBe(0)
  await rebuilt('swapped')
  expect((await reads.get('/rebuild')).body.divergence).toMatchObject({ accounts: 0, entries: 0, clients: 0 })
  await expectSamePicture(stack)
  await stop()
})

test.concurrent('balances is killed repeatedly during many transfers; nothing is lost', async () => {
  const marks = drawn([100, 400, 700])
  const enough = Math.max(...marks) + 300
  await using stack = await startStack({ start: ['wallet'] })
  let balances = await spawnService(stack.config.balances)
  let sent = 0
  const sending = (async () => {
    for (; sent < enough; sent += 20) {
      const [from, to] = sent % 40 === 0 ? [eva, frank] : [frank, eva]
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => stack.wallet.post('/transactions', transfer(from, to, 1.01))),
      )
      for (const answer of answers) expect(answer.status).toBe(201)
    }
  })()
  for (const mark of marks) {
    await eventually(() => expect(sent).toBeGreaterThanOrEqual(mark))
    await balances.kill()
    balances = await spawnService(stack.config.balances)
  }
  await sending
  // A broker keeps the partitions of each of the killed for as long as its session would have been,
  // one after the other.
  await expectSamePicture(stack)
  expect(await balances.stop()).toBe(0)
})

test.concurrent('the wallet is killed midway: what it answered is kept, and all of it arrives', async () => {
  await using stack = await startStack({ start: ['balances'] })
  let answered = 0
  const rounds = casesOf(3)
  for (let round = 0; round < rounds; round++) {
    const wallet = await spawnService(stack.config.wallet)
    const before = answered
    let killed = false
    const sending = Array.from({ length: 8 }, async () => {
      while (!killed) {
        const answer = await wallet.post('/transactions', transfer(frank, eva, 0.01)).catch(() => undefined)
        if (answer?.status === 201) answered++
      }
    })
    await eventually(() => expect(answered).toBeGreaterThan(before + 50))
    await wallet.kill()
    killed = true
    await Promise.all(sending)
  }
  const wallet = await spawnService(stack.config.wallet)
  const rows = await ledgerOf(stack)
  const versionOf = (id: string) => Number(rows.find((row) => row.id === id)?.version)
  // Every answered transfer is in the ledger; one that was in flight at a kill may be, too.
  expect(versionOf(eva) - 4).toBeGreaterThanOrEqual(answered)
  expect(versionOf(eva) - 4).toBeLessThanOrEqual(answered + rounds * 8)
  await expectSamePicture(stack)
  await wallet.stop()
})
