import { expect, test } from 'bun:test'
import { detectStall, type Observation, type StallState } from './stall-detector'

const at = (offset: number, other = 0) =>
  new Map([
    ['balances/0', BigInt(offset)],
    ['balances/1', BigInt(other)],
  ])
const mine = ['balances/0']

/**
 * One look a second: where the log ends, how far it is applied, what is ours, how far another's is.
 * Null is what could not be found out.
 */
type Look = [end: number | null, position: number | null, mine: string[] | null, other?: number]

const waits: Look = [9, 5, mine]
const caughtUp: Look = [9, 9, mine]
const unassigned: Look = [9, 5, null]
const nothingOfOurs: Look = [9, 5, []]
const noTopics: Look = [null, 5, null]
const noBroker: Look = [null, null, mine]
const noBrokerAtAll: Look = [null, null, null]
const noDatabase: Look = [9, null, mine]
const times = (count: number, look: Look): Look[] => Array.from({ length: count }, () => look)

const stalled = '4 records wait, and none was applied for 3 s'
const unheard = 'no partitions were dealt to this process, though the broker answers, for 3 s'

test.each<[string, Look[], string | undefined]>([
  ['all applied', times(9, caughtUp), undefined],
  ['records wait, not yet for too long', times(3, waits), undefined],
  ['records wait for too long', times(4, waits), stalled],
  ['one was applied in between', [...times(2, waits), [9, 6, mine], [9, 6, mine], [9, 6, mine]], undefined],
  ['new ones come, none is applied', [[7, 5, mine], [8, 5, mine], [9, 5, mine], waits], stalled],
  ['what moves is another’s', [1, 2, 3, 4].map((other): Look => [9, 5, mine, other]), stalled],
  ['the topic was made anew', [...times(3, waits), [9, 0, mine]], undefined],
  ['it goes on by itself', [...times(9, waits), [9, 6, mine]], undefined],
  ['caught up after a stall', [...times(9, waits), caughtUp], undefined],
  ['the broker is away', times(9, noBroker), undefined],
  ['the broker was away until now', [...times(9, noBroker), waits], undefined],
  ['the broker is away in between', [...times(3, waits), noBroker, ...times(2, waits)], undefined],
  ['the database is away', times(9, noDatabase), undefined],
  ['more replicas than partitions', times(9, nothingOfOurs), undefined],
  ['never assigned, not yet for too long', times(3, unassigned), undefined],
  ['never assigned', times(4, unassigned), unheard],
  ['never assigned, and no topics either', times(4, noTopics), unheard],
  ['never assigned, and no broker', times(9, noBrokerAtAll), undefined],
  ['assigned at last, and something applied', [...times(9, unassigned), [9, 6, mine]], undefined],
  ['dealt again and again, and nothing applied', [waits, unassigned, waits, waits], stalled],
])('%s', (_, looks, stall) => {
  const start: StallState = { sinceMs: 0, positions: at(5), stall: undefined }
  const last = looks.reduce((progress, [end, position, places, other], index) => {
    const sight: Observation = {
      atMs: index * 1000,
      ends: end === null ? undefined : at(end, 9),
      positions: position === null ? undefined : at(position, other),
      mine: places ?? undefined,
    }
    return detectStall(progress, sight, 3000)
  }, start)
  expect(last.stall).toBe(stall)
})
