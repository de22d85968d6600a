import { expect, test } from 'bun:test'
import { encodeCursor } from './cursor'
import { pageOf, pageSizeOf, parseNumbers, parsePosition, respondWithPage } from './list'

const filter = { color: 'red' }
const positionOf = String

test.each([
  [[], [], null],
  [[1, 2], [1, 2], null],
  [[1, 2, 3], [1, 2], encodeCursor('2', filter)],
])('of rows %j read for a page of two, %j are on it', (rows, page, next) => {
  expect(pageOf<number>(rows, 2, { filter, positionOf })).toEqual({ page, next })
})

test('a page links to the next one, with the query of its own', async () => {
  const request = new Request('http://host/things?color=red&cursor=a&limit=2')
  const next = respondWithPage(request, { data: [] }, 'b', { 'cache-control': 'no-store' })
  expect(next.headers.get('link')).toBe('</things?color=red&cursor=b&limit=2>; rel="next"')
  expect(next.headers.get('cache-control')).toBe('no-store')
  expect(await next.json()).toEqual({ data: [], next_cursor: 'b' })
  const last = respondWithPage(request, { data: [] }, null)
  expect([last.headers.get('link'), await last.json()]).toEqual([null, { data: [], next_cursor: null }])
})

test('a cursor is parsed, and a forged one is refused', () => {
  expect(parsePosition(undefined, filter)).toBeUndefined()
  expect(parsePosition(encodeCursor('a:1', filter), filter)).toBe('a:1')
  expect(parseNumbers(encodeCursor('7:-1', filter), filter, /^(\d+):(-?\d+)$/)).toEqual([7n, -1n])
  const invalid = 'invalid cursor; restart without one'
  expect(() => parsePosition('x', filter)).toThrow(invalid)
  expect(() => parsePosition(encodeCursor('a\0', filter), filter)).toThrow(invalid)
  expect(() => parseNumbers(encodeCursor('a', filter), filter, /^(\d+)$/)).toThrow(invalid)
  expect(() => parsePosition(encodeCursor('a', {}), filter)).toThrow('another filter')
})

test('a page has 50 rows by default', () => {
  expect([pageSizeOf(undefined), pageSizeOf('7')]).toEqual([50, 7])
})
