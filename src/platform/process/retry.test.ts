import { expect, test } from 'bun:test'
import { backoffMs, keepTrying, pause } from './retry'

test('waits double up to the limit, half of each at random', () => {
  const backoff = { firstMs: 100, limitMs: 1000 }
  expect([1, 2, 3, 4, 5, 9].map((failures) => backoffMs(backoff, failures, () => 1))).toEqual([
    100, 200, 400, 800, 1000, 1000,
  ])
  expect(backoffMs(backoff, 3, () => 0)).toBe(200)
})

test('a pause ends at once when its signal is or was aborted', async () => {
  const stopping = new AbortController()
  const long = pause(1_000_000, stopping.signal)
  stopping.abort()
  await long
  await pause(1_000_000, stopping.signal)
})

test('retryable failures are retried, any other one is thrown', async () => {
  const reported: number[] = []
  const options = {
    backoff: { firstMs: 1, limitMs: 1 },
    signal: new AbortController().signal,
    isRetryable: (error: unknown) => (error as Error).message === 'passing',
    onFailure: (_: unknown, failures: number) => reported.push(failures),
  }
  let tries = 0
  const work = async () => {
    if (++tries < 4) throw new Error('passing')
    return 'done'
  }
  expect(await keepTrying(work, options)).toBe('done')
  expect(reported).toEqual([1, 2, 3])
  const broken = () => Promise.reject(new Error('lasting'))
  await expect(keepTrying(broken, options)).rejects.toThrow('lasting')
})
