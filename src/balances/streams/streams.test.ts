import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { entryOf } from '../../testing/read-model'
import type { AccountEntry } from '../queries/entries-store'
import { tell } from './streams'

const accountEntry = (version: number): AccountEntry => ({ ...entryOf(version), currency: 'BRL' })

const told = (versions: number[], after: number, isGap: boolean) => {
  const { events, version } = tell(versions.map(accountEntry), BigInt(after), isGap)
  return [events.map(({ event, id }) => `${event} ${id}`).join(', '), Number(version)]
}

test.each([
  [[6, 7], 5, false, 'balance 6, balance 7', 7],
  [[7, 8], 5, false, '', 5],
  [[7, 8], 5, true, 'gap 6, balance 7, balance 8', 8],
  [[6, 8], 5, true, 'balance 6', 6],
  [[9], 0, true, 'gap 8, balance 9', 9],
  [[7, 9], 5, true, 'gap 6, balance 7', 7],
  [[], 5, true, '', 5],
] as const)(
  'of %p after %p, missing for good: %p, is told: %p',
  (versions, after, isGap, events, version) => {
    expect(told([...versions], after, isGap)).toEqual([events, version])
  },
)

test('a gap says which versions are missing', () => {
  const [gap] = tell([accountEntry(9)], 5n, true).events
  expect(gap).toEqual({ event: 'gap', id: '8', data: { account_id: 'eva', from_version: 6, to_version: 8 } })
})

test('in whatever order entries arrive, each version is told once, in order, as an entry or in a gap', () => {
  const arrivals = fc.shuffledSubarray(Array.from({ length: 12 }, (_, index) => index + 1))
  fc.assert(
    fc.property(arrivals, fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), (arriving, patience) => {
      const present: number[] = []
      const heard: number[] = []
      let version = 0n
      for (const isGap of patience) {
        const next = arriving.shift()
        if (next) present.push(next)
        const following = present.filter((one) => one > version).sort((a, b) => a - b)
        const look = tell(following.map(accountEntry), version, isGap)
        for (const { event, id, data } of look.events)
          if (event === 'balance') heard.push(Number(id))
          else
            for (let one = Number(('from_version' in data) && data.from_version); one <= Number(id); one++)
              heard.push(one)
        version = look.version
      }
      expect(heard).toEqual(Array.from({ length: Number(version) }, (_, index) => index + 1))
    }),
  )
})
