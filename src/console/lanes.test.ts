import { expect, test } from 'bun:test'
import { type Hops, hopNames, type Lane, mergeLanes } from './lanes.ts'

const noHops = Object.fromEntries(hopNames.map((name) => [name, null])) as Hops
const lane = (key: string, hops: Partial<Hops>, fields: Partial<Lane> = {}): Lane => ({
  ...{ key, name: 'BalanceUpdated', transaction_id: key, hold_id: null, trace_id: null },
  ...{ amount: '1.00', currency: 'BRL', account_id_from: 'eva', account_id_to: 'frank' },
  ...{ topic: 'balances', partition: 0, offset: 1, outcome: 'applied', dead_letter: null },
  ...fields,
  hops: { ...noHops, ...hops },
})

const keysOf = (lanes: readonly Lane[]) => lanes.map(({ key }) => key).join(' ')

test('lanes are the newest first, each once, and not too many', () => {
  const first = mergeLanes([], [lane('a', { applied: 10 }), lane('b', { applied: 20 })], 3)
  expect(keysOf(first)).toBe('b a')
  const second = mergeLanes(first, [lane('d', { applied: 40 }), lane('c', { applied: 15 })], 3)
  expect(keysOf(second)).toBe('d b c')
  expect(second[1]).toBe(first[0] as Lane)
  expect(mergeLanes(second, [], 3)).toBe(second)
  const together = [lane('e', { decided: 1, applied: 50 }), lane('f', { decided: 2, applied: 50 })]
  expect(keysOf(mergeLanes([], together, 3))).toBe('f e')
})

test('of the same movement nothing that is known is lost, whichever came first', () => {
  const live = lane('a', { requested: 1, applied: 9.4, visible: 9.5 }, { trace_id: 't' })
  const ofTables = lane('a', { decided: 2, applied: 9 }, { topic: null, partition: null, offset: null })
  const expected = { ...live, hops: { ...live.hops, decided: 2 } }
  expect(mergeLanes([ofTables], [live], 9)).toEqual([expected])
  expect(mergeLanes([live], [ofTables], 9)).toEqual([expected])
})
