import { expect, test } from 'bun:test'
import { isPostmasterOf, parsePostmasterPid } from './postmaster-pid.ts'

test.each([
  ['4711\n/data/cluster\n1700000000\n5432\n', 4711],
  ['-4711\n/data/cluster\n', 4711],
  ['', null],
  ['\n', null],
  ['0\n', null],
  ['47', 47],
  ['torn', null],
])('%p names the process %p', (text, pid) => {
  expect(parsePostmasterPid(text)).toBe(pid)
})

test.each([
  [['/usr/bin/postgres', '-D', '/data/cluster', '-c', 'port=1'], true],
  [['/usr/bin/postgres', '-D', '/data/other'], false],
  [['/usr/bin/vim', '-D', '/data/cluster'], false],
  [['/usr/bin/postgres'], false],
  [[''], false],
])('%p is its postmaster: %p', (words, expected) => {
  expect(isPostmasterOf('/data/cluster', words)).toBe(expected)
})
