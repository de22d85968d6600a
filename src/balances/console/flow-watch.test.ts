import { expect, test } from 'bun:test'
import { FlowWatch } from './flow-watch'

const applies = (...xids: number[]) => xids.map((xid) => ({ xid: String(xid), size: 2 }))
const row = (id: number) => ({
  id: BigInt(id),
  ...{ topic: 'balances', partition: 0, offset: BigInt(100 + id) },
  ...{ cause: 'not_json', detail: 'not JSON', recordedAt: '2024-01-27T17:13:55.000Z' },
})

test('applies of others are those that this process does not know of a look later', () => {
  const watch = new FlowWatch()
  // Those before the first look are in the opening of the stream.
  expect(watch.othersAmong(applies(5))).toEqual([])
  expect(watch.position).toBe('5')
  watch.ownsApply('7')
  expect(watch.othersAmong(applies(9, 8, 7))).toEqual([])
  expect(watch.position).toBe('9')
  // It was found before its own process knew of the commit.
  watch.ownsApply('8')
  expect(watch.othersAmong([])).toEqual(applies(9))
  expect(watch.position).toBe('9')
  expect([watch.take().entriesElsewhere, watch.take().entriesElsewhere]).toEqual([2, 0])
  expect(watch.othersAmong([])).toEqual([])
})

test('without any apply it begins with the first one', () => {
  const watch = new FlowWatch()
  expect([watch.othersAmong([]), watch.position]).toEqual([[], '0'])
  expect(watch.othersAmong(applies(3))).toEqual([])
  expect(watch.othersAmong([])).toEqual(applies(3))
})

test('dead letters of others are new ones that this process has not stored', () => {
  const watch = new FlowWatch()
  expect(watch.othersAmongDeadLetters([row(4)])).toEqual([])
  const lane = { key: 'balances 0 105', deadLetter: { id: null, cause: 'not_json', detail: '' } } as never
  expect(watch.othersAmongDeadLetters([row(6), row(5), row(4)])).toEqual([])
  expect(watch.withIds([lane], [row(6), row(5)])).toMatchObject([{ deadLetter: { id: 5n } }])
  expect(watch.othersAmongDeadLetters([row(6), row(5), row(4)])).toEqual([row(6)])
  expect(watch.othersAmongDeadLetters([row(6), row(5), row(4)])).toEqual([])
  expect(watch.withIds([lane], [])).toMatchObject([{ deadLetter: { id: null } }])
})
