/** Previews: `dry_run` in the body of a command. */
import { expect, test } from 'bun:test'
import { openDatabase } from '../../platform/postgres/database'
import { routesOf } from '../../testing/documented'
import { eventually } from '../../testing/eventually'
import { holdLead } from '../../testing/outbox'
import { previewedRoutes, runPreviews } from '../../testing/previews'
import { seeded } from '../../testing/random'
import { reuseWallet } from '../../testing/reuse'
import type { Answer, Caller } from '../../testing/stack'
import { eva, expectSoundLedger, frank, startWallets, type Wallets, world } from '../../testing/wallets'
import type { TransferMoney } from '../domain/transfer'
import { createClock } from './clock'
import { createPreviews, previewSettings } from './preview'

const transfer = { account_id_from: eva, account_id_to: frank, amount: 1 }
const preview = (caller: Caller, path: string, body: object, headers?: Record<string, string>) =>
  caller.post(path, { ...body, dry_run: true }, headers)

/** All that a command could have written. */
const rowsOf = async ({ sql }: Wallets) => [
  ...(await sql`select * from accounts order by id`),
  ...(await sql`select * from clients order by id`),
  ...(await sql`select * from holds order by id`),
  ...(await sql`
    select (select count(*) from entries) as entries, (select count(*) from transactions) as transactions,
      (select count(*) from changes) as changes, (select count(*) from idempotency_keys) as keys,
      (select last_value from outbox_id_seq) as outbox`),
]

const withoutIds = ({ body }: Answer) => {
  const { id: _, dry_run: __, assumed: ___, ...rest } = body
  return { ...rest, created_at: '', effective_at: '', expires_at: '', ended_at: '', updated_at: '' }
}

test('each kind of command is previewed, and nothing is written', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const placed = await wallet.post('/holds', { account_id_from: eva, account_id_to: frank, amount: 5 })
  const paid = await wallet.post('/transactions', transfer)
  const other = await wallet.post('/holds', { account_id_from: eva, amount: 5 })
  const client = await wallet.post('/clients', { name: 'Ada', email: 'ada@example.com' })
  const [hold, id] = [`/holds/${placed.body.id}`, paid.body.id]
  const ada = `/clients/${client.body.id}`
  const { body: opened } = await wallet.post('/accounts', { client_id: client.body.id })
  const week = new Date(Date.now() + 8 * 86_400_000).toISOString()
  const commands: ['post' | 'patch', string, object][] = [
    ['post', '/transactions', transfer],
    ['post', '/transactions', { postings: [{ account_id_to: eva, amount: 2 }, transfer] }],
    ['post', `/accounts/${eva}/deposits`, { amount: 1 }],
    ['post', `/accounts/${eva}/withdrawals`, { amount: 1 }],
    ['post', `/transactions/${id}/reverse`, {}],
    ['post', '/transactions/batch', { transactions: [transfer, transfer] }],
    ['post', '/holds', { account_id_from: eva, amount: 3 }],
    ['patch', hold, { expires_at: week }],
    ['post', `${hold}/capture`, { amount: 2 }],
    ['post', `/holds/${other.body.id}/release`, {}],
    ['post', '/clients', { name: 'Ada', email: 'ada@example.com' }],
    ['patch', ada, { name: 'Ada L' }],
    ['post', '/accounts', { client_id: client.body.id, currency: 'EUR' }],
    ['patch', `/accounts/${opened.id}`, { overdraft_limit: 5 }],
    ['post', `/accounts/${opened.id}/freeze`, {}],
    ['post', `/accounts/${opened.id}/unfreeze`, {}],
    ['post', `/accounts/${opened.id}/close`, {}],
  ]
  for (const [method, path, body] of commands) {
    const before = await rowsOf(wallets)
    const previewed = await wallet[method](path, { ...body, dry_run: true })
    expect(await rowsOf(wallets)).toEqual(before)
    expect(previewed.body).toMatchObject({ dry_run: true, assumed: expect.any(Array) })
    for (const name of ['location', 'consistency-token']) expect(previewed.headers.has(name)).toBe(false)

    const real = await wallet[method](path, body)
    expect([path, previewed.status]).toEqual([path, real.status])
    expect([path, real.status < 300]).toEqual([path, true])
    if (path !== '/transactions/batch') expect(withoutIds(previewed)).toEqual(withoutIds(real))
    if (real.status === 201) expect([path, previewed.body.id ?? null]).toEqual([path, null])
    else expect(previewed.body.id).toEqual(real.body.id)
  }
})

