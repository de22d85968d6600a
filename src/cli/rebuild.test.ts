import { expect, test } from 'bun:test'
import { UsageError } from '../platform/fault'
import { parseRequest } from './rebuild'

test.each([
  [[], { action: 'start', manual: false, force: false }],
  [['--manual'], { action: 'start', manual: true, force: false }],
  [['--manual', '--force'], { action: 'start', manual: true, force: true }],
  [['--swap', '--force'], { action: 'swap', manual: false, force: true }],
  [['--rollback'], { action: 'rollback', manual: false, force: false }],
  [['--cancel'], { action: 'cancel', manual: false, force: false }],
  [['--status'], undefined],
] as const)('%j is accepted', (args, request) => {
  expect(parseRequest([...args])).toEqual(request as never)
})

test.each([
  [['--swap', '--rollback'], '--swap and --rollback are mutually exclusive.'],
  [['--cancel', '--status'], '--cancel and --status are mutually exclusive.'],
  [['--swap', '--rollback', '--cancel'], '--swap and --rollback and --cancel are mutually exclusive.'],
  [['--manual', '--cancel'], '--manual cannot be combined with --cancel.'],
  [['--manual', '--swap'], '--manual cannot be combined with --swap.'],
  [['--force', '--rollback'], '--force cannot be combined with --rollback.'],
  [['--force', '--cancel'], '--force cannot be combined with --cancel.'],
  [['--status', '--force'], '--status takes no other options.'],
] as const)('%j is contradictory', (args, message) => {
  expect(() => parseRequest([...args])).toThrow(new UsageError(message))
})

test.each([[['--sawp']], [['--swap=yes']], [['now']]])('%j is an unknown option', (args) => {
  expect(() => parseRequest(args)).toThrow(
    expect.objectContaining({ code: expect.stringMatching(/^ERR_PARSE_ARGS/) }),
  )
})
