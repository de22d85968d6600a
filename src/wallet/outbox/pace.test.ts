import { expect, test } from 'bun:test'
import { waitAfterSend } from './pace'

test.each([
  ['a lone caller is not waited for', 2, 1, 0],
  ['nor are a few', 15, 1, 0],
  ['while many arrive, the next send is 20 ms after the last', 16, 1, 19],
  ['a slow broker has set the pace already', 200, 35, 0],
  ['a backlog is sent at full speed', 500, 1, 0],
  ['also when an append has made the send larger than full', 812, 1, 0],
])('%s', (_, events, elapsedMs, expected) => {
  expect(waitAfterSend(events, elapsedMs, { eventsMax: 500 })).toBe(expected)
})
