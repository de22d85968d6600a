/**
 * A database that answers but cannot write: callers get a 503 with `Retry-After`,
 * readiness says why, and it ends by itself.
 */
import { expect, test } from 'bun:test'
import { eventually } from '../../testing/eventually'
import { countPending } from '../../testing/outbox'
import { drawn } from '../../testing/random'
import type { Answer, Caller } from '../../testing/stack'
import { eva, expectSoundLedger, frank, startWallets, type Wallets } from '../../testing/wallets'

const pay = (caller: Caller, headers = {}) =>
  caller.post('/transactions', { account_id_from: eva, account_id_to: frank, amount: 1 }, headers)

type Trouble = { begin: (wallets: Wallets) => Promise<unknown>; end: (wallets: Wallets) => Promise<unknown> }

/** As if the server said so itself when it is asked to write a row. */
const whenWriting = (table: string, sqlState: string): Trouble => ({
  begin: ({ sql }) =>
    sql.unsafe(`
      create function fail() returns trigger language plpgsql as
        $$ begin raise exception 'trouble with %', tg_table_name using errcode = '${sqlState}'; end $$;
      create trigger fail before insert on ${table} for each statement execute function fail()`),
  end: ({ sql }) => sql.unsafe(`drop function fail cascade`),
})
const serviceOf = ({ config }: Wallets) => `"${decodeURIComponent(new URL(config.database.url).username)}"`
const alter =
  (command: (wallets: Wallets) => string): Trouble['begin'] =>
  async (wallets) => {
    await wallets.sql.unsafe(command(wallets))
    await wallets.cutConnections().catch(() => {})
  }
const troubles: [string, RegExp, Trouble][] = [
  ['a full disk', /trouble with entries/, whenWriting('entries', '53100')],
  ['a disk that is full for events', /trouble with outbox/, whenWriting('outbox', '53100')],
  ['no memory', /trouble with entries/, whenWriting('entries', '53200')],
  ['an I/O error', /trouble with accounts|trouble with transactions/, whenWriting('transactions', '58030')],
  ['damaged data', /trouble with entries/, whenWriting('entries', 'XX001')],
  ['an internal error of the server', /trouble with entries/, whenWriting('entries', 'XX000')],
  ['statements that are cancelled', /trouble with entries/, whenWriting('entries', '57014')],
  ['a server that takes no writes', /trouble with entries/, whenWriting('entries', '25006')],
  [
    'a right that was taken away',
    /permission denied/,
    {
      begin: (wallets) => wallets.sql.unsafe(`revoke insert on entries from ${serviceOf(wallets)}`),
      end: (wallets) => wallets.sql.unsafe(`grant insert on entries to ${serviceOf(wallets)}`),
    },
  ],
  [
    'a login that was taken away',
    /not permitted to log in/,
    {
      begin: alter((wallets) => `alter role ${serviceOf(wallets)} nologin`),
      end: (wallets) => wallets.sql.unsafe(`alter role ${serviceOf(wallets)} login`),
    },
  ],
]

function expectUnavailable({ status, headers, body }: Answer): void {
  expect([status, headers.get('retry-after'), headers.get('content-type')]).toEqual([
    503,
    '1',
    'application/problem+json',
  ])
  expect(body).toMatchObject({ type: '/problems/unavailable', code: 'UNAVAILABLE' })
  expect(JSON.stringify(body)).not.toMatch(/trouble|permission|insert into/)
}

test.concurrent.each(drawn(troubles))('%s', async (_, cause, { begin, end }) => {
  await using wallets = await startWallets()
  const { wallet } = wallets
  expect((await pay(wallet)).status).toBe(201)
  await begin(wallets)

  const keyed = { 'idempotency-key': 'once' }
  for (const answer of [await pay(wallet, keyed), await pay(wallet), await pay(wallet, keyed)])
    expectUnavailable(answer)
  expect(await wallets.made()).toBe(1)
  const notReady = await eventually(async () => {
    const answer = await wallet.get('/readyz')
    expect(answer.status).toBe(503)
    return answer
  })
  expect(JSON.stringify(notReady.body)).toMatch(cause)

  await end(wallets)
  // Without any payment meanwhile.
  await eventually(async () => expect((await wallet.get('/readyz')).status).toBe(200))
  expect(await wallets.made()).toBe(1)
  for (let nth = 0; nth < 2; nth++) expect((await pay(wallet, keyed)).status).toBe(201)
  expect(await wallets.made()).toBe(2)
  await expectSoundLedger(wallets)
})

test.concurrent('readiness fails for as long as writes fail, and no probe is kept', async () => {
  await using wallets = await startWallets()
  const trouble = whenWriting('entries', '53100')
  await trouble.begin(wallets)
  expectUnavailable(await pay(wallets.wallet))
  const untilMs = performance.now() + 4000
  await eventually(async () => {
    expect((await wallets.wallet.get('/readyz')).status).toBe(503)
    if (performance.now() < untilMs) throw new Error('not long enough')
  })
  expect(wallets.errors).toEqual([expect.stringMatching(/rejects writes: trouble with entries/)])
  await trouble.end(wallets)
  await eventually(async () => expect((await wallets.wallet.get('/readyz')).status).toBe(200))
  expect(await wallets.made()).toBe(0)
})

test.concurrent('clients and accounts are answered in the same way', async () => {
  await using wallets = await startWallets()
  const { wallet } = wallets
  const client = await wallet.post('/clients', { name: 'Ada', email: 'ada@example.org' })
  const trouble = whenWriting('outbox', '53100')
  await trouble.begin(wallets)
  expectUnavailable(await wallet.post('/clients', { name: 'Bo', email: 'bo@example.org' }))
  expectUnavailable(await wallet.post('/accounts', { client_id: client.body.id }))
  await trouble.end(wallets)
  expect((await wallet.post('/accounts', { client_id: client.body.id })).status).toBe(201)
})

test.concurrent('a relay that cannot note what it published waits, and publishes nothing again', async () => {
  await using wallets = await startWallets()
  const pending = () => countPending(wallets.sql)
  await eventually(async () => expect(await pending()).toBe(0))
  const trouble = whenWriting('append_deliveries', '53100')
  await trouble.begin(wallets)
  const { body } = await pay(wallets.wallet)
  await eventually(async () =>
    expect(JSON.stringify((await wallets.wallet.get('/readyz')).body)).toMatch(
      /trouble with append_deliveries/,
    ),
  )
  expect(await pending()).toBe(2)
  await trouble.end(wallets)
  await eventually(async () => expect(await pending()).toBe(0))
  expect((await wallets.wallet.get(`/transactions/${body.id}/delivery`)).body).toMatchObject({
    status: 'published',
  })
})
