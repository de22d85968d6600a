import { expect, test } from 'bun:test'
import { hashOf, parseHash } from '../router.ts'
import { countNew, type Filter, filterOf, passing, perSecond, queryOf } from './following.ts'

const lanes = (...given: string[]) =>
  given.map((text) => {
    const [key, outcome = 'applied'] = text.split(' ')
    return { key, outcome } as never
  })

test.each([
  [{ account: undefined, onlyFailures: false }, '#/flow'],
  [{ account: 'a b&c', onlyFailures: false }, '#/flow?account=a+b%26c'],
  [{ account: 'eva', onlyFailures: true }, '#/flow?account=eva&only=failures'],
] as [Filter, string][])('the filter %p is the address %p', (filter, hash) => {
  expect(hashOf(['flow'], queryOf(filter))).toBe(hash)
  expect(filterOf(parseHash(hash).query)).toEqual(filter)
})

test('only dead letters are failures', () => {
  const given = lanes('a', 'b repeated', 'c dead_letter')
  const shown = (onlyFailures: boolean) =>
    passing(given, { account: undefined, onlyFailures }).map(({ key }) => key)
  expect([shown(false), shown(true)]).toEqual([['a', 'b', 'c'], ['c']])
})

test('new lanes are those that are not among the held ones', () => {
  expect(countNew(lanes('d', 'c', 'b'), lanes('b', 'a'))).toBe(2)
  expect(countNew(lanes(), lanes('a'))).toBe(0)
})

test('counts of a sample are for each second', () => {
  expect([perSecond(1043, 1), perSecond(30, 1.5), perSecond(5, 0)]).toEqual([1043, 20, 0])
})
