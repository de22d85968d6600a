import { expect, test } from 'bun:test'
import { recreationSign } from './recreation'

const last = { offset: 9n, checksum: 'a' }
const log = { first: 0n, offset: 10n }
const isBehind = 'log end is behind the applied offset'
const differs = 'last applied record differs'

test.each([
  ['the same record is still there', { next: 10n, last }, log, 'a', undefined],
  ['another record is in its place', { next: 10n, last }, log, 'b', differs],
  [
    'another record is in its place, and the log is longer',
    { next: 10n, last },
    { first: 0n, offset: 99n },
    'b',
    differs,
  ],
  [
    'the log ends before what was applied',
    { next: 10n, last },
    { first: 0n, offset: 4n },
    undefined,
    isBehind,
  ],
  ['the log is empty', { next: 10n, last }, { first: 0n, offset: 0n }, undefined, isBehind],
  ['retention has removed it', { next: 10n, last }, { first: 10n, offset: 12n }, undefined, undefined],
  [
    'retention has removed everything',
    { next: 10n, last },
    { first: 10n, offset: 10n },
    undefined,
    undefined,
  ],
  ['compaction has removed it', { next: 10n, last }, log, undefined, undefined],
  ['the last applied record was not stored', { next: 10n, last: undefined }, log, 'b', undefined],
  ['nothing was applied', { next: 0n, last: undefined }, { first: 0n, offset: 0n }, undefined, undefined],
  ['the log end is unknown', { next: 10n, last }, undefined, 'b', undefined],
] as const)('%s', (_, applied, extent, checksum, sign) => {
  expect(recreationSign(applied, extent, checksum)).toBe(sign)
})
