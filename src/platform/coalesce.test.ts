import { expect, test } from 'bun:test'
import { coalesce } from './coalesce'

/** A database whose queries the test resolves. */
function slowDatabase() {
  const queries: {
    ids: string[]
    answer: (rows?: Record<string, number>) => void
    fail: (error: Error) => void
  }[] = []
  const read = coalesce<number>((ids) => {
    const { promise, resolve, reject } = Promise.withResolvers<Map<string, number>>()
    queries.push({
      ids: [...ids],
      answer: (rows = {}) => resolve(new Map(Object.entries(rows))),
      fail: reject,
    })
    return promise
  })
  const sent = () => queries.map((query) => query.ids.join(' '))
  const query = (index: number) => {
    const found = queries[index]
    if (!found) throw new Error(`query ${index} was not sent`)
    return found
  }
  return { read, sent, query }
}

const tick = () => Promise.resolve()

test('a single read is sent at once', async () => {
  const { read, sent, query } = slowDatabase()
  const answer = read('a')
  await tick()
  expect(sent()).toEqual(['a'])
  query(0).answer({ a: 1 })
  expect(await answer).toBe(1)
})

test('reads of the same tick are one query, with each id once', async () => {
  const { read, sent, query } = slowDatabase()
  const answers = Promise.all([read('a'), read('b'), read('a')])
  await tick()
  expect(sent()).toEqual(['a b'])
  query(0).answer({ a: 1 })
  expect(await answers).toEqual([1, undefined, 1])
})

test('a read never joins a query that was sent before it', async () => {
  const { read, sent, query } = slowDatabase()
  const before = read('a')
  await tick()
  const after = read('a')
  await tick()
  expect(sent()).toEqual(['a', 'a'])
  query(1).answer({ a: 2 })
  query(0).answer({ a: 1 })
  expect([await before, await after]).toEqual([1, 2])
})

test('at most two queries are in flight; the others wait and are sent as one', async () => {
  const { read, sent, query } = slowDatabase()
  const answers: Promise<number | undefined>[] = []
  for (const id of ['a', 'b', 'c', 'd', 'e']) {
    answers.push(read(id))
    await tick()
  }
  expect(sent()).toEqual(['a', 'b'])
  query(0).answer({ a: 1 })
  expect(await answers[0]).toBe(1)
  await tick()
  expect(sent()).toEqual(['a', 'b', 'c d e'])
  query(1).answer({ b: 2 })
  query(2).answer({ c: 3, d: 4, e: 5 })
  expect(await Promise.all(answers)).toEqual([1, 2, 3, 4, 5])
})

test('a failure reaches the callers of that query only', async () => {
  const { read, query } = slowDatabase()
  const failing = read('a')
  await tick()
  query(0).fail(new Error('gone'))
  expect(failing).rejects.toThrow('gone')
  await failing.catch(() => {})
  const next = read('a')
  await tick()
  query(1).answer({ a: 1 })
  expect(await next).toBe(1)
})
