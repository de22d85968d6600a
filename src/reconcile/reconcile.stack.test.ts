/**
 * `reconcile` beside both services at work: it finds nothing, until somebody changes something behind their backs.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import postgres from 'postgres'
import { connectKafka } from '../platform/kafka/client'
import { eventually } from '../testing/eventually'
import { produceRaw, RawKafka, recordBatch } from '../testing/raw-kafka'
import { type Stack, startStack } from '../testing/stack'
import { eva, frank, log } from '../testing/wallets'
import { CannotCompare, type Report, reconcile } from './reconcile'

setDefaultTimeout(60_000)

const [jane, bob] = ['d6a40ce9-bbd0-11ee-8a24-0242ac120003', 'd6a41083-bbd0-11ee-8a24-0242ac120003']
const transfer = { account_id_from: eva, account_id_to: frank, amount: 1.01 }
const silent = () => ({ add() {}, end() {} })

const examine = (
  { databases, config }: Stack,
  { waitMs = 20_000, balancesUrl = databases.balances.url } = {},
): Promise<Report> =>
  reconcile(
    { walletUrl: databases.wallet.serviceUrl, balancesUrl, kafka: config.balances.kafka, isLocal: false },
    { waitMs, differencesMax: 20, show: silent, signal: new AbortController().signal },
  )

/** The command as a process, as anybody runs it. */
async function runCommand(env: Record<string, string>, ...args: string[]) {
  const command = [process.execPath, join(import.meta.dir, '../cli/main.ts'), 'reconcile', ...args]
  const child = Bun.spawn(command, {
    env: { PATH: process.env.PATH, ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { out, err, exitCode }
}

/** A connection as the owner, for whom no grant and no trigger is in the way for long. */
const ownerOf = ({ databases }: Stack, name: 'wallet' | 'balances') =>
  postgres(databases[name].url, { max: 1, onnotice: () => {} })

test('a cent, a lost event and a record of nobody are named, with account, version and event', async () => {
  await using stack = await startStack()
  const { wallet } = stack
  const [ledger, model] = [ownerOf(stack, 'wallet'), ownerOf(stack, 'balances')]
  const kafka = connectKafka({ ...stack.config.wallet.kafka, clientId: 'somebody' }, log)
  try {
    const paid = await wallet.post('/transactions', transfer)
    await wallet.post(`/transactions/${paid.body.id}/reverse`, { amount: 0.5 })
    for (const end of ['capture', 'release']) {
      const { body } = await wallet.post('/holds', transfer)
      expect((await wallet.post(`/holds/${body.id}/${end}`, {})).status).toBeLessThan(300)
    }
    const clean = await examine(stack)
    expect(clean.differences).toEqual([])
    expect(clean.counts).toMatchObject({ waiting: 0, behind: 0, unchecked: 0, skipped: 0, lag: 0 })
    // 34 of the seed; two transactions, a capture and three steps of holds.
    expect([clean.counts.entries, clean.counts.shown]).toEqual([43, 43])

    // Others move money meanwhile. What is found then was never wrong.
    let isBusy = true
    const moving = (async () => {
      const others = { account_id_from: jane, account_id_to: bob, amount: 0.01 }
      while (isBusy) await wallet.post('/transactions', others)
    })()
    for (const waitMs of [0, 20_000]) expect((await examine(stack, { waitMs })).differences).toEqual([])
    isBusy = false
    await moving

    // The relay is held up when it wants to say that it has published, and then the read side. Then
    // they go on.
    const env = {
      WALLET_DATABASE_URL: stack.databases.wallet.url,
      BALANCES_DATABASE_URL: stack.databases.balances.url,
      KAFKA_BROKERS: stack.backing.brokers.join(),
      KAFKA_TOPIC_PREFIX: stack.config.wallet.kafka.topicPrefix,
    }
    let later: Promise<Report> | undefined
    const waiting = await ledger.begin(async (tx) => {
      await tx`lock table deliveries in exclusive mode`
      await wallet.post('/transactions', transfer)
      await eventually(async () =>
        expect((await tx`select from pg_locks where not granted`).length).toBeGreaterThan(0),
      )
      await wallet.post('/transactions', transfer)
      later = examine(stack)
      return runCommand(env, '--wait', '0')
    })
    expect(waiting).toMatchObject({
      exitCode: 3,
      out: expect.stringContaining('3 entries and notifications wait'),
    })
    expect(await later).toMatchObject({ differences: [], counts: { waiting: 0, behind: 0 } })
    const behind = await model.begin(async (tx) => {
      await tx`lock table consumed_offsets in exclusive mode`
      await wallet.post('/transactions', transfer)
      await eventually(async () => expect(await ledger`select from outbox`).toHaveLength(0))
      return examine(stack, { waitMs: 0 })
    })
    expect(behind).toMatchObject({ differences: [], counts: { waiting: 0, behind: 2, lag: 1 } })

    // What cannot be compared is no difference.
    await expect(examine(stack, { balancesUrl: stack.databases.wallet.url })).rejects.toThrow(CannotCompare)
    const { WALLET_DATABASE_URL: _, ...incomplete } = env
    const refusal = { exitCode: 2, out: '', err: expect.stringContaining('WALLET_DATABASE_URL is missing') }
    expect(await runCommand(incomplete)).toMatchObject(refusal)

    // In the wallet, where nobody may change an entry but he who switches the triggers off.
    await ledger.unsafe(`
      alter table entries disable trigger user;
      update entries set balance_minor = balance_minor - 1 where account_id = '${eva}' and version = 5;
      update accounts set balance_minor = balance_minor + 1 where id = '${frank}'`)
    const spoilt = await examine(stack)
    const entry = { accountId: eva, version: 5n, transactionId: paid.body.id, currency: 'BRL' }
    const contrast = { expected: { balanceMinor: 79_899n }, found: { balanceMinor: 79_898n } }
    const turned = { expected: contrast.found, found: contrast.expected }
    expect(spoilt.differences).toHaveLength(5)
    for (const named of [
      { where: 'ledger', ...entry, ...contrast },
      { where: 'ledger', accountId: frank, problem: 'the account is not what its entries make of it' },
      { where: 'ledger', currency: 'BRL', found: { balanceMinor: 1n } },
      { where: 'topic', ...entry, event: 'BalanceUpdated', ...turned },
      // The read model has no currency at its entries: it is the ledger's.
      { where: 'read model', ...entry, place: 'entries', ...turned },
    ])
      expect(spoilt.differences).toContainEqual(expect.objectContaining(named))
    expect(spoilt.differences.find(({ where }) => where === 'topic')?.place).toMatch(/balances\/\d\/\d+$/)
    await ledger.unsafe(`
      update entries set balance_minor = balance_minor + 1 where account_id = '${eva}' and version = 5;
      update accounts set balance_minor = balance_minor - 1 where id = '${frank}';
      alter table entries enable trigger user`)

    // Whoever owns the tables may raise a limit, and cannot unsay the one that the account was opened with.
    await ledger`update accounts set overdraft_limit_minor = 5000 where id = ${frank}`
    expect((await examine(stack)).differences).toMatchObject([
      {
        ...{ where: 'topic', event: 'AccountOpened', accountId: frank },
        ...{ expected: { overdraftLimitMinor: 5000n }, found: { overdraftLimitMinor: 0n } },
      },
    ])
    await ledger`update accounts set overdraft_limit_minor = 0 where id = ${frank}`

    await model`update balances set balance_minor = balance_minor + 1 where account_id = ${frank}`
    await model`update entries set balance_minor = balance_minor + 1 where account_id = ${frank} and version = 1`
    const { differences } = await examine(stack)
    expect(differences).toMatchObject([
      { where: 'read model', accountId: frank, version: 10n, place: 'balances' },
      { where: 'read model', accountId: frank, version: 1n, place: 'entries' },
    ])
    const told = await runCommand(env, '--json', '--limit', '1')
    expect({ exitCode: told.exitCode, ...JSON.parse(told.out) }).toMatchObject({
      exitCode: 1,
      result: 'different',
      differences_total: 2,
      differences: [
        { where: 'read model', account_id: frank, version: 10, found: { balance: expect.any(Number) } },
      ],
    })
    await model`update balances set balance_minor = balance_minor - 1 where account_id = ${frank}`
    await model`update entries set balance_minor = balance_minor - 1 where account_id = ${frank} and version = 1`

    // Events that are gone from the outbox before the relay has seen them; and one that the read
    // side cannot keep.
    await ledger.unsafe(`
      create function lose() returns trigger language plpgsql as 'begin return null; end';
      create trigger lose before insert on outbox for each row execute function lose()`)
    const lost = await wallet.post('/transactions', transfer)
    await ledger`drop function lose cascade`
    await model`alter table entries add constraint spiteful check (amount_minor <> 7) not valid`
    const refused = await wallet.post('/transactions', { ...transfer, amount: 0.07 })
    const publisher = kafka.publisher()
    const nobodys = {
      Name: 'TransactionCreated',
      Payload: { id: 'nobody', account_id_from: eva, account_id_to: frank, amount: 1 },
    }
    const topic = `${stack.config.wallet.kafka.topicPrefix}transactions`
    const [place] = await publisher.send([{ topic, key: eva, value: JSON.stringify(nobodys), headers: {} }])
    await publisher.close()
    if (typeof place !== 'object') throw new Error(`not sent: ${place}`)

    const late = await examine(stack)
    const [lostId, refusedId] = [lost.body.id, refused.body.id]
    const kept = {
      where: 'read model',
      transactionId: refusedId,
      problem: expect.stringContaining('it is missing'),
    }
    expect(late.differences).toHaveLength(3 + 2 + 1)
    for (const named of [
      { where: 'topic', accountId: eva, transactionId: lostId, event: 'TransactionCreated' },
      { where: 'topic', accountId: eva, transactionId: lostId, event: 'BalanceUpdated' },
      { where: 'topic', accountId: frank, transactionId: lostId, event: 'BalanceUpdated' },
      {
        ...kept,
        accountId: eva,
        deadLetter: expect.stringMatching(/^dead letter \d+ \(not_storable\) at .*balances\/\d\/\d+$/),
      },
      { ...kept, accountId: frank },
      {
        where: 'topic',
        accountId: eva,
        transactionId: 'nobody',
        place: `${topic}/${place.partition}/${place.offset}`,
      },
    ])
      expect(late.differences).toContainEqual(expect.objectContaining(named))
  } finally {
    await Promise.all([ledger.end(), model.end(), kafka.close()])
  }
})

test('records and batches that nobody can read are counted, and do not keep it from coming to its end', async () => {
  await using stack = await startStack()
  const client = await RawKafka.connect(stack.backing.brokers.join())
  const topic = `${stack.config.balances.kafka.topicPrefix}balances`
  const batches = [
    recordBatch([{ value: '{}', headers: [[Buffer.from('nul'), null]] }]),
    recordBatch([{ value: '{}' }, { value: '{}' }], undefined, {
      codec: 3,
      compress: () => Buffer.from('junk'),
    }),
    recordBatch([{ value: '{}' }], undefined, {
      codec: 4,
      compress: () => zstdCompressSync(Buffer.alloc(100 << 20)),
    }),
  ]
  for (const batch of batches) expect((await produceRaw(client, { topic, batch })).errorCode).toBe(0)
  client.close()
  const { differences, counts } = await examine(stack)
  expect(differences).toEqual([])
  expect(counts).toMatchObject({ skipped: 3, lag: 0 })
})
