import { expect, test } from 'bun:test'
import { findPostgresBinaries, planSymlinks } from './binaries.ts'

test('a link is placed as the package declares and points to the file beside it', () => {
  expect(
    planSymlinks('/package', [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }]),
  ).toEqual([{ path: '/package/native/lib/libpq.so.5', target: 'libpq.so.5.18' }])
})

test('a link to another folder is refused: it would break when the package is moved', () => {
  expect(() => planSymlinks('/package', [{ source: '/etc/passwd', target: 'native/lib/libpq.so' }])).toThrow(
    'beside',
  )
})

test('an unsupported platform gets the list of supported ones and the alternative', () => {
  expect(() => findPostgresBinaries('win32', 'x64')).toThrow(/win32-x64.*linux-arm64.*docker compose/)
})
