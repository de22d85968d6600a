import { expect, test } from 'bun:test'
import { fill, formatDuration, formatMoney } from './i18n'

/** Spaces of currencies are no-break spaces. */
const spaced = (text: string) => text.replace(/\u00a0|\u202f/g, ' ')

test.each([
  ['800.5', 'BRL', 'BRL 800.50', 'BRL 800,50'],
  ['-3', 'BRL', '-BRL 3.00', '-BRL 3,00'],
  ['100', 'JPY', 'JPY 100', 'JPY 100'],
  ['9999999999999999.99', 'BRL', 'BRL 9,999,999,999,999,999.99', 'BRL 9.999.999.999.999.999,99'],
  ['0.001', 'BRL', 'BRL 0.001', 'BRL 0,001'],
  ['1234.50', null, '1,234.50', '1.234,50'],
  ['7', 'toolong', '7', '7'],
])('%s %s is written exactly', (amount, currency, english, portuguese) => {
  expect(spaced(formatMoney(amount, currency, 'en-GB'))).toBe(english)
  expect(spaced(formatMoney(amount, currency, 'pt-BR'))).toBe(portuguese)
})

test.each([
  [0, '0 ms'],
  [3.44, '3.4 ms'],
  [12.6, '13 ms'],
  [1234, '1.2 s'],
  [59_400, '59 s'],
  [61_000, '1 min 1 s'],
  [7_500_000, '2 h 5 min'],
  [200_000_000, '2 d 7 h'],
  [-5, '−5 ms'],
])('%d ms is %s', (ms, text) => {
  expect(formatDuration(ms, 'en-GB')).toBe(text)
})

test('a text is filled in; what has no value stays visible', () => {
  expect(fill('{count} of {total}', { count: 3 })).toBe('3 of {total}')
})
