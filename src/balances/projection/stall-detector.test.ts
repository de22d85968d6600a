import { expect, test } from 'bun:test'
import { detectStall, type Observation, type StallState } from './stall-detector'

const at = (offset: number, other = 0) =>
  new Map([
    ['balances/0', BigInt(offset)],
    ['balances/1', BigInt(other)],
  ])
const mine = ['balances/0']

/**
 * One observation a second: log end, applied offset, assigned partitions, applied offset of another
 * partition. Null is what could not be found out.
 */
type Sample = [end: number | null, position: number | null, assigned: string[] | null, other?: number]

const waits: Sample = [9, 5, mine]
const caughtUp: Sample = [9, 9, mine]
const unassigned: Sample = [9, 5, null]
const nothingOfOurs: Sample = [9, 5, []]
const noTopics: Sample = [null, 5, null]
const noBroker: Sample = [null, null, mine]
const noBrokerAtAll: Sample = [null, null, null]
const noDatabase: Sample = [9, null, mine]
const times = (count: number, sample: Sample): Sample[] => Array.from({ length: count }, () => sample)

const stalled = 'no progress for 3 s with 4 records to apply'
const unassignedFor3s = 'no partitions assigned for 3 s although the broker is reachable'

test.each<[string, Sample[], string | undefined]>([
  ['all applied', times(9, caughtUp), undefined],
  ['records wait, not yet for too long', times(3, waits), undefined],
  ['records wait for too long', times(4, waits), stalled],
  ['one was applied in between', [...times(2, waits), [9, 6, mine], [9, 6, mine], [9, 6, mine]], undefined],
  ['new ones come, none is applied', [[7, 5, mine], [8, 5, mine], [9, 5, mine], waits], stalled],
  [
    'only another member’s partition moves',
    [1, 2, 3, 4].map((other): Sample => [9, 5, mine, other]),
    stalled,
  ],
  ['the topic was recreated', [...times(3, waits), [9, 0, mine]], undefined],
  ['it recovers by itself', [...times(9, waits), [9, 6, mine]], undefined],
  ['caught up after a stall', [...times(9, waits), caughtUp], undefined],
  ['the broker is away', times(9, noBroker), undefined],
  ['the broker was away until now', [...times(9, noBroker), waits], undefined],
  ['the broker is away in between', [...times(3, waits), noBroker, ...times(2, waits)], undefined],
  ['the database is away', times(9, noDatabase), undefined],
  ['more replicas than partitions', times(9, nothingOfOurs), undefined],
  ['never assigned, not yet for too long', times(3, unassigned), undefined],
  ['never assigned', times(4, unassigned), unassignedFor3s],
  ['never assigned, and no topics either', times(4, noTopics), unassignedFor3s],
  ['never assigned, and no broker', times(9, noBrokerAtAll), undefined],
  ['assigned at last, and something applied', [...times(9, unassigned), [9, 6, mine]], undefined],
  ['reassigned again and again, nothing applied', [waits, unassigned, waits, waits], stalled],
])('%s', (_, samples, stall) => {
  const start: StallState = { sinceMs: 0, applied: at(5), stall: undefined }
  const last = samples.reduce((state, [end, position, assigned, other], index) => {
    const observation: Observation = {
      atMs: index * 1000,
      ends: end === null ? undefined : at(end, 9),
      applied: position === null ? undefined : at(position, other),
      assigned: assigned ?? undefined,
    }
    return detectStall(state, observation, 3000)
  }, start)
  expect(last.stall).toBe(stall)
})
