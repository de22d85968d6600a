import { expect, test } from 'bun:test'
import { explainWait, type Wait } from './waiting'

const refused = [{ id: 7n, topic: 'balances', bytes: 2_000_000 }]
type State = Parameters<typeof explainWait>

test.each<[string, Wait['cause'], string | null, Partial<State[0]>, Partial<State[1]>]>([
  ['its turn', 'send', null, {}, {}],
  ['a send that fails', 'send', 'topic balances is missing', { trouble: 'topic balances is missing' }, {}],
  ['an event that is too large', 'send', expect.stringContaining('2000000 bytes') as never, { refused }, {}],
  ['the broker', 'broker', null, { trouble: 'connection refused' }, { isBrokerReachable: false }],
  ['a leader', 'relay', null, {}, { isLed: false }],
  ['a leader, before the broker', 'relay', null, {}, { isLed: false, isBrokerReachable: false }],
])('an event waits for %s', (_, cause, detail, state, reached) => {
  const wait = explainWait(
    { trouble: undefined, refused: [], ...state },
    { isLed: true, isBrokerReachable: true, ...reached },
  )
  expect(wait).toEqual({ cause, detail })
})
