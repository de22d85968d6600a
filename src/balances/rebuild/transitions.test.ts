import { expect, test } from 'bun:test'
import type { RebuildState } from './rebuild-store'
import {
  checkTransition,
  contradictionIn,
  type RebuildAction,
  type RebuildRefusal,
  rebuildActions,
} from './transitions'

const ok = undefined

/** By the state of the current rebuild: the answers to start, swap, forced swap, rollback and cancel. */
const answers: [RebuildState | undefined, (RebuildRefusal | undefined)[]][] = [
  [undefined, [ok, 'nothing_to_swap', 'nothing_to_swap', 'nothing_to_roll_back', 'nothing_to_cancel']],
  ['building', ['already_building', 'nothing_to_swap', 'nothing_to_swap', 'nothing_to_roll_back', ok]],
  ['ready', [ok, ok, ok, 'nothing_to_roll_back', ok]],
  ['refused', [ok, 'diverges', ok, 'nothing_to_roll_back', ok]],
  ['swapped', [ok, 'nothing_to_swap', 'nothing_to_swap', ok, 'nothing_to_cancel']],
  ['rolled_back', [ok, 'nothing_to_swap', 'nothing_to_swap', 'nothing_to_roll_back', 'nothing_to_cancel']],
  ['cancelled', [ok, 'nothing_to_swap', 'nothing_to_swap', ok, 'nothing_to_cancel']],
]
test.each(answers)('requests while a rebuild is %p', (state, expected) => {
  const check = (action: RebuildAction, force = false) =>
    checkTransition(state && { state }, { action, manual: false, force })
  expect([check('start'), check('swap'), check('swap', true), check('rollback'), check('cancel')]).toEqual(
    expected,
  )
})

test('manual goes with start only, force with start and swap', () => {
  const rejected = rebuildActions.flatMap((action) =>
    [
      { action, manual: true, force: false },
      { action, manual: false, force: true },
    ].flatMap((request) => {
      const fault = contradictionIn(request)
      return fault ? [`${fault.member} with ${action}`] : []
    }),
  )
  expect(rejected).toEqual([
    'manual with swap',
    'manual with rollback',
    'force with rollback',
    'manual with cancel',
    'force with cancel',
  ])
  for (const action of rebuildActions)
    expect(contradictionIn({ action, manual: false, force: false })).toBeUndefined()
})
