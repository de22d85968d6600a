import { expect, test } from 'bun:test'
import type { Sample } from '../live'
import { columnsOf, type Facts, findFaults, gaugeIn, lagColumnsOf, oldestIn } from './facts'

const sample: Sample = {
  at: '2026-01-01T00:00:00.000Z',
  seconds: 1,
  records: 3,
  events_per_second: 3,
  offered: 3,
  shown: 3,
  sampled: false,
  entries_elsewhere: 0,
  lag: [
    { topic: 'balances', partition: 0, records: 2, oldest_age_seconds: 0.2 },
    { topic: 'balances', partition: 1, records: 7, oldest_age_seconds: 31.4 },
    { topic: 'accounts', partition: 0, records: 0, oldest_age_seconds: null },
  ],
  latency_ms: { p50: 4.1, p99: 9.9 },
  dead_letters: 0,
  paused: false,
  streams: 1,
  rebuild: null,
}
const quiet: Sample = { ...sample, lag: [] }
const outbox = { oldestAgeSeconds: 0, pending: 0, hasLeader: true }
const fine: Facts = { wallet: { checks: {}, outbox }, checks: {}, sample: quiet, reconciled: undefined }

test.each<[string, Partial<Facts>, [string, string][]]>([
  ['nothing is wrong', {}, []],
  ['nothing is known yet', { wallet: undefined, checks: undefined, sample: undefined }, []],
  ['the wallet gives no answer', { wallet: null }, [['bad', 'walletAway']]],
  [
    'neither answers',
    { wallet: null, checks: null },
    [
      ['bad', 'balancesAway'],
      ['bad', 'walletAway'],
    ],
  ],
  [
    'the broker is away',
    { wallet: { checks: { outbox: { status: 'warn' } }, outbox: { ...outbox, oldestAgeSeconds: 6 } } },
    [
      ['bad', 'outboxOld'],
      ['warn', 'check'],
    ],
  ],
  [
    'no relay leads',
    { wallet: { checks: {}, outbox: { ...outbox, oldestAgeSeconds: 6, hasLeader: false } } },
    [['bad', 'noLeader']],
  ],
  [
    'a follower says nothing of the lead',
    { wallet: { checks: {}, outbox: { ...outbox, hasLeader: false } } },
    [],
  ],
  ['metrics are refused', { wallet: { checks: {}, outbox: undefined } }, []],
  ['records wait', { sample }, [['bad', 'lagOld']]],
  ['paused on purpose', { sample: { ...sample, paused: true } }, [['warn', 'paused']]],
  ['dead letters', { sample: { ...quiet, dead_letters: 2 } }, [['warn', 'deadLetters']]],
  ['both sides differ', { reconciled: { result: 'different', differences: 3 } }, [['bad', 'differences']]],
  ['both agree', { reconciled: { result: 'clean', differences: 0 } }, []],
  [
    'the worst comes first',
    { checks: { one: { status: 'warn' }, two: { status: 'fail' } } },
    [
      ['bad', 'check'],
      ['warn', 'check'],
    ],
  ],
])('%s', (_, facts, faults) => {
  const found = findFaults({ ...fine, ...facts })
  expect(found.map(({ tone, name }) => [tone, name])).toEqual(faults as never)
})

test('the oldest record is found by its age, not by the number of those that wait', () => {
  expect(oldestIn(sample)).toEqual({ partition: 'balances/1', records: 7, seconds: 31 })
  expect(oldestIn(quiet)).toBeUndefined()
})

test('gauges are read from the text of /metrics', () => {
  const text = '# TYPE saldo_a gauge\nsaldo_a 3\nsaldo_a_total 9\nsaldo_b{x="1"} 1\nsaldo_b{x="2"} 0.5\n'
  expect(gaugeIn(text, 'saldo_a')).toBe(3)
  expect(gaugeIn(text, 'saldo_b')).toBe(1.5)
  expect(gaugeIn(text, 'saldo_c')).toBeUndefined()
})

test('samples become columns, with gaps where nothing was applied', () => {
  expect(columnsOf([sample, { ...quiet, latency_ms: null }])).toEqual({
    at: [1767225600, 1767225600],
    events: [3, 3],
    p50: [4.1, null],
    p99: [9.9, null],
  })
})

test('partitions that had lag have a line each, the others none', () => {
  expect(lagColumnsOf([sample, quiet, { ...sample, lag: null }], 5)).toEqual([
    { name: 'balances/1', values: [7, null, null] },
    { name: 'balances/0', values: [2, null, null] },
  ])
  expect(lagColumnsOf([sample], 1)).toEqual([{ name: 'balances/1', values: [7] }])
  const nothing = [{ topic: 'balances', partition: 0, records: 0, oldest_age_seconds: null }]
  expect(
    lagColumnsOf(
      [
        { ...sample, lag: nothing },
        { ...sample, lag: null },
      ],
      5,
    ),
  ).toEqual([{ name: undefined, values: [0, null] }])
})
