import { expect, test } from 'bun:test'
import type { Delivery, Facts, RecordOutcome, Reply } from './facts'
import { type Cause, type StationName, stationNames, whereIs } from './where-is'

const committedAt = '2026-11-28T00:00:00.000Z'
const publishedAt = '2026-11-28T00:00:00.005Z'
const place = { topic: 'balances', partition: 2, offset: 41 }
const silent: Reply<never> = { kind: 'silent' }
const refused = (status: number): Reply<never> => ({ kind: 'refused', status, detail: 'no' })
const answer = <T>(body: T): Reply<T> => ({ kind: 'answer', body })

const transaction = {
  ...{ id: 't', account_id_from: 'a', account_id_to: 'b' },
  ...{ version_account_id_from: 5, version_account_id_to: 9 },
}
const deliveryOf = (waitsFor?: Delivery['waits_for']): Delivery => ({
  committed_at: committedAt,
  status: waitsFor ? 'pending' : 'published',
  events: ['TransactionCreated', 'BalanceUpdated'].map((name) => ({
    ...{ name, leg: null, topic: 'balances', status: waitsFor ? 'pending' : 'published' },
    ...(waitsFor
      ? { partition: null, offset: null, published_at: null }
      : { partition: 2, offset: 41, published_at: publishedAt }),
  })),
  waits_for: waitsFor ?? null,
})
const outcome = (changes: Partial<RecordOutcome> = {}): Reply<RecordOutcome> =>
  answer({
    ...{ applied: true, next_offset: 42, end_offset: 42, dead_letter: null, paused: false },
    ...{ consumer: { status: 'pass', output: null } },
    ...changes,
  } satisfies RecordOutcome)
const ahead = { applied: false, next_offset: 41 }

type Answers = {
  wallet?: Reply<never>
  waitsFor?: NonNullable<Delivery['waits_for']>
  /** From an earlier answer. */
  known?: Delivery
  record?: Reply<RecordOutcome>
  versions?: Reply<{ version: number }>[]
}

function factsOf({ wallet, waitsFor, known, record, versions }: Answers): Facts {
  const said = wallet ?? answer(deliveryOf(waitsFor))
  const delivery = said.kind === 'answer' ? said.body : known
  const isKnown = delivery !== undefined
  return {
    transaction: isKnown ? answer(transaction) : (wallet ?? silent),
    delivery: said,
    known: { ...(isKnown && { transaction, delivery }) },
    records: record ? [{ place, reply: record }] : [],
    versions: isKnown
      ? (versions ?? [answer({ version: 5 }), answer({ version: 9 })]).map((reply, index) => ({
          account: 'ab'[index] ?? '',
          version: [5, 9][index] ?? 0,
          reply,
        }))
      : [],
  }
}

const letter = {
  id: '7',
  cause: 'balance_mismatch',
  detail: 'a reason',
  recorded_at: '2026-11-28T00:00:01.000Z',
}
const shownBefore = [answer({ version: 4 }), answer({ version: 8 })]
const consumer = (status: 'warn' | 'fail', output: string | null) => ({ consumer: { status, output } })

