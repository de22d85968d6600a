import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { balanceMinorMax, worldMinorMax } from '../wallet/domain/account'
import {
  exactMoney,
  moneyMinorMax,
  moneyNumber,
  parseComputedMoney,
  parseMoney,
  presentMoney,
  wideMinorMax,
} from './money'

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
  [-1e-30, 'BRL', 'must have at most 2 decimals in BRL'],
  [5e-324, 'JPY', 'must have at most 0 decimals in JPY'],
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

const shown = [
  // [minor units, currency, what JSON shows, the number of an event, the exact text beside it]
  [moneyMinorMax, 'BRL', 9_999_999_999_999.99, 9_999_999_999_999.99, undefined],
  [-moneyMinorMax, 'JPY', -999_999_999_999_999, -999_999_999_999_999, undefined],
  [moneyMinorMax + 1n, 'BRL', '10000000000000.00', 1e13, '10000000000000.00'],
  [-2n * moneyMinorMax, 'KWD', '-1999999999999.998', -1_999_999_999_999.998, '-1999999999999.998'],
  [123_456_789_012_345_678n, 'BRL', '1234567890123456.78', 1_234_567_890_123_456.8, '1234567890123456.78'],
  [-wideMinorMax, 'JPY', '-999999999999999999', -1e18, '-999999999999999999'],
  [10n ** 30n, 'BRL', '10000000000000000000000000000.00', 1e28, '10000000000000000000000000000.00'],
] as const

test.each(shown)('%p minor units of %s are shown as %p', (minor, currency, text, number, exact) => {
  expect(presentMoney(minor, currency)).toBe(text)
  expect(moneyNumber(minor, currency)).toBe(number)
  expect(exactMoney(minor, currency)).toBe(exact)
})

test('money of a currency that is not known here is shown as null', () => {
  expect(presentMoney(1n, 'XXX')).toBeNull()
  expect(presentMoney(10n ** 20n, 'XXX')).toBeNull()
})

test('wide amounts are read from text, where the caller has room for them, and are the same', () => {
  const minor = fc.bigInt({ min: -wideMinorMax, max: wideMinorMax })
  fc.assert(
    fc.property(minor, fc.constantFrom('BRL', 'JPY', 'KWD'), (minor, currency) => {
      const shown = JSON.parse(JSON.stringify(presentMoney(minor, currency)))
      expect(parseMoney(shown, currency, wideMinorMax)).toEqual({ ok: true, minor })
    }),
    { numRuns: 2000 },
  )
  expect(parseMoney('10000000000000000', 'BRL', wideMinorMax)).toMatchObject({
    detail: expect.stringMatching('18'),
  })
  expect(parseMoney('10000000000000', 'BRL')).toMatchObject({ detail: expect.stringMatching('15') })
})

/** The double that many representable ones away. */
function neighbour(value: number, steps: number): number {
  const bits = new BigInt64Array(new Float64Array([value]).buffer)
  bits[0] = (bits[0] ?? 0n) + BigInt(steps)
  return new Float64Array(bits.buffer)[0] ?? Number.NaN
}

const computed = [
  [0.1 + 0.2, 'BRL', 30n],
  [1000 - 0.3, 'BRL', 99_970n],
  [999.6999999999999, 'BRL', 99_970n],
  [-999.6999999999999, 'BRL', -99_970n],
  [0.3 - 0.2 - 0.1, 'BRL', 0n],
  [1.1 + 2.2, 'USD', 330n],
  [4.35 * 100, 'JPY', 435n],
  [0.1 + 0.7, 'KWD', 800n],
  [2_345_678.1 + 0.2, 'BRL', 234_567_830n],
  [800, 'BRL', 80_000n],
] as const

test.each(computed)(
  '%p, as a computer adds up, is a number of minor units of %s',
  (value, currency, minor) => {
    expect(parseComputedMoney(value, currency)).toEqual({ ok: true, minor })
  },
)

const notComputed = [
  [0.005, 'BRL'],
  [999.705, 'BRL'],
  [999.69999999, 'BRL'],
  [999.699999999999, 'BRL'],
  [0.07000000000001, 'BRL'],
  [1e-7, 'BRL'],
  [0.5, 'JPY'],
  [435.00000001, 'JPY'],
  [0.0005, 'BHD'],
  [9_999_999_999_999.982, 'BRL'],
  [5_000_000_000_000.001, 'BRL'],
  [1e15, 'BRL'],
  [2 ** 60, 'JPY'],
  [Number.NaN, 'BRL'],
  [Number.POSITIVE_INFINITY, 'BRL'],
  [1.1, 'XXX'],
] as const

test.each(notComputed)('%p is no number of minor units of %s, however it was computed', (value, currency) => {
  expect(parseComputedMoney(value, currency)).toEqual(parseMoney(value, currency))
  expect(parseComputedMoney(value, currency).ok).toBe(false)
})

const currencies = fc.constantFrom(['BRL', 2] as const, ['JPY', 0] as const, ['BHD', 3] as const)
/** As far as neighbours of a minor unit are far from those of the next, of any magnitude. */
const nearable = fc
  .tuple(fc.bigInt({ min: -(10n ** 14n), max: 10n ** 14n }), fc.integer({ min: 0, max: 14 }))
  .map(([minor, places]) => minor / 10n ** BigInt(places))

test('the double of every minor unit, and its neighbours, are that minor unit', () => {
  fc.assert(
    fc.property(nearable, currencies, fc.integer({ min: -8, max: 8 }), (minor, [currency], steps) => {
      if (minor === 0n) return
      const value = neighbour(moneyNumber(minor, currency), steps)
      expect(parseComputedMoney(value, currency)).toEqual({ ok: true, minor })
    }),
    { numRuns: 5000 },
  )
})

test('a neighbour of a power of two is within reach from either side', () => {
  for (let power = 0; power < 40; power++)
    for (let steps = -8; steps <= 8; steps++)
      expect(parseComputedMoney(neighbour(2 ** power, steps), 'BRL')).toEqual({
        ok: true,
        minor: 100n * 2n ** BigInt(power),
      })
})

test('between two minor units a number is neither', () => {
  fc.assert(
    fc.property(
      nearable,
      currencies,
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      (minor, [currency, decimals], part) => {
        const value = (Number(minor) + part) / 10 ** decimals
        if (parseMoney(value, currency).ok || Math.abs(Number(minor)) > 1e11) return
        expect(parseComputedMoney(value, currency).ok).toBe(false)
      },
    ),
    { numRuns: 5000 },
  )
})

test('what is exact is read alike', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -moneyMinorMax, max: moneyMinorMax }), currencies, (minor, [currency]) => {
      expect(parseComputedMoney(moneyNumber(minor, currency), currency)).toEqual({ ok: true, minor })
    }),
  )
})

test('the domain, which imports nothing, has the same limits', () => {
  expect([balanceMinorMax, worldMinorMax]).toEqual([moneyMinorMax, wideMinorMax])
})
