import { expect, test } from 'bun:test'
import { checkOutbox } from './health'
import type { RelayState } from './relay'

const refused = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ id: BigInt(index + 1), topic: 'balances', bytes: 2000 }))
const state = (more: Partial<RelayState> = {}): RelayState => ({
  leads: true,
  trouble: undefined,
  refused: [],
  standstillMs: 0,
  ...more,
})
const minuteMs = 60_000

test.each([
  ['nothing waits', { pending: 0, oldestAgeMs: 0 }, state(), 'pass', /^0 events wait/],
  [
    'events wait briefly',
    { pending: 3, oldestAgeMs: 9000 },
    state(),
    'pass',
    /^3 events wait, the oldest for 9 s$/,
  ],
  ['events wait for long', { pending: 3, oldestAgeMs: 11_000 }, state(), 'warn', /11 s$/],
  ['more than are counted', { pending: 10_001, oldestAgeMs: 1 }, state(), 'pass', /^more than 10000 events/],
  ['trouble', { pending: 1, oldestAgeMs: 1 }, state({ trouble: 'no broker' }), 'warn', /: no broker$/],
  [
    'one event is refused',
    { pending: 1, oldestAgeMs: 1 },
    state({ refused: refused(1) }),
    'warn',
    /one event .*2000 bytes/,
  ],
  [
    'one is refused for long, and others go around it',
    { pending: 1, oldestAgeMs: 2 * minuteMs },
    state({ refused: refused(1), standstillMs: 2 * minuteMs }),
    'warn',
    /too large/,
  ],
  [
    'all are refused for long',
    { pending: 3, oldestAgeMs: 2 * minuteMs },
    state({ refused: refused(3), standstillMs: 2 * minuteMs }),
    'fail',
    /3 events as too large/,
  ],
  [
    'trouble for long',
    { pending: 3, oldestAgeMs: 2 * minuteMs },
    state({ trouble: 'refused', standstillMs: 2 * minuteMs }),
    'fail',
    /: refused$/,
  ],
  [
    'trouble for long, but the waiting events are new',
    { pending: 3, oldestAgeMs: 1000 },
    state({ trouble: 'refused', standstillMs: 2 * minuteMs }),
    'warn',
    /: refused$/,
  ],
] as const)('%s', (_, outbox, relay, status, output) => {
  const check = checkOutbox(outbox, relay, minuteMs)
  expect(check.status).toBe(status)
  expect(check.output).toMatch(output)
})
