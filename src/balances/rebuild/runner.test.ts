import { expect, test } from 'bun:test'
import type { Bounds } from './rebuild-store'
import { explain, isCaughtUp, recreatedIn } from './runner'

const log = (first: number, end: number) => ({ first: String(first), end: String(end) })
const bounds: Bounds = { 'balances/0': log(0, 9), 'balances/1': log(0, 0) }

test.each([
  ['all applied', bounds, { 'balances/0': 9n }, true],
  ['one record is missing', bounds, { 'balances/0': 8n }, false],
  ['nothing applied', bounds, {}, false],
  ['the log has grown since', { ...bounds, 'balances/0': log(0, 20) }, { 'balances/0': 9n }, true],
  ['the rest was deleted', { ...bounds, 'balances/0': log(9, 9) }, { 'balances/0': 3n }, true],
  ['a part of the rest was deleted', { ...bounds, 'balances/0': log(8, 9) }, { 'balances/0': 3n }, false],
])('whether a rebuild has caught up: %s', (_, logs, applied, expected) => {
  expect(isCaughtUp(bounds, logs, new Map(Object.entries(applied)))).toBe(expected)
})

test('a live offset beyond the log end shows a recreated topic', () => {
  const live = new Map([
    ['balances/0', 10n],
    ['balances/1', 0n],
    ['elsewhere/0', 5n],
  ])
  expect(recreatedIn(bounds, live)).toEqual(['balances/0'])
})

test('a refusal names counts, examples, causes and the remedy', () => {
  const divergence = { accounts: 1, entries: 2, clients: 0, accountsAdded: 0, entriesAdded: 0 }
  const examples = ['account a', 'account b version 1', 'account b version 2', 'account b version 3']
  expect(
    explain(
      { ...divergence, examples },
      { bounds: { 'balances/0': log(4, 9) }, deadLetters: 3, recreated: ['accounts/0'] },
    ),
  ).toBe(
    [
      'Differs from the live tables: 1 account, 2 entries:',
      'account a; account b version 1; account b version 2.',
      'accounts/0 was recreated: its log end is behind the offset of the live tables.',
      'balances/0 begins at offset 4.',
      'Records past retention can be republished with `npm run republish`; rebuild afterwards.',
      '3 records are among the dead letters of the rebuild.',
      'Nothing was changed. To use the new tables as they are, swap with force.',
    ].join(' '),
  )
  expect(
    explain(
      { ...divergence, accounts: 0, entries: 0, clients: 1, examples: [] },
      { bounds: {}, deadLetters: 0, recreated: [] },
    ),
  ).toStartWith('Differs from the live tables: 1 client. Records')
})
