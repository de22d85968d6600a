import { expect, test } from 'bun:test'
import { parseOptions } from './options'
import { republish } from './republish'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const parse = (args: string[]) => parseOptions(republish, args).options

test('an account and a time are parsed', () => {
  expect(parse([])).toMatchObject({ account: undefined, since: new Date(0) })
  expect(parse(['--account', eva.toUpperCase(), '--since=2026-01-31T00:00:00-03:00'])).toMatchObject({
    account: eva,
    since: new Date('2026-01-31T03:00:00Z'),
  })
})

test.each([
  [['--account', 'eva'], '--account must be a UUID, but is "eva"'],
  [
    ['--since', 'yesterday'],
    '--since must be an RFC 3339 time such as 2026-01-31T00:00:00Z, but is "yesterday"',
  ],
  // Without a zone it would be another time on every machine.
  [['--since', '2026-01-31T00:00:00'], '--since must be'],
  [['--since', '2026-13-31T00:00:00Z'], '--since must be'],
  [['--since', '2026-02-30T00:00:00Z'], '--since must be'],
  [['--since', '9999-12-31T23:59:59-01:00'], '--since must be'],
  [['--since', '1969-12-31T23:59:59Z'], '--since must be'],
])('%p is rejected', (args, message) => {
  expect(() => parse(args)).toThrow(message)
})
