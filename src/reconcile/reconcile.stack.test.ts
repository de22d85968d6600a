/** `reconcile` beside both running services: no differences until data is corrupted behind their backs. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import postgres from 'postgres'
import { connectKafka } from '../platform/kafka/client'
import { eventually } from '../testing/eventually'
import { produceRaw, RawKafka, recordBatch } from '../testing/raw-kafka'
import { reconciled } from '../testing/reconciled'
import { type Stack, startStack } from '../testing/stack'
import { eva, frank, log } from '../testing/wallets'
import { CannotCompare, type Report } from './reconcile'

const [jane, bob] = ['d6a40ce9-bbd0-11ee-8a24-0242ac120003', 'd6a41083-bbd0-11ee-8a24-0242ac120003']
const transfer = { account_id_from: eva, account_id_to: frank, amount: 1.01 }
/** The command as a process. */
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

/** A connection as the owner, who may disable triggers. */
const ownerOf = ({ databases }: Stack, name: 'wallet' | 'balances') =>
  postgres(databases[name].url, { max: 1, onnotice: () => {} })

test('a cent, a lost event and a stray record are reported with account, version and event', async () => {
  await using stack = await startStack()
  const { wallet } = stack
  const [ledger, model] = [ownerOf(stack, 'wallet'), ownerOf(stack, 'balances')]
  const kafka = connectKafka({ ...stack.config.wallet.kafka, clientId: 'stranger' }, log)
  try {
    const paid = await wallet.post('/transactions', transfer)
    await wallet.post(`/transactions/${paid.body.id}/reverse`, { amount: 0.5 })
    for (const end of ['capture', 'release']) {
      const { body } = await wallet.post('/holds', transfer)
      expect((await wallet.post(`/holds/${body.id}/${end}`, {})).status).toBeLessThan(300)
    }
    const clean = await reconciled(stack)
    expect(clean.differences).toEqual([])
    expect(clean.counts).toMatchObject({ waiting: 0, behind: 0, unchecked: 0, skipped: 0, lag: 0 })
    // 34 of the seed; two transactions, a capture and three steps of holds.
    expect([clean.counts.entries, clean.counts.shown]).toEqual([43, 43])

    // Under concurrent transfers there are no false differences.
    let isBusy = true
    const moving = (async () => {
      const others = { account_id_from: jane, account_id_to: bob, amount: 0.01 }
      while (isBusy) await wallet.post('/transactions', others)
    })()
    for (const waitMs of [0, 20_000]) expect((await reconciled(stack, { waitMs })).differences).toEqual([])
    isBusy = false
    await moving

    // Block the relay after it has published, then the read side, then let both continue.
    const env = {
      WALLET_DATABASE_URL: stack.databases.wallet.url,
      BALANCES_DATABASE_URL: stack.databases.balances.url,
      KAFKA_BROKERS: stack.backing.brokers.join(),
      KAFKA_TOPIC_PREFIX: stack.config.wallet.kafka.topicPrefix,
    }
    let later: Promise<Report> | undefined
    const waiting = await ledger.begin(async (tx) => {
      await tx`lock table append_deliveries in exclusive mode`
      await wallet.post('/transactions', transfer)
      await eventually(async () =>
        expect((await tx`select from pg_locks where not granted`).length).toBeGreaterThan(0),
      )
      await wallet.post('/transactions', transfer)
      later = reconciled(stack)
      return runCommand(env, '--wait', '0')
    })
    expect(waiting).toMatchObject({
      exitCode: 3,
      out: expect.stringContaining('3 entries and notifications are in the outbox'),
    })
    expect(await later).toMatchObject({ differences: [], counts: { waiting: 0, behind: 0 } })
    const behind = await model.begin(async (tx) => {
      await tx`lock table consumed_offsets in exclusive mode`
      await wallet.post('/transactions', transfer)
      await eventually(async () => expect(await ledger`select from outbox`).toHaveLength(0))
      return reconciled(stack, { waitMs: 0 })
    })
    expect(behind).toMatchObject({ differences: [], counts: { waiting: 0, behind: 2, lag: 1 } })

    // A failed comparison is not a difference.
    await expect(reconciled(stack, { balancesUrl: stack.databases.wallet.url })).rejects.toThrow(
      CannotCompare,
    )
    const { WALLET_DATABASE_URL: _, ...incomplete } = env
    const refusal = { exitCode: 2, out: '', err: expect.stringContaining('WALLET_DATABASE_URL is missing') }
    expect(await runCommand(incomplete)).toMatchObject(refusal)

    // In the wallet only the owner can change an entry, by disabling the triggers.
    await ledger.unsafe(`
      alter table entries disable trigger user;
      update entries set balance_minor = balance_minor - 1 where account_id = '${eva}' and version = 5;
      update accounts set balance_minor = balance_minor + 1 where id = '${frank}'`)
    const corrupted = await reconciled(stack)
    const entry = { accountId: eva, version: 5n, transactionId: paid.body.id, currency: 'BRL' }
    const contrast = { expected: { balanceMinor: 79_899n }, found: { balanceMinor: 79_898n } }
    const reversed = { expected: contrast.found, found: contrast.expected }
    expect(corrupted.differences).toHaveLength(5)
    for (const expected of [
      { where: 'ledger', ...entry, ...contrast },
      { where: 'ledger', accountId: frank, problem: 'the account does not match its entries' },
      { where: 'ledger', currency: 'BRL', found: { balanceMinor: 1n } },
      { where: 'topic', ...entry, event: 'BalanceUpdated', ...reversed },
      // The currency is the ledger's: read model entries have none.
      { where: 'read model', ...entry, place: 'entries', ...reversed },
    ])
      expect(corrupted.differences).toContainEqual(expect.objectContaining(expected))
    expect(corrupted.differences.find(({ where }) => where === 'topic')?.place).toMatch(/balances\/\d\/\d+$/)
    await ledger.unsafe(`
      update entries set balance_minor = balance_minor + 1 where account_id = '${eva}' and version = 5;
      update accounts set balance_minor = balance_minor - 1 where id = '${frank}';
      alter table entries enable trigger user`)

    // The owner may raise a limit, but the published opening still has the old one, and so the read model.
    await ledger`update accounts set overdraft_limit_minor = 5000 where id = ${frank}`
    expect((await reconciled(stack)).differences).toMatchObject([
      {
        ...{ where: 'topic', event: 'AccountOpened', accountId: frank },
        ...{ expected: { overdraftLimitMinor: 5000n }, found: { overdraftLimitMinor: 0n } },
      },
      { where: 'read model', accountId: frank, expected: { overdraftLimitMinor: 5000n } },
    ])
    await ledger`update accounts set overdraft_limit_minor = 0 where id = ${frank}`

    await model`update balances set balance_minor = balance_minor + 1 where account_id = ${frank}`
    await model`
      update entries set balance_minor = balance_minor + 1 where account_id = ${frank} and version = 1`
    const { differences } = await reconciled(stack)
    expect(differences).toMatchObject([
      { where: 'read model', accountId: frank, version: 10n, place: 'balances' },
      { where: 'read model', accountId: frank, version: 1n, place: 'entries' },
    ])
    const limited = await runCommand(env, '--json', '--limit', '1')
    expect({ exitCode: limited.exitCode, ...JSON.parse(limited.out) }).toMatchObject({
      exitCode: 1,
      result: 'different',
      differences_total: 2,
      differences: [
        { where: 'read model', account_id: frank, version: 10, found: { balance: expect.any(Number) } },
      ],
    })
    await model`update balances set balance_minor = balance_minor - 1 where account_id = ${frank}`
    await model`
      update entries set balance_minor = balance_minor - 1 where account_id = ${frank} and version = 1`

    // Events lost before they reach the outbox, and one that the read side cannot store.
    await ledger.unsafe(`
      create function lose() returns trigger language plpgsql as 'begin return null; end';
      create trigger lose before insert on outbox for each row execute function lose()`)
    const lost = await wallet.post('/transactions', transfer)
    await ledger`drop function lose cascade`
    await model`alter table entries add constraint refuse_seven check (amount_minor <> 7) not valid`
    const refused = await wallet.post('/transactions', { ...transfer, amount: 0.07 })
    const publisher = kafka.publisher()
    const stray = {
      Name: 'TransactionCreated',
      Payload: { id: 'unknown', account_id_from: eva, account_id_to: frank, amount: 1 },
    }
    const topic = `${stack.config.wallet.kafka.topicPrefix}transactions`
    const [coordinates] = await publisher.send([
      { topic, key: eva, value: JSON.stringify(stray), headers: {} },
    ])
    await publisher.close()
    if (typeof coordinates !== 'object') throw new Error(`not sent: ${coordinates}`)

    const late = await reconciled(stack)
    const [lostId, refusedId] = [lost.body.id, refused.body.id]
    const unstored = {
      where: 'read model',
      transactionId: refusedId,
      problem: expect.stringContaining('missing'),
    }
    expect(late.differences).toHaveLength(3 + 2 + 1)
    for (const expected of [
      { where: 'topic', accountId: eva, transactionId: lostId, event: 'TransactionCreated' },
      { where: 'topic', accountId: eva, transactionId: lostId, event: 'BalanceUpdated' },
      { where: 'topic', accountId: frank, transactionId: lostId, event: 'BalanceUpdated' },
      {
        ...unstored,
        accountId: eva,
        deadLetter: expect.stringMatching(/^dead letter \d+ \(not_storable\) at .*balances\/\d\/\d+$/),
      },
      { ...unstored, accountId: frank },
      {
        where: 'topic',
        accountId: eva,
        transactionId: 'unknown',
        place: `${topic}/${coordinates.partition}/${coordinates.offset}`,
      },
    ])
      expect(late.differences).toContainEqual(expect.objectContaining(expected))
  } finally {
    await Promise.all([ledger.end(), model.end(), kafka.close()])
  }
})

