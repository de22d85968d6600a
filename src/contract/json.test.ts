import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { InexactNumber, parseJson } from './json'

test.each([
  ['{"amount":999.5}', { amount: 999.5 }],
  ['[1e2,-0.25,1000000000000000000000]', [100, -0.25, 1e21]],
  ['"1234567890123456789"', '1234567890123456789'],
  ['{"id":"018d4be9-e038-7c95-a45a-035264d50b14","at":"2024-01-27T17:13:55.000Z"}', expect.anything()],
] as const)('%s is read as it stands', (text, value) => {
  expect(parseJson(text)).toEqual(value)
})

test.each(['1.00000000000000001', '{"amount":12345678901234567890}', '[[0.1234567890123456789]]'])(
  'a number that would be rounded is refused: %s',
  (text) => {
    expect(() => parseJson(text)).toThrow(InexactNumber)
  },
)

test('what is not JSON is a syntax error', () => {
  expect(() => parseJson('{"amount":')).toThrow(SyntaxError)
})

test('everything that JSON.stringify writes is read back', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value)
      expect(parseJson(text)).toEqual(JSON.parse(text))
    }),
    { numRuns: 500 },
  )
})
