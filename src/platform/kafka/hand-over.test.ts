import { expect, test } from 'bun:test'
import { HandOver } from './hand-over'

/** A handler whose calls end when the test says so. */
function playedHandler(isLarge = false) {
  const calls: { items: number[]; end: () => void; fail: (error: Error) => void }[] = []
  const handOver = new HandOver<number>(
    (items) => new Promise((end, fail) => void calls.push({ items, end, fail })),
    () => isLarge,
  )
  return { calls, handOver, handled: () => calls.map(({ items }) => items) }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const outcomeOf = (promise: Promise<void>) => {
  const seen: string[] = []
  promise.then(
    () => seen.push('done'),
    (error) => seen.push(error.message),
  )
  return seen
}

test('items of one turn, and those that come while it is busy, are handled together', async () => {
  const { calls, handOver, handled } = playedHandler()
  const first = [1, 2, 3].map((item) => handOver.add(item))
  await turn()
  const later = outcomeOf(handOver.add(4))
  await turn()
  void handOver.add(5)
  await turn()
  expect(handled()).toEqual([[1, 2, 3]])
  calls[0]?.end()
  await Promise.all(first)
  await turn()
  expect(handled()).toEqual([
    [1, 2, 3],
    [4, 5],
  ])
  expect(later).toEqual([])
  calls[1]?.end()
  await turn()
  expect(later).toEqual(['done'])
})

test('a failure is thrown to those that wait, and the next are handled', async () => {
  const { calls, handOver, handled } = playedHandler()
  const failing = outcomeOf(handOver.add(1))
  await turn()
  const next = outcomeOf(handOver.add(2))
  calls[0]?.fail(new Error('lost'))
  await turn()
  calls[1]?.end()
  await turn()
  expect([failing, next]).toEqual([['lost'], ['done']])
  expect(handled()).toEqual([[1], [2]])
})

test('large items are accepted once they are begun, and the next when they are done', async () => {
  const { calls, handOver, handled } = playedHandler(true)
  const first = outcomeOf(handOver.add(1))
  await turn()
  const second = outcomeOf(handOver.add(2))
  await turn()
  expect([first, second]).toEqual([['done'], []])
  calls[0]?.end()
  await turn()
  expect(second).toEqual(['done'])
  expect(handled()).toEqual([[1], [2]])
})

test('a failure of large items is thrown to the next, who are not handled', async () => {
  const { calls, handOver, handled } = playedHandler(true)
  await handOver.add(1)
  calls[0]?.fail(new Error('lost'))
  await handOver.idle()
  const next = outcomeOf(handOver.add(2))
  const last = outcomeOf(handOver.add(3))
  await turn()
  await handOver.add(4)
  expect([next, last]).toEqual([['lost'], ['lost']])
  expect(handled()).toEqual([[1], [4]])
})
