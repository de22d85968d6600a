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
] as const)('%j is understood', (args, request) => {
  expect(parseRequest([...args])).toEqual(request as never)
})

test.each([
  [['--swap', '--rollback'], '--swap and --rollback exclude one another.'],
  [['--cancel', '--status'], '--cancel and --status exclude one another.'],
  [['--swap', '--rollback', '--cancel'], '--swap and --rollback and --cancel exclude one another.'],
  [['--manual', '--cancel'], '--manual has no meaning with --cancel.'],
  [['--manual', '--swap'], '--manual has no meaning with --swap.'],
  [['--force', '--rollback'], '--force has no meaning with --rollback.'],
  [['--force', '--cancel'], '--force has no meaning with --cancel.'],
  [['--status', '--force'], '--status takes no other option.'],
] as const)('%j contradicts itself', (args, message) => {
  expect(() => parseRequest([...args])).toThrow(new UsageError(message))
})

test.each([[['--sawp']], [['--swap=yes']], [['now']]])('%j is not understood', (args) => {
  expect(() => parseRequest(args)).toThrow(
    expect.objectContaining({ code: expect.stringMatching(/^ERR_PARSE_ARGS/) }),
  )
})
