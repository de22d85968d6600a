/** Which licences pass, and where they are read. */
import { expect, test } from 'bun:test'
import packageJson from '../../../package.json'
import { installedLicenses, refusedLicenses } from './licenses'

test.each([
  ['MIT', []],
  ['GPL-3.0-only', ['a@1.0.0: GPL-3.0-only']],
  // Listed as it is, or not at all.
  ['(MIT OR GPL-2.0)', ['a@1.0.0: (MIT OR GPL-2.0)']],
  ['UNLICENSED', ['a@1.0.0: UNLICENSED']],
])('licence %s', (license, refused) => {
  expect(refusedLicenses(new Map([['a@1.0.0', license]]))).toEqual(refused)
})

test('a package whose licence cannot be read is refused', () => {
  expect(refusedLicenses(new Map(), ['a@1.0.0'])).toEqual(['a@1.0.0: not installed'])
})

test('licences are read from the installed packages', () => {
  expect(installedLicenses().get(`postgres@${packageJson.dependencies.postgres}`)).toBe('Unlicense')
})