const waits: [string, Answers, StationName, Cause, string | null][] = [
  ['the wallet does not know it', { wallet: refused(404) }, 'committed', { kind: 'not_found' }, null],
  ['the wallet is silent', { wallet: silent }, 'committed', { kind: 'silent', service: 'wallet' }, null],
  [
    ...(['the wallet wants a key', { wallet: refused(401) }, 'committed'] as const),
    ...([{ kind: 'refused', service: 'wallet', status: 401, detail: 'no' }, null] as const),
  ],
  [
    ...(['it is its turn', { waitsFor: { cause: 'send', detail: null }, versions: shownBefore }] as const),
    ...(['published', { kind: 'sending', detail: null }, committedAt] as const),
  ],
  [
    ...(['sends fail', { waitsFor: { cause: 'send', detail: 'too large' }, versions: shownBefore }] as const),
    ...(['published', { kind: 'sending', detail: 'too large' }, committedAt] as const),
  ],
  [
    ...(['no relay leads', { waitsFor: { cause: 'relay', detail: null }, versions: shownBefore }] as const),
    ...(['published', { kind: 'relay' }, committedAt] as const),
  ],
  [
    ...([
      'the broker stopped',
      { waitsFor: { cause: 'broker', detail: null }, versions: shownBefore },
    ] as const),
    ...(['published', { kind: 'broker', service: 'wallet' }, committedAt] as const),
  ],
  [
    'the wallet stopped while it was pending',
    { wallet: silent, known: deliveryOf({ cause: 'send', detail: null }), versions: shownBefore },
    ...(['published', { kind: 'silent', service: 'wallet' }, committedAt] as const),
  ],
  [
    ...([
      'the projection is paused',
      { record: outcome({ ...ahead, paused: true }), versions: shownBefore },
    ] as const),
    ...(['applied', { kind: 'paused' }, publishedAt] as const),
  ],
  [
    'the projection is paused, and the wallet has stopped since',
    {
      wallet: silent,
      known: deliveryOf(),
      record: outcome({ ...ahead, paused: true }),
      versions: shownBefore,
    },
    ...(['applied', { kind: 'paused' }, publishedAt] as const),
  ],
  [
    'the consumer waits for the database',
    { record: outcome({ ...ahead, ...consumer('warn', 'waiting: lock') }), versions: shownBefore },
    ...(['applied', { kind: 'consumer', detail: 'waiting: lock' }, publishedAt] as const),
  ],
  [
    'the broker stopped before balances had read it',
    { record: outcome({ ...ahead, end_offset: null, ...consumer('warn', null) }), versions: shownBefore },
    ...(['applied', { kind: 'broker', service: 'balances' }, publishedAt] as const),
  ],
  [
    'records come first',
    { record: outcome({ ...ahead, next_offset: 30 }), versions: shownBefore },
    ...(['applied', { kind: 'behind', records: 11 }, publishedAt] as const),
  ],
  [
    'the partition was never read',
    { record: outcome({ ...ahead, next_offset: null }), versions: shownBefore },
    ...(['applied', { kind: 'behind', records: 0 }, publishedAt] as const),
  ],
  [
    'balances are silent',
    { record: silent, versions: [silent, silent] },
    ...(['applied', { kind: 'silent', service: 'balances' }, publishedAt] as const),
  ],
  [
    'balances want a key',
    { record: refused(403), versions: [refused(403), refused(403)] },
    'applied',
    { kind: 'refused', service: 'balances', status: 403, detail: 'no' },
    publishedAt,
  ],
  [
    'it is a dead letter',
    { record: outcome({ applied: false, dead_letter: letter }), versions: shownBefore },
    ...([
      'applied',
      { kind: 'dead_letter', id: '7', cause: 'balance_mismatch', detail: 'a reason', isShown: false },
    ] as const),
    letter.recorded_at,
  ],
  [
    'it is a dead letter, and a later event has brought its balances',
    { record: outcome({ applied: false, dead_letter: letter, paused: true }) },
    ...([
      'applied',
      { kind: 'dead_letter', id: '7', cause: 'balance_mismatch', detail: 'a reason', isShown: true },
    ] as const),
    letter.recorded_at,
  ],
  [
    'its place is no longer noted, and balances do not show it',
    { versions: shownBefore },
    ...(['applied', { kind: 'behind', records: 0 }, publishedAt] as const),
  ],
  [
    'it is applied, and balances do not answer any more',
    { record: outcome(), versions: [answer({ version: 5 }), silent] },
    ...(['visible', { kind: 'silent', service: 'balances' }, publishedAt] as const),
  ],
]

test.each(waits)('where %s, it waits there', (_, answers, at, cause, since) => {
  const found = whereIs(factsOf(answers))
  expect([found.waitsAt, found.cause, found.sinceMs, found.isDone]).toEqual([
    at,
    cause,
    since === null ? null : Date.parse(since),
    false,
  ])
  const states = found.stations.map(({ state }) => state)
  const index = stationNames.indexOf(at)
  expect(states.slice(0, index)).toEqual(Array(index).fill('passed'))
  expect(states[index]).toBe(
    cause.kind === 'dead_letter'
      ? 'failed'
      : cause.kind === 'silent' || cause.kind === 'refused' || cause.kind === 'not_found'
        ? 'unknown'
        : 'waits',
  )
})

test('once it is applied and shown it waits nowhere, with the times that are known', () => {
  const found = whereIs(factsOf({ record: outcome() }))
  expect(found).toMatchObject({ isDone: true, cause: undefined, waitsAt: undefined, place })
  expect(found.stations.map(({ state, atMs }) => [state, atMs])).toEqual([
    ['passed', Date.parse(committedAt)],
    ['passed', Date.parse(publishedAt)],
    ['passed', null],
    ['passed', null],
  ])
  // Its place is no longer noted.
  expect(whereIs(factsOf({})).isDone).toBe(true)
})

test('the live flow knows the times better', () => {
  const hops = { requested: 1, decided: 2, appended: 3, published: 4, received: 5, applied: 6, visible: 7 }
  const { stations } = whereIs(factsOf({ record: outcome() }), hops)
  expect(stations.map(({ atMs }) => atMs)).toEqual([3, 4, 6, 7])
})

test('a later event may show it before it is published', () => {
  const found = whereIs(factsOf({ waitsFor: { cause: 'send', detail: 'too large' } }))
  expect(found.waitsAt).toBe('published')
  expect(found.stations.map(({ state }) => state)).toEqual(['passed', 'waits', 'ahead', 'passed'])
})

test('without the wallet, a record that the live flow has seen says where it is', () => {
  const facts = factsOf({ wallet: silent, record: outcome(ahead) })
  expect(whereIs(facts)).toMatchObject({ waitsAt: 'applied', cause: { kind: 'behind', records: 0 }, place })
  const applied = whereIs({ ...facts, records: [{ place, reply: outcome() }] })
  expect(applied).toMatchObject({ waitsAt: 'visible', cause: { kind: 'silent', service: 'wallet' } })
})
