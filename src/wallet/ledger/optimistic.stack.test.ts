/**
 * Guesses at what the ledger will hold: a wrong one is refused with all that was built on it, and
 * nothing is carried out twice.
 */
import { expect, test } from 'bun:test'
import { openDatabase } from '../../platform/postgres/database'
import {
  eva,
  expectSoundLedger,
  frank,
  log,
  startWallets,
  steadyClock,
  type Wallets,
} from '../../testing/wallets'
import type { Command } from '../domain/book'
import type { CommandRequest } from './decide-request'
import { execute } from './execute'
import type { Ledger } from './ledger'
import { tryOptimistic } from './optimistic'
import { createOptimisticState } from './optimistic-state'

function openLedger({ config }: Wallets): Ledger & AsyncDisposable {
  const database = openDatabase({ ...config.database, poolMax: 1, applicationName: 'test' })
  return {
    database,
    log,
    clock: steadyClock(),
    onAppended: () => {},
    optimistic: createOptimisticState(),
    [Symbol.asyncDispose]: () => database.close(),
  }
}

const asking = (...commands: Command[]): CommandRequest => ({
  commands,
  atomic: true,
  traceparent: null,
  idempotencyKey: null,
})

const payment = (amountMinor: bigint, from = eva, to = frank): Command => ({
  type: 'transfer',
  id: crypto.randomUUID(),
  kind: 'transfer',
  accountIdFrom: from,
  accountIdTo: to,
  amountMinor,
  currency: 'BRL',
  reference: null,
  metadata: null,
  effectiveAt: null,
})

const outcomeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.catch((error) => error.constraint_name)

test('attempts that build on one another are answered in turn, from the first one on', async () => {
  await using wallets = await startWallets()
  await using ledger = openLedger(wallets)
  const sent = [
    await tryOptimistic(ledger, [asking(payment(1n))]),
    await tryOptimistic(ledger, [asking(payment(2n))]),
  ]
  const answers = await Promise.all(sent.map((one) => one?.answers))
  expect(answers).toMatchObject([
    [{ kind: 'executed', results: [{ kind: 'transaction', legs: [{ versionFrom: 5n }] }] }],
    [{ kind: 'executed', results: [{ kind: 'transaction', legs: [{ versionFrom: 6n }] }] }],
  ])
  await expectSoundLedger(wallets)
})

test('when somebody else was first, the guess is refused, and so is all that was built on it', async () => {
  await using wallets = await startWallets()
  await using ledger = openLedger(wallets)
  await execute(ledger, [asking(payment(1n))])
  await wallets.wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount: 1 })

  const requests = [asking(payment(2n)), asking(payment(3n)), asking(payment(4n))]
  const sent = []
  for (const request of requests) sent.push(await tryOptimistic(ledger, [request]))
  expect(await Promise.all(sent.map((one) => outcomeOf(one?.answers ?? Promise.resolve())))).toEqual([
    'entries_pkey',
    'entries_follow_on',
    'entries_follow_on',
  ])
  expect(await wallets.made()).toBe(2)
  // Until a while has passed there is nothing to build on.
  expect(await tryOptimistic(ledger, requests)).toBeUndefined()
  expect(await execute(ledger, requests, true)).toMatchObject(requests.map(() => ({ repeated: false })))
  expect(await wallets.made()).toBe(5)
  await expectSoundLedger(wallets)
})

test('a refusal is never answered from a guess, and nothing is built on half of a request', async () => {
  await using wallets = await startWallets()
  await using ledger = openLedger(wallets)
  const requests = [
    { ...asking(payment(70_000n), payment(20_000n)), atomic: false },
    asking(payment(80_000n)),
    asking(payment(1n)),
  ]
  const sent = await tryOptimistic(ledger, requests)
  expect(await sent?.answers).toMatchObject([undefined, { kind: 'executed' }, undefined])
  expect(await execute(ledger, [requests[0] as CommandRequest], true)).toMatchObject([
    { results: [{ rejection: 'insufficient_funds' }, { rejection: 'insufficient_funds' }] },
  ])
  await expectSoundLedger(wallets)
})

test('a retry after a lost result is answered without a second execution or a replay mark', async () => {
  await using wallets = await startWallets()
  await using ledger = openLedger(wallets)
  const keyed = (request: CommandRequest, key: string): CommandRequest => ({
    ...request,
    idempotencyKey: { scope: 'test', key, fingerprint: 'f' },
  })
  const parties = { accountIdFrom: eva, accountIdTo: frank }
  const part = { amountMinor: null, reference: null, metadata: null, effectiveAt: null }
  const placing = (id: string): Command => ({
    type: 'hold',
    id,
    toWorld: false,
    currency: 'BRL',
    expiresAt: new Date(Date.now() + 60_000),
    ...parties,
    amountMinor: 100n,
    reference: null,
    metadata: null,
  })
  const paid = payment(100n)
  const [captured, released] = [crypto.randomUUID(), crypto.randomUUID()]
  const ended = { id: crypto.randomUUID(), ...parties }
  const rounds: CommandRequest[][] = [
    [
      asking(paid),
      asking(placing(captured)),
      asking(placing(released)),
      keyed(asking(payment(5n), payment(6n)), 'k'),
    ],
    [
      asking({
        type: 'reversal',
        reverses: paid.id,
        id: crypto.randomUUID(),
        accountIdFrom: frank,
        accountIdTo: eva,
        ...part,
      }),
      asking({ type: 'capture', holdId: captured, id: crypto.randomUUID(), ...parties, ...part }),
      keyed(asking({ type: 'release', holdId: released, reason: 'released', ...ended }), 'l'),
    ],
  ]
  for (const requests of rounds) {
    const first = await execute(ledger, requests)
    expect(first.every((one) => !(one instanceof Error) && one.kind === 'executed' && !one.repeated)).toBe(
      true,
    )
    const made = await wallets.made()
    expect(await execute(ledger, requests, true)).toEqual(first)
    expect(await wallets.made()).toBe(made)
  }
  await expectSoundLedger(wallets)
})
