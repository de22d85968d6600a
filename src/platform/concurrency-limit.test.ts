import { expect, test } from 'bun:test'
import { createConcurrencyLimit } from './concurrency-limit'

test('work is done a few at a time, in order, also after failures, and too much is rejected', async () => {
  const limit = createConcurrencyLimit({ concurrency: 2, waitingMax: 3 })
  const started: number[] = []
  const works = Array.from({ length: 6 }, () => Promise.withResolvers<number>())
  const results = works.map(({ promise }, index) =>
    limit(() => {
      started.push(index)
      return promise
    }).catch((error: Error) => error.message),
  )
  expect(await results[5]).toBe('3 requests are waiting already')
  expect(started).toEqual([0, 1])
  works[1]?.reject(new Error('failed'))
  expect(await results[1]).toBe('failed')
  works[0]?.resolve(0)
  for (const index of [2, 3, 4]) works[index]?.resolve(index)
  expect(await Promise.all(results)).toEqual([0, 'failed', 2, 3, 4, '3 requests are waiting already'])
  expect(started).toEqual([0, 1, 2, 3, 4])
  expect(await limit(async () => 7)).toBe(7)
})