test('the answer has the versions that would follow, and those on which that was decided', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const { body } = await preview(wallet, '/transactions', transfer)
  expect(body).toMatchObject({ id: null, version_account_id_from: 5, version_account_id_to: 5 })
  expect(body.assumed).toEqual([eva, frank].map((account_id) => ({ account_id, version: 4 })))
  const deposit = await preview(wallet, `/accounts/${eva}/deposits`, { amount: 1 })
  expect(deposit.body.assumed).toContainEqual({ account_id: world, version: expect.any(Number) })

  // A change of a hold is one of its account; a client has versions of its own.
  const held = await wallet.post('/holds', { account_id_from: eva, amount: 1 })
  const release = await preview(wallet, `/holds/${held.body.id}/release`, {})
  expect(release.body.assumed).toContainEqual({ account_id: eva, version: 5 })
  const client = (await wallet.post('/clients', { name: 'Ada', email: 'ada@example.com' })).body.id
  const path = `/clients/${client}`
  await wallet.patch(path, { name: 'Ada L' })
  const renamed = await wallet.patch(path, { name: 'Ada Lovelace', dry_run: true })
  expect(renamed.body).toMatchObject({ version: 3, assumed: [{ client_id: client, version: 2 }] })
})

test('refusals are marked, with the versions where the ledger refused', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const poor = await preview(wallet, '/transactions', { ...transfer, amount: 100_000 })
  expect(poor).toMatchObject({ status: 422, body: { code: 'INSUFFICIENT_FUNDS', dry_run: true } })
  expect(poor.body.assumed).toHaveLength(2)
  const unknown = await preview(wallet, `/holds/${eva}/capture`, {})
  expect(unknown).toMatchObject({ status: 404, body: { code: 'HOLD_NOT_FOUND', dry_run: true } })
  const future = await preview(wallet, '/transactions', { ...transfer, effective_at: '2999-01-01T00:00:00Z' })
  expect(future).toMatchObject({ status: 422, body: { code: 'VALIDATION', dry_run: true } })
  // No account has the currency, so there is no `world` of it.
  const foreign = await preview(wallet, `/accounts/${eva}/deposits`, { amount: 1, currency: 'CHF' })
  expect(foreign).toMatchObject({ status: 422, body: { code: 'CURRENCY_NOT_EQUAL', dry_run: true } })
  expect(foreign.body.assumed).toEqual([{ account_id: eva, version: 4 }])
  const real = await wallet.post('/transactions', { ...transfer, amount: 100_000 })
  expect(real.body).not.toContainAnyKeys(['dry_run', 'assumed'])
  const batch = { transactions: [transfer, { ...transfer, amount: 100_000 }] }
  const refused = await preview(wallet, '/transactions/batch', batch)
  expect(refused).toMatchObject({ status: 422, body: { code: 'BATCH_REFUSED', dry_run: true } })
  expect(refused.body.errors).toMatchObject([{ pointer: '#/transactions/1', code: 'INSUFFICIENT_FUNDS' }])
})

test('each command of a previewed batch sees the one before it', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const all = { ...transfer, amount: 800 }
  const back = { account_id_from: frank, account_id_to: eva, amount: 2000 }
  const batch = { mode: 'best_effort', transactions: [all, all, back] }
  const { status, body } = await preview(wallet, '/transactions/batch', batch)
  expect(status).toBe(200)
  expect(body).toMatchObject({
    refused: 1,
    results: [
      { status: 201, transaction: { id: null, version_account_id_from: 5 } },
      { status: 422, problem: { code: 'INSUFFICIENT_FUNDS' } },
      { status: 201, transaction: { id: null, version_account_id_from: 6, version_account_id_to: 6 } },
    ],
  })
})

test('an idempotency key of a preview is neither used nor looked up', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const headers = { 'idempotency-key': '"k1"' }
  for (let i = 0; i < 2; i++)
    expect(await preview(wallet, '/transactions', transfer, headers)).toMatchObject({ status: 201 })
  const first = await wallet.post('/transactions', transfer, headers)
  expect(first.headers.has('idempotency-replayed')).toBe(false)
  // Of another request, too: a preview has no key.
  const after = await preview(wallet, '/transactions', { ...transfer, amount: 2 }, headers)
  expect(after).toMatchObject({ status: 201, body: { version_account_id_from: 6 } })
  expect(after.headers.has('idempotency-replayed')).toBe(false)
  const malformed = await preview(wallet, '/transactions', transfer, { 'idempotency-key': '""' })
  expect(malformed.status).toBe(400)
  // Said or not, it is the same request under the same key.
  const again = await wallet.post('/transactions', { ...transfer, dry_run: false }, headers)
  expect(again.headers.get('idempotency-replayed')).toBe('true')
})

