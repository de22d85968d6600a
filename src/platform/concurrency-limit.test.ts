import { expect, test } from 'bun:test'
import { createConcurrencyLimit } from './concurrency-limit'
import type { Fault } from './fault'

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

test('a task that waited for too long is not begun, and takes no slot', async () => {
  const limit = createConcurrencyLimit({ concurrency: 1, waitingMax: 3 })
  const first = Promise.withResolvers<number>()
  const results = [
    limit(() => first.promise),
    limit(async () => 2, { waitMs: 1 }).catch((fault: Fault) => fault.code),
    limit(async () => 3, { waitMs: 60_000 }),
  ]
  expect(await results[1]).toBe('deadline_exceeded')
  first.resolve(1)
  expect(await Promise.all(results)).toEqual([1, 'deadline_exceeded', 3])
  expect(await limit(async () => 4, { waitMs: 0 })).toBe(4)
})
