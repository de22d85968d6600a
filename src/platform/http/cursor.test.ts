import { expect, test } from 'bun:test'
import { encodeCursor, type Filter, parseCursor } from './cursor'

const filter = { account_id: 'eva', kind: 'transfer' }

test('a cursor returns its position for its filter, with members in any order', () => {
  const cursor = encodeCursor('42', filter)
  expect(cursor).toMatch(/^[\w-]+$/)
  expect(parseCursor(cursor, { kind: 'transfer', account_id: 'eva', since: undefined })).toBe('42')
})

const others: Filter[] = [
  { account_id: 'frank', kind: 'transfer' },
  { account_id: 'eva' },
  { ...filter, since: 'x' },
]

test.each(others)('for %p it is refused', (other) => {
  expect(() => parseCursor(encodeCursor('42', filter), other)).toThrow('another filter')
})

test.each([
  '',
  'nonsense',
  '%%%',
  Buffer.from('{"a":1}').toString('base64url'),
  encodeCursor('1', filter).slice(0, -3),
])('%p is no cursor', (cursor) => {
  expect(() => parseCursor(cursor, filter)).toThrow('invalid cursor')
})
