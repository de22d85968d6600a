import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { entryOf } from '../../testing/read-model'
import { streamEncoder as encoder } from '../http/streams'
import type { AccountEntry } from '../queries/entries-store'
import { eventsAfter } from './streams'

const accountEntry = (version: number): AccountEntry => ({
  ...entryOf(version),
  currency: 'BRL',
  openingLimitMinor: 0n,
})

const sent = (versions: number[], after: number, isGap: boolean) => {
  const { events, version } = eventsAfter(BigInt(after), versions.map(accountEntry), { isGap, encoder })
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
  'of versions %p after %p, with gaps: %p, a stream sends: %p',
  (versions, after, isGap, events, version) => {
    expect(sent([...versions], after, isGap)).toEqual([events, version])
  },
)

test('a gap names the missing versions', () => {
  const [gap] = eventsAfter(5n, [accountEntry(9)], { isGap: true, encoder }).events
  expect(gap).toEqual({ event: 'gap', id: '8', data: { account_id: 'eva', from_version: 6, to_version: 8 } })
})

test('for any order of arrival, each version is sent once, in order, as an entry or in a gap', () => {
  const arrivals = fc.shuffledSubarray(Array.from({ length: 12 }, (_, index) => index + 1))
  fc.assert(
    fc.property(arrivals, fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), (arriving, patience) => {
      const present: number[] = []
      const sentVersions: number[] = []
      let version = 0n
      for (const isGap of patience) {
        const arrival = arriving.shift()
        if (arrival) present.push(arrival)
        const following = present.filter((one) => one > version).sort((a, b) => a - b)
        const next = eventsAfter(version, following.map(accountEntry), { isGap, encoder })
        for (const { event, id, data } of next.events)
          if (event === 'balance') sentVersions.push(Number(id))
          else
            for (let one = Number(('from_version' in data) && data.from_version); one <= Number(id); one++)
              sentVersions.push(one)
        version = next.version
      }
      expect(sentVersions).toEqual(Array.from({ length: Number(version) }, (_, index) => index + 1))
    }),
  )
})
