import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createParser } from './streams'

const stream = [
  'retry: 2000\n\n: ping\n\n',
  'event: balance\nid: 1\ndata: {"a":1}\n\n',
  'event: gap\r\nid: 3\r\ndata:{}\r\n\r\n',
  'data: x\ndata: y\n\n',
].join('')
const events = [
  { event: 'balance', id: '1', data: '{"a":1}' },
  { event: 'gap', id: '3', data: '{}' },
  { event: 'message', id: '', data: 'x\ny' },
]

test('the events of a stream, in any pieces', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(stream.length)), (cuts) => {
      const eventsOf = createParser()
      const places = [0, ...cuts.sort((a, b) => a - b), stream.length]
      const pieces = places.map((place, index) => stream.slice(place, places[index + 1]))
      expect(pieces.flatMap(eventsOf)).toEqual(events)
    }),
  )
})

test('an event that is not complete is none yet', () => {
  expect(createParser()('event: balance\nid: 1\ndata: {}\n')).toEqual([])
})
