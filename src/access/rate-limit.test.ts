import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { burstSeconds, networkOf, TokenBuckets } from './rate-limit'

const manual = (perSecond: number, bucketsMax?: number) => {
  const clock = { ms: 0 }
  const buckets = new TokenBuckets(perSecond, { now: () => clock.ms, ...(bucketsMax && { bucketsMax }) })
  return { clock, buckets, take: (name = 'a') => buckets.take(name) }
}

test('a bucket is full at first, says what is left, and fills again', () => {
  const { clock, take } = manual(2)
  expect(take()).toEqual({ isWithin: true, remaining: 3, moreInS: 1 })
  for (const remaining of [2, 1, 0]) expect(take()).toMatchObject({ isWithin: true, remaining })
  expect(take()).toEqual({ isWithin: false, remaining: 0, moreInS: 1 })
  clock.ms = 499
  expect(take().isWithin).toBe(false)
  clock.ms = 500
  expect(take()).toEqual({ isWithin: true, remaining: 0, moreInS: 1 })
  // Refused requests cost nothing, and a bucket never holds more than its burst.
  clock.ms = 1_000_000
  expect(take()).toEqual({ isWithin: true, remaining: 3, moreInS: 1 })
  expect(take('b')).toMatchObject({ isWithin: true, remaining: 3 })
})

const steps = fc.array(
  fc.tuple(fc.nat({ max: 3000 }), fc.constantFrom('a', 'b'), fc.integer({ min: 1, max: 9 })),
)

test('in no period more than the burst and the rate, and what fits into these is never refused', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), steps, (perSecond, each) => {
      const { clock, take } = manual(perSecond)
      const taken: Record<string, number[]> = { a: [], b: [] }
      for (const [pauseMs, name, count] of each) {
        clock.ms += pauseMs
        for (let nth = 0; nth < count; nth++) {
          const before = taken[name] as number[]
          const { isWithin, remaining } = take(name)
          // As a sliding count knows it: any period that ends now.
          const fits = (since: number, index: number) =>
            before.length - index + 1 <= burstSeconds * perSecond + ((clock.ms - since) * perSecond) / 1000
          expect(isWithin).toBe([...before, clock.ms].every(fits))
          expect(remaining).toBeLessThan(burstSeconds * perSecond)
          if (isWithin) before.push(clock.ms)
        }
      }
    }),
  )
})

test('memory is bounded: buckets that were used longest ago go', () => {
  const { buckets, take } = manual(1, 4)
  for (const name of ['a', 'b', 'a', 'c', 'a']) take(name)
  expect(buckets.size).toBe(2)
  expect(take('a').isWithin).toBe(false)
  expect(take('b')).toMatchObject({ isWithin: true, remaining: 1 })
  for (let index = 0; index < 1000; index++) take(String(index))
  expect(buckets.size).toBeLessThan(5)
})

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['::1', '0:0:0:0::/64'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::6', '2001:db8:1:2::/64'],
  ['2001:db8::5:6', '2001:db8:0:0::/64'],
  ['2001:0db8:0001::', '2001:db8:1:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
])('%s counts as %s', (address, network) => expect(networkOf(address)).toBe(network))
