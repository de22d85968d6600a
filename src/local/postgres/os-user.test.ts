import { expect, test } from 'bun:test'
import { rootCandidates, userCandidates } from './os-user.ts'

test('on Linux root tries no capability first, and the one that may write everywhere after the one that may only read', () => {
  const candidates = rootCandidates('linux', { uid: 65534, gid: 65533 })

  expect(candidates.map(({ prefix }) => prefix.findLast((word) => /ambient|user=/.test(word)))).toEqual([
    undefined,
    '--ambient-caps=+dac_read_search',
    '--ambient-caps=+dac_override',
    '--map-user=65534',
  ])
  expect(candidates[0]?.prefix).toEqual(['setpriv', '--reuid=65534', '--regid=65533', '--clear-groups'])
})

test('files belong to the user PostgreSQL runs as, which in a user namespace is still root', () => {
  expect(rootCandidates('linux', { uid: 65534, gid: 65533 }).map(({ uid }) => uid)).toEqual([
    65534, 65534, 65534, 0,
  ])
})

test('on macOS root has sudo', () => {
  expect(rootCandidates('darwin', { uid: 4294967294, gid: 20 })).toEqual([
    { prefix: ['sudo', '-n', '-u', 'nobody', '--'], uid: 4294967294, gid: 20 },
  ])
})

test('a normal user is itself, or has a name in a user namespace when it has none of its own', () => {
  const [self, nobody] = [
    { uid: 1234, gid: 1235 },
    { uid: 65534, gid: 65533 },
  ]
  expect(userCandidates('linux', self, nobody)).toEqual([
    { prefix: [], ...self },
    { prefix: ['unshare', '--user', '--map-user=65534', '--map-group=65533', '--'], ...self },
  ])
  expect(userCandidates('darwin', self, nobody)).toEqual([{ prefix: [], ...self }])
})
