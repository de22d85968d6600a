import { expect, test } from 'bun:test'
import {
  accountPath,
  addsUp,
  afterEntry,
  type Balance,
  type Entry,
  formulaOf,
  fromLocalField,
  type Gap,
  listPath,
  pointsOf,
  stepOf,
  sumOf,
  timeOfStep,
  toLocalField,
  withEntries,
} from './facts'

const entry = (version: number, amount: string | null = '1.00', balance = `${version}.00`): Entry => ({
  version,
  amount,
  balance,
  held: '0.00',
  available: balance,
  status: 'open',
  overdraft_limit: null,
  transaction_id: null,
  hold_id: null,
  counterparty_account_id: null,
  actor: null,
  effective_at: '2024-01-27T17:13:55.000Z',
  created_at: '2024-01-27T17:13:55.000Z',
})
const gap = (from: number, to: number, amount: string | null = null): Gap => ({
  gap: { from_version: from, to_version: to, amount },
})

test.each([
  [[], '0'],
  [['0.1', '0.2'], '0.3'],
  [['9007199254740993', '1'], '9007199254740994'],
  [['9999999999999999.99', '0.01'], '10000000000000000.00'],
  [['-0.05', '0.01'], '-0.04'],
  [['-10', '10.000'], '0.000'],
  [['1000', '-100', '-50.50'], '849.50'],
])('the sum of %j is %s', (amounts, sum) => {
  expect(sumOf(amounts)).toBe(sum)
})

test.each([
  ['0', [entry(2, '-100'), entry(1, '1000')], '900', true],
  ['0.00', [entry(2, '-100.01'), entry(1, '1000')], '899.99', true],
  ['-5', [entry(1, '2')], '-3', true],
  ['-5', [entry(1, '2')], '-3.01', false],
  ['0', [gap(2, 5, '-20'), entry(1, '20')], '0', true],
  ['0', [gap(2, 5), entry(1, '20')], '0', undefined],
  [null, [entry(1)], '0', undefined],
  ['0', [], '0', true],
  // Beyond what a float can tell apart.
  ['9007199254740992', [entry(1, '1')], '9007199254740993', true],
  ['9007199254740992', [entry(1, '1')], '9007199254740992', false],
] as const)('%j and %j come to %j: %p', (opening, lines, closing, expected) => {
  expect(addsUp(opening, lines, closing)).toBe(expected)
})

test('a sum is written oldest first, as the amounts came', () => {
  const lines = [entry(3, '-50.5'), gap(2, 2), entry(1, '1000')]
  expect(formulaOf('0', lines, '949.5')).toBe('0 + 1000 + ? − 50.5 = 949.5')
})

test('later entries come before the history; what is missing in between has to be read', () => {
  const known = [entry(2), entry(1)]
  const versions = (later: Entry[], max = 9) =>
    withEntries(known, later, max)?.map((line) => ('gap' in line ? 'gap' : line.version))
  expect(versions([])).toEqual([2, 1])
  expect(versions([entry(4), entry(3)])).toEqual([4, 3, 2, 1])
  expect(versions([entry(2), entry(1)])).toEqual([2, 1])
  expect(versions([entry(3)], 2)).toEqual([3, 2])
  expect(versions([entry(4)])).toBeUndefined()
  expect(withEntries([gap(1, 3)], [entry(4)], 9)).toEqual([entry(4), gap(1, 3)])
  expect(withEntries([], [entry(1)], 9)).toEqual([entry(1)])
})

test('only a later entry changes a balance', () => {
  const known: Balance = {
    ...entry(3),
    account_id: 'a',
    currency: 'BRL',
    client_id: 'c',
    owner_name: 'Eva',
    updated_at: '',
  }
  expect(afterEntry(known, entry(3, '1', '7'))).toBe(known)
  expect(afterEntry(known, { ...entry(4, '1', '7'), created_at: '2025-01-01T00:00:00.000Z' })).toMatchObject({
    ...{
      account_id: 'a',
      owner_name: 'Eva',
      version: 4,
      balance: '7',
      updated_at: '2025-01-01T00:00:00.000Z',
    },
    created_at: known.created_at,
  })
})

test('points ascend, without gaps', () => {
  const { at, values } = pointsOf([entry(3), gap(2, 2), entry(1), { ...entry(0), balance: null }])
  expect(values).toEqual([null, 1, 3])
  expect(at.every((one, index) => index === 0 || one > (at[index - 1] ?? 0))).toBe(true)
})

test.each([
  [{}, '/balances?limit=20'],
  [{ owner: 'Eva & Co' }, '/balances?limit=20&owner_name=Eva+%26+Co'],
  [{ currency: 'BRL', cursor: 'x=' }, '/balances?limit=20&currency=BRL&cursor=x%3D'],
])('%j lists %s', (query, path) => {
  expect(listPath(query)).toBe(path)
})

test('an id of an account may hold anything', () => {
  expect(accountPath('a/b?<x>', '/explain', { at: undefined, time: 'effective' })).toBe(
    '/balances/a%2Fb%3F%3Cx%3E/explain?time=effective',
  )
})

const [from, to] = [Date.parse('2020-01-01T00:00:00Z'), Date.parse('2020-01-01T00:16:40.500Z')]
test.each([
  [0, '2020-01-01T00:00:00.000Z'],
  [500, '2020-01-01T00:08:20.000Z'],
  [1000, '2020-01-01T00:16:40.500Z'],
])('step %d of the slider is %s, and back', (step, at) => {
  expect(timeOfStep(step, from, to)).toBe(at)
  expect(stepOf(Date.parse(at), from, to)).toBe(step)
})

test('a time outside of the slider is at its end', () => {
  expect([from - 1, to + 1, from].map((ms) => stepOf(ms, from, to))).toEqual([0, 1000, 0])
  expect(stepOf(from, from, from)).toBe(1000)
})

test('a date field has the local time, and gives back the same instant', () => {
  const at = '2024-01-31T23:59:59.000Z'
  expect(fromLocalField(toLocalField(at))).toBe(at)
  expect([toLocalField('yesterday'), fromLocalField('')]).toEqual(['', undefined])
})
