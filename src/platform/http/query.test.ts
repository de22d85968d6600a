import { expect, test } from 'bun:test'
import { queryFaults } from './query'

const allowed = new Set(['limit', 'cursor'])

test.each([
  ['', []],
  ['?', []],
  ['?limit=1&cursor=a%26limit=2', []],
  ['?limit=', []],
  ['?&limit=1&&', []],
  ['?limit=1&limit=1', [['#/limit', 'limit is given more than once']]],
  ['?limit=1&l%69mit=2', [['#/limit', 'limit is given more than once']]],
  ['?limit&limit', [['#/limit', 'limit is given more than once']]],
  ['?sort=a', [['#/sort', 'sort is not a parameter of this route, which has limit, cursor']]],
  ['?sort=a&sort=b', [['#/sort', 'sort is not a parameter of this route, which has limit, cursor']]],
  ['?Limit=1', [['#/Limit', 'Limit is not a parameter of this route, which has limit, cursor']]],
  ['?limit[]=1', [['#/limit[]', 'limit[] is not a parameter of this route, which has limit, cursor']]],
  ['?__proto__=1', [['#/__proto__', '__proto__ is not a parameter of this route, which has limit, cursor']]],
  ['?a/b~=1', [['#/a~1b~0', 'a/b~ is not a parameter of this route, which has limit, cursor']]],
  ['?=1', [['#/', 'an empty name is not a parameter of this route, which has limit, cursor']]],
] as const)('%s', (search, expected) => {
  expect(queryFaults(search, allowed).map(({ pointer, detail }) => [pointer, detail])).toEqual(
    expected.map((fault) => [...fault]),
  )
})

test.each(['?limit=%FF', '?%C3=1', '?cursor=100%', '?cursor=%E0%A4%A'])('%s cannot be read', (search) => {
  expect(() => queryFaults(search, allowed)).toThrow('the query is not percent-encoded UTF-8')
})

test('faults are few and short, for any query', () => {
  const search = `?${Array.from({ length: 5000 }, (_, index) => `${'n'.repeat(1000)}${index}=1`).join('&')}`
  expect(JSON.stringify(queryFaults(search, allowed)).length).toBeLessThan(5000)
  expect(queryFaults('?a=1', new Set())[0]?.detail).toBe('a is not a parameter of this route, which has none')
})
