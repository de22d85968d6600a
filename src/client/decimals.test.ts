import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { quoteAmounts } from './decimals'
import { amountNames } from './operations'

test.each([
  ['{"amount":10.25}', '{"amount":"10.25"}'],
  ['{"amount": -0.10 , "held":0}', '{"amount": "-0.10" , "held":"0"}'],
  ['{"balance":123456789012345.6}', '{"balance":"123456789012345.6"}'],
  ['{"balance":9007199254740993}', '{"balance":"9007199254740993"}'],
  ['{"balance":"-10000000000000.00","held":null}', '{"balance":"-10000000000000.00","held":null}'],
  [
    '{"version":3,"data":[{"amount":1},{"amount":2}]}',
    '{"version":3,"data":[{"amount":"1"},{"amount":"2"}]}',
  ],
  ['{"reference":"\\"amount\\":1,","amount":1}', '{"reference":"\\"amount\\":1,","amount":"1"}'],
  [
    '{"metadata":{"amount":1,"of":[{"held":2}]},"amount":3}',
    '{"metadata":{"amount":1,"of":[{"held":2}]},"amount":"3"}',
  ],
  ['[{"metadata":null},{"amount":3}]', '[{"metadata":null},{"amount":"3"}]'],
  ['[{"metadata":{}},{"amount":3}]', '[{"metadata":{}},{"amount":"3"}]'],
  ['{"reference":"metadata","amount":3}', '{"reference":"metadata","amount":"3"}'],
])('%s becomes %s', (json, expected) => {
  expect(quoteAmounts(json)).toBe(expected)
})

/** As `quoteAmounts`, by the parsed value. */
function quoted(value: unknown, name = ''): unknown {
  if (typeof value === 'number') return amountNames.includes(name) ? String(value) : value
  if (typeof value !== 'object' || value === null || name === 'metadata') return value
  if (Array.isArray(value)) return value.map((one) => quoted(one))
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, quoted(inner, name)]))
}

test('of any JSON, the amounts become strings, and nothing else changes', () => {
  const names = fc.constantFrom('amount', 'balance', 'metadata', 'version', 'a"b\\', 'data')
  const leaf = fc.oneof(fc.integer(), fc.string({ unit: 'binary' }), fc.constant(null), fc.boolean(), names)
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      leaf,
      fc.array(tie('value')),
      fc.dictionary(names, tie('value'), { noNullPrototype: true }),
    ),
  }))
  const spaces = fc.constantFrom(undefined, 2)
  fc.assert(
    fc.property(value, spaces, (value, space) => {
      const parsed = JSON.parse(JSON.stringify(value, undefined, space))
      expect(JSON.parse(quoteAmounts(JSON.stringify(value, undefined, space)))).toEqual(quoted(parsed))
    }),
  )
})

test('a long text takes no stack', () => {
  const json = JSON.stringify({ reference: '\\'.repeat(100_000), amount: 1 })
  expect(quoteAmounts(json)).toEndWith('"amount":"1"}')
})
