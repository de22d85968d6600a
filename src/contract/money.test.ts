import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { moneyMinorMax, parseMoney, presentMoney } from './money'

const accepted = [
  // [value, currency, minor units]
  [100, 'BRL', 10_000n],
  [999.5, 'BRL', 99_950n],
  [0.1, 'BRL', 10n],
  [-1100, 'BRL', -110_000n],
  ['10.25', 'BRL', 1025n],
  ['1.100', 'BRL', 110n],
  ['1.00000000000000000000000000', 'BRL', 100n],
  ['-0.10', 'BRL', -10n],
  ['500.0', 'JPY', 500n],
  [500, 'JPY', 500n],
  [1.234, 'KWD', 1234n],
  [0, 'BRL', 0n],
  [-0, 'BRL', 0n],
  [9_999_999_999_999.99, 'BRL', moneyMinorMax],
] as const

test.each(accepted)('%p in %s is %p minor units', (value, currency, minor) => {
  expect(parseMoney(value, currency)).toEqual({ ok: true, minor })
})

const refused = [
  // [value, currency, what it says]
  [0.001, 'BRL', 'must have at most 2 decimals in BRL'],
  [0.1 + 0.2, 'BRL', 'must have at most 2 decimals in BRL'],
  [1e-7, 'BRL', 'must have at most 2 decimals in BRL'],
  [0.5, 'JPY', 'must have at most 0 decimals in JPY'],
  [10_000_000_000_000, 'BRL', 'must have at most 15 significant digits'],
  [1e20, 'JPY', 'must have at most 15 significant digits'],
  [1e300, 'BRL', 'must be a plain decimal such as 100 or 10.25'],
  [Number.NaN, 'BRL', 'must be a plain decimal such as 100 or 10.25'],
  [Number.POSITIVE_INFINITY, 'BRL', 'must be a plain decimal such as 100 or 10.25'],
  ['1.101', 'BRL', 'must have at most 2 decimals in BRL'],
  ['1.10000000000000000000000001', 'BRL', 'must have at most 2 decimals in BRL'],
  ['500.01', 'JPY', 'must have at most 0 decimals in JPY'],
  ...['1.10 ', '01.5', '.5', '5.', '-', '--1', '1.2.3', '0x1', '1_000', '١', '1\n', 'NaN', 'Infinity'].map(
    (text) => [text, 'BRL', 'must be a plain decimal such as 100 or 10.25'] as const,
  ),
  ['1e2', 'BRL', 'must be a plain decimal such as 100 or 10.25'],
  ['+5', 'BRL', 'must be a plain decimal such as 100 or 10.25'],
  ['1,50', 'BRL', 'must be a plain decimal such as 100 or 10.25'],
  [' 5', 'BRL', 'must be a plain decimal such as 100 or 10.25'],
  ['', 'BRL', 'must be a plain decimal such as 100 or 10.25'],
  [null, 'BRL', 'must be a number or a plain decimal string'],
  [5, 'XXX', '"XXX" is not an ISO 4217 currency'],
] as const

test.each(refused)('%p in %s is refused: %s', (value, currency, detail) => {
  expect(parseMoney(value, currency)).toEqual({ ok: false, detail })
})

test('what is presented reads back as the same amount, through JSON too', () => {
  const minor = fc.bigInt({ min: -moneyMinorMax, max: moneyMinorMax })
  fc.assert(
    fc.property(minor, fc.constantFrom('BRL', 'JPY', 'KWD'), (minor, currency) => {
      const shown = JSON.parse(JSON.stringify(presentMoney(minor, currency)))
      expect(parseMoney(shown, currency)).toEqual({ ok: true, minor })
    }),
    { numRuns: 2000 },
  )
})

test('a value past 15 digits is never shown, since it would be another one', () => {
  expect(() => presentMoney(moneyMinorMax + 1n, 'BRL')).toThrow('more than 15 digits')
})
