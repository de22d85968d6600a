import { expect, test } from 'bun:test'
import { isRecreated } from './recreation'

const last = { offset: 9n, checksum: 'a' }
const log = { first: 0n, offset: 10n }

test.each([
  ['the same record is still there', { next: 10n, last }, log, 'a', false],
  ['another record is in its place', { next: 10n, last }, log, 'b', true],
  [
    'another record is in its place, and the log is longer',
    { next: 10n, last },
    { first: 0n, offset: 99n },
    'b',
    true,
  ],
  ['the log ends before what was applied', { next: 10n, last }, { first: 0n, offset: 4n }, undefined, true],
  ['the log is empty', { next: 10n, last }, { first: 0n, offset: 0n }, undefined, true],
  ['retention has removed it', { next: 10n, last }, { first: 10n, offset: 12n }, undefined, false],
  ['retention has removed everything', { next: 10n, last }, { first: 10n, offset: 10n }, undefined, false],
  ['compaction has removed it', { next: 10n, last }, log, undefined, false],
  ['nothing is known of what was applied', { next: 10n, last: undefined }, log, 'b', false],
  ['nothing was applied', { next: 0n, last: undefined }, { first: 0n, offset: 0n }, undefined, false],
  ['the broker does not tell how far the log goes', { next: 10n, last }, undefined, 'b', false],
] as const)('%s', (_, position, extent, found, recreated) => {
  expect(isRecreated(position, extent, found)).toBe(recreated)
})
