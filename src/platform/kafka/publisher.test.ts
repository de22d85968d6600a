import { expect, test } from 'bun:test'
import { coordinatesOf } from './publisher'

const records = ['balances', 'transactions', 'balances', 'balances'].map((topic) => ({ topic }))
const partitions = [0, 0, 1, 0]
const answer = (topicName: string, partition: number, baseOffset: string) => ({
  topicName,
  partition,
  baseOffset,
})

test('offsets count on from the first one returned, in the order of the request', () => {
  const answers = [answer('balances', 1, '7'), answer('transactions', 0, '0'), answer('balances', 0, '40')]
  expect(coordinatesOf(records, partitions, answers)).toEqual([
    { partition: 0, offset: 40n },
    { partition: 0, offset: 0n },
    { partition: 1, offset: 7n },
    { partition: 0, offset: 41n },
  ])
})

test('a partition without an offset fails the send', () => {
  const answers = [answer('balances', 0, '40'), answer('transactions', 0, '0')]
  expect(() => coordinatesOf(records, partitions, answers)).toThrow(
    'broker returned no offsets for balances/1',
  )
  expect(() => coordinatesOf(records, partitions, [...answers, answer('balances', 1, '-1')])).toThrow(
    'balances/1',
  )
})
