import { expect, test } from 'bun:test'
import { rootCandidates, userCandidates } from './os-user.ts'

test('on Linux root tries fewer capabilities first: none, read, write', () => {
  const candidates = rootCandidates('linux', { uid: 65534, gid: 65533 })

  expect(candidates.map(({ prefix }) => prefix.findLast((word) => /ambient|user=/.test(word)))).toEqual([
    undefined,
    '--ambient-caps=+dac_read_search',
    '--ambient-caps=+dac_override',
    '--map-user=65534',
  ])
  expect(candidates[0]?.prefix).toEqual(['setpriv', '--reuid=65534', '--regid=65533', '--clear-groups'])
})

test('files belong to the user PostgreSQL runs as: root in a user namespace', () => {
  expect(rootCandidates('linux', { uid: 65534, gid: 65533 }).map(({ uid }) => uid)).toEqual([
    65534, 65534, 65534, 0,
  ])
})

test('on macOS root uses sudo', () => {
  expect(rootCandidates('darwin', { uid: 4294967294, gid: 20 })).toEqual([
    { prefix: ['sudo', '-n', '-u', 'nobody', '--'], uid: 4294967294, gid: 20 },
  ])
})

test('a normal user runs as itself, or in a user namespace when its id has no name', () => {
  const [self, unprivileged] = [
    { uid: 1234, gid: 1235 },
    { uid: 65534, gid: 65533 },
  ]
  expect(userCandidates('linux', self, unprivileged)).toEqual([
    { prefix: [], ...self },
    { prefix: ['unshare', '--user', '--map-user=65534', '--map-group=65533', '--'], ...self },
  ])
  expect(userCandidates('darwin', self, unprivileged)).toEqual([{ prefix: [], ...self }])
})