test('a hold that is past its expiry is refused as in reality, before and after the sweep', async () => {
  // The test holds the lock, so that no wallet sweeps.
  await using wallets = await startWallets(1, holdLead)
  const { wallet, sql } = wallets
  const expires_at = new Date(Date.now() + 400).toISOString()
  const { body } = await wallet.post('/holds', { account_id_from: eva, amount: 5, expires_at })
  const capture = `/holds/${body.id}/capture`
  await eventually(async () => {
    const [row] = await sql`select now() > ${expires_at} as late`
    expect(row?.late).toBe(true)
  })
  expect(await preview(wallet, capture, {})).toMatchObject({ status: 409, body: { code: 'HOLD_EXPIRED' } })
  expect(await preview(wallet, `/holds/${body.id}/release`, {})).toMatchObject({
    status: 200,
    body: { id: body.id, status: 'released', captured: 0, version_account_id_from: 6 },
  })
  expect(await wallet.post(capture, {})).toMatchObject({ status: 409, body: { code: 'HOLD_EXPIRED' } })
})

test('payments do not wait for previews; previews wait for each other, as long as they want to', async () => {
  await using wallets = await reuseWallet()
  const { wallet, sql } = wallets
  const account = { client_id: 'd6a3bc81-bbd0-11ee-8a24-0242ac120003' }
  const [locked, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const locking = sql.begin(async (tx) => {
    // Read by the preview of an account, and by nothing that follows.
    await tx`lock table clients in access exclusive mode`
    locked.resolve()
    await release.promise
  })
  await locked.promise
  const stuck = preview(wallet, '/accounts', account)
  const waiting = Array.from({ length: 20 }, () => preview(wallet, '/transactions', transfer))
  const impatient = await preview(wallet, '/transactions', transfer, { prefer: 'wait=0' })
  expect(impatient).toMatchObject({ status: 503, body: { code: 'OVERLOADED', dry_run: true } })
  expect((await wallet.post('/transactions', transfer)).status).toBe(201)
  expect((await wallet.get(`/accounts/${eva}`)).body).toMatchObject({ version: 5 })
  release.resolve()
  await locking
  expect((await stuck).status).toBe(201)
  // Decided when it was their turn, on what was there by then.
  for (const one of waiting) expect((await one).body).toMatchObject({ version_account_id_from: 6 })
})

test('previews go on after their connection was lost', async () => {
  await using wallets = await startWallets()
  const { wallet, cutConnections } = wallets
  expect((await preview(wallet, '/transactions', transfer)).status).toBe(201)
  await cutConnections()
  await eventually(async () => expect((await preview(wallet, '/transactions', transfer)).status).toBe(201))
})

test('the connection of previews cannot write', async () => {
  await using wallets = await reuseWallet()
  const database = openDatabase({ ...wallets.config.database, ...previewSettings })
  expect(await database.sql`delete from idempotency_keys`.catch(({ code }) => code)).toBe('25006')
  await database.close()
})

test('times are compared with the time of the database, however late the wallet is', async () => {
  await using wallets = await reuseWallet()
  const database = openDatabase({ ...wallets.config.database, ...previewSettings })
  const clock = createClock()
  const late = { databaseMs: Date.now() - 60_000, changedMs: null }
  clock.observe({ ...late, sentMs: performance.now(), receivedMs: performance.now() })
  const command: TransferMoney = {
    ...{ type: 'transfer', id: crypto.randomUUID(), kind: 'transfer', currency: 'BRL', amountMinor: 1n },
    ...{ accountIdFrom: eva, accountIdTo: frank, reference: null, metadata: null },
    effectiveAt: new Date(Date.now() - 1000),
  }
  const previews = createPreviews({ database, clock })
  const { result } = await previews({ commands: [command], atomic: true })
  expect(result).toMatchObject({ kind: 'executed', results: [{ kind: 'transaction' }] })
  await database.close()
})

test('every route that has a preview is among the random commands', () => {
  // Without a body there is no member `dry_run`.
  const writing = routesOf.wallet.filter(({ body }) => body).map(({ id }) => id)
  expect(previewedRoutes.toSorted()).toEqual(writing.toSorted())
})

test(
  'a preview is what follows, for any command: status, code, members, balances and versions',
  seeded(async (random) => {
    await using wallets = await reuseWallet()
    const { wallet, sql } = wallets
    const lanes = ['BRL', 'USD'].map((currency) =>
      runPreviews({ wallet, sql, random, currency, commands: 150 }),
    )
    const reports = await Promise.all(lanes)
    expect(reports.flatMap(({ faults }) => faults)).toEqual([])
    // Not all are refused.
    const statuses = reports.flatMap(({ counts }) =>
      [...counts.keys()].map((name) => /: (\d+)/.exec(name)?.[1]),
    )
    expect(statuses).toEqual(expect.arrayContaining(['200', '201', '404', '409', '422']))
    await expectSoundLedger(wallets)
  }),
)