test('unreadable records and batches are counted as skipped, and do not stop the comparison', async () => {
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
  const { differences, counts } = await reconciled(stack)
  expect(differences).toEqual([])
  expect(counts).toMatchObject({ skipped: 3, lag: 0 })
})

test('changes of accounts, holds and clients are compared as movements are', async () => {
  await using stack = await startStack()
  const { wallet } = stack
  const model = ownerOf(stack, 'balances')
  const [owner, other] = ['d6a3bc81-bbd0-11ee-8a24-0242ac120003', 'd6a3b836-bbd0-11ee-8a24-0242ac120003']
  const hold = (await wallet.post('/holds', { account_id_from: jane, account_id_to: bob, amount: 1 })).body.id
  const expires_at = new Date(Date.now() + 30 * 86_400_000).toISOString()
  const opened = (await wallet.post('/accounts', { client_id: other })).body.id
  await wallet.post(`/accounts/${opened}/deposits`, { amount: 5 })
  const captured = (await wallet.post('/holds', { account_id_from: opened, amount: 5 })).body.id
  const sent = [
    await wallet.patch(`/accounts/${opened}`, { overdraft_limit: 100 }),
    await wallet.patch(`/holds/${captured}`, { expires_at }),
    await wallet.patch(`/accounts/${opened}`, { overdraft_limit: 0 }),
    await wallet.post(`/holds/${captured}/capture`, {}),
    await wallet.post(`/accounts/${opened}/close`, {}),
    await wallet.patch(`/holds/${hold}`, { expires_at }),
    await wallet.patch(`/accounts/${jane}`, { overdraft_limit: 50 }),
    await wallet.post(`/accounts/${jane}/freeze`, {}),
    await wallet.post(`/holds/${hold}/release`, {}),
    await wallet.post(`/accounts/${bob}/freeze`, { scope: 'debits' }),
    await wallet.post(`/accounts/${bob}/deposits`, { amount: 1 }),
    await wallet.patch(`/clients/${owner}`, { name: 'Eva Maria' }),
    await wallet.patch(`/clients/${owner}`, { email: 'eva@example.org' }),
    await wallet.patch(`/clients/${other}`, { name: 'John John' }),
  ]
  expect(sent.map(({ status }) => status)).toEqual([
    ...[200, 200, 200, 201, 200],
    ...[200, 200, 200, 200, 200, 201, 200, 200, 200],
  ])
  try {
    const clean = await reconciled(stack)
    expect(clean.differences).toEqual([])
    expect(clean.counts).toMatchObject({ waiting: 0, behind: 0, unchecked: 0, skipped: 0, lag: 0 })

    await model`update balances set status = 'open' where account_id = ${jane}`
    await model`update entries set overdraft_limit_minor = 1 where account_id = ${jane} and status = 'frozen'`
    await model`update clients set name = 'Eva' where id = ${owner}`
    await model`update clients set version = 1 where id = ${other}`
    const { differences } = await reconciled(stack)
    const found = differences.map(({ where, place, accountId, found }) => [where, place, accountId, found])
    expect(found).toEqual(
      expect.arrayContaining([
        ['read model', 'balances', jane, { status: 'open' }],
        ['read model', 'entries', jane, { overdraftLimitMinor: 1n }],
        ['read model', 'clients', owner, { clientName: '(not shown)' }],
        ['read model', 'clients', other, { clientName: '(not shown)' }],
      ]),
    )
  } finally {
    await model.end()
  }
})
