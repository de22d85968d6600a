import { expect, test } from 'bun:test'

// Plain JavaScript, because it runs before anything can read types.
const { explain, refuseUnsupported } = require('./launch.cjs')

test.each([
  ['linux', 'x64'],
  ['linux', 'arm64'],
  ['darwin', 'x64'],
  ['darwin', 'arm64'],
])('%s %s is supported', (platform, arch) => {
  expect(() => refuseUnsupported({ platform, arch })).not.toThrow()
})

test.each([
  ['win32', 'x64'],
  ['linux', 'riscv64'],
])('on %s %s the error lists the supported platforms', (platform, arch) => {
  expect(() => refuseUnsupported({ platform, arch })).toThrow(
    /Linux and macOS .* not on .* WSL 2; docker compose/,
  )
})

test.each([
  ['npm error code ENOTFOUND', 'registry was not reached'],
  ['error: ConnectionRefused downloading package manifest', 'registry was not reached'],
  ['error: SELF_SIGNED_CERT_IN_CHAIN downloading package manifest', 'NODE_EXTRA_CA_CERTS'],
  ['npm error code EACCES', 'belongs to another user'],
  ["EROFS: read-only file system, mkdir '.runtime'", 'cannot be written to'],
  ['npm error code ENOSPC', 'disk is full'],
  ['error: lockfile had changes, but lockfile is frozen', 'bun install'],
  ['npm error unforeseeable', 'Start again'],
])('%p gets a remedy', (output, remedy) => {
  const text = explain('Bun could not be fetched.', output)
  expect(text).toStartWith(`Bun could not be fetched.\n  | ${output}\n`)
  expect(text).toContain(remedy)
})

test('a recognised failure is shown in one line', () => {
  const output = [
    'npm error code ECONNREFUSED',
    ...Array.from({ length: 15 }, (_, at) => `npm error line ${at}`),
  ].join('\n')
  expect(explain('Bun could not be fetched.', output)).toBe(
    [
      'Bun could not be fetched.',
      '  | npm error code ECONNREFUSED',
      'The package registry was not reached: check the network, the proxy and the registry' +
        ' that npm is set to. Only the first start needs it.',
    ].join('\n'),
  )
})
