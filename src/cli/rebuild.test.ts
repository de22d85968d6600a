import { expect, test } from 'bun:test'
import { contradictionIn, rebuildActions } from '../balances/rebuild/transitions'
import { parseOptions } from './options'
import { rebuild } from './rebuild'

const parse = (...args: string[]) => parseOptions(rebuild, args).options

test.each([
  [['--swap', '--rollback'], '--swap and --rollback contradict each other: give one of them.'],
  [['--cancel', '--status'], '--cancel and --status contradict each other: give one of them.'],
  [['--rollback', '--swap', '--cancel'], '--swap and --rollback and --cancel contradict each other'],
  [['--status', '--force'], '--force and --status contradict each other'],
  [['--sawp'], 'Unknown option --sawp. Did you mean --swap?'],
  [['--swap=yes'], '--swap takes no value: leave out =yes.'],
  [['now'], 'Unexpected argument "now"'],
])('%j is refused, and says why', (args, message) => {
  expect(() => parse(...args)).toThrow(message)
})

test('what the service takes for a contradiction is one here, too', () => {
  for (const action of rebuildActions)
    for (const [manual, force] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const args = [
        ...(action === 'start' ? [] : [`--${action}`]),
        ...(manual ? ['--manual'] : []),
        ...(force ? ['--force'] : []),
      ]
      const isRefused = contradictionIn({ action, manual, force }) !== undefined
      if (isRefused) expect(() => parse(...args)).toThrow('contradict')
      else expect(parse(...args)).toMatchObject({ manual, force })
    }
})
