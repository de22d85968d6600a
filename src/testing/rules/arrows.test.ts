/** Which room may import which: one direction, no cycle. A room is a folder or a single file. */
import { expect, test } from 'bun:test'
import { files, imports, isTest, show } from './source'

/** The rooms that each room may import besides itself. A folder stands for all files in it. */
const arrows = {
  'main.ts': ['config', 'wallet/service.ts', 'balances/service.ts', 'platform'],
  cli: ['access', 'backup', 'config', 'wallet', 'balances', 'reconcile', 'drills', 'contract', 'platform'],
  config: ['../package.json'],
  backup: ['config', 'platform', '../package.json'],
  // A package of its own, for any runtime.
  client: [],
  '../package.json': [],
  // A page: it runs in a browser, and calls the services as any client does.
  console: ['client'],

  contract: ['contract/events', 'contract/wire', 'contract/docs', '../package.json'],
  'contract/docs': ['contract/events', 'contract/wire', 'contract', '../package.json'],
  'contract/wire': ['contract/events', 'contract'],
  'contract/events': ['contract'],

  platform: [],
  'platform/http': ['platform', 'platform/telemetry'],
  'platform/kafka': ['platform', 'platform/process', 'platform/telemetry'],
  'platform/postgres': ['platform', 'platform/process', 'platform/telemetry'],
  'platform/process': ['platform', 'platform/telemetry'],
  'platform/telemetry': ['platform'],

  access: ['access/db', 'contract', 'platform'],
  'access/db': ['platform'],

  'wallet/domain': [],
  'wallet/db': ['wallet/domain', 'access/db', 'platform'],
  'wallet/events.ts': ['wallet/domain', 'contract'],
  'wallet/outbox': ['wallet/db', 'contract', 'platform'],
  'wallet/erasure': ['wallet/db', 'wallet/outbox', 'contract', 'platform'],
  'wallet/epochs': [
    'wallet/domain',
    'wallet/db',
    'wallet/events.ts',
    'wallet/outbox',
    'wallet/republish',
    'contract',
    'platform',
  ],
  'wallet/ledger': ['wallet/domain', 'wallet/db', 'wallet/events.ts', 'wallet/outbox', 'platform'],
  'wallet/queries': ['wallet/domain', 'wallet/db', 'wallet/ledger', 'platform'],
  'wallet/maintenance': ['wallet/domain', 'wallet/ledger', 'wallet/outbox', 'platform'],
  'wallet/republish': [
    'wallet/domain',
    'wallet/db',
    'wallet/events.ts',
    'wallet/outbox',
    'contract',
    'platform',
  ],
  'wallet/seed': ['wallet/domain', 'wallet/events.ts', 'wallet/ledger', 'contract', 'platform'],
  'wallet/http': ['wallet', 'config', 'contract', 'platform'],
  'wallet/service.ts': ['wallet', 'access', 'config', 'contract', 'platform', '../package.json'],

  'balances/db': ['access/db', 'platform'],
  'balances/projection': ['balances/db', 'contract', 'platform'],
  'balances/queries': ['balances/db', 'balances/projection', 'platform'],
  'balances/freshness': ['balances/db', 'balances/projection', 'balances/queries', 'contract', 'platform'],
  'balances/dead-letters': ['balances/db', 'balances/projection', 'contract', 'platform'],
  'balances/reactions': ['balances/db', 'balances/projection', 'contract', 'platform'],
  'balances/reconciliations': ['balances/db', 'platform'],
  'balances/idempotency': ['balances/db', 'platform'],
  'balances/streams': ['balances/db', 'balances/freshness', 'balances/queries', 'platform'],
  'balances/console': [
    'balances/db',
    'balances/projection',
    'balances/freshness',
    'balances/queries',
    'contract',
    'platform',
  ],
  'balances/seed': ['balances/projection', 'contract', 'platform'],
  'balances/rebuild': [
    'balances/db',
    'balances/dead-letters',
    'balances/projection',
    'balances/seed',
    'config',
    'contract',
    'platform',
  ],
  'balances/http': ['balances', 'config', 'contract', 'platform'],
  'balances/service.ts': ['balances', 'access', 'config', 'contract', 'platform', '../package.json'],

  // It compares the two services, and so is the one room beside them that reads both databases.
  reconcile: [
    'wallet/db',
    'wallet/outbox',
    'balances/db',
    'balances/projection',
    'config',
    'contract',
    'platform',
  ],

  // From outside, as somebody at the machine: no code of the services.
  drills: ['config', 'platform'],

  local: ['local/postgres', 'config', 'platform', '../package.json'],
  'local/postgres': ['local', 'platform'],
  'local/broker': ['local', 'platform', '../package.json'],
  testing: [
    'main.ts',
    'access',
    'config',
    'wallet',
    'balances',
    'reconcile',
    'contract',
    'platform',
    'local',
    'client',
    'console',
    'cli',
    'drills',
    '../package.json',
  ],
} satisfies Record<string, string[]>

/** To do: arrows that run the wrong way, and cycles. Nothing is added to either. */
const misplaced: string[] = []
const circular: string[] = []

const rooms = Object.keys(arrows) as (keyof typeof arrows)[]
const isIn = (file: string, room: string): boolean => file === room || file.startsWith(`${room}/`)

/** The innermost room a file is in. */
const roomOf = (file: string) =>
  rooms.filter((room) => isIn(file, room)).sort((a, b) => b.length - a.length)[0]

/** Of rooms that are named with a whole folder, `http` is never meant: it is the outside of a service. */
const mayImport = (from: keyof typeof arrows, to: string): boolean =>
  roomOf(to) === from ||
  ((arrows[from] as readonly string[]).some((room) => isIn(to, room)) &&
    (!/^(wallet|balances)\/http\//.test(to) ||
      ['wallet/service.ts', 'balances/service.ts', 'testing'].includes(from)))

// Tests may use the testing room, and stack tests put rooms together.
const ours = imports.filter(({ from, to }) => !isTest(from) && /\.(c?tsx?|json)$/.test(to))

test('every file of the source is in a room', () => {
  expect(files.filter((file) => !roomOf(file) && !isTest(file))).toEqual([])
})

test('imports between rooms follow the arrows', () => {
  const wrong = ours.filter(({ from, to }) => {
    const room = roomOf(from)
    return room && !mayImport(room, to)
  })
  expect(wrong.map(show)).toEqual(misplaced)
})

test('wallet and balances do not import each other', () => {
  const crossing = ours.filter(
    ({ from, to }) =>
      (isIn(from, 'wallet') && isIn(to, 'balances')) || (isIn(from, 'balances') && isIn(to, 'wallet')),
  )
  expect(crossing.map(show)).toEqual([])
})

test('production code imports neither local servers nor tests', () => {
  const wrong = ours.filter(
    ({ from, to }) => !/^(testing|local)\//.test(from) && /^(testing|local)\//.test(to),
  )
  expect(wrong.map(show)).toEqual([])
})

test('no import cycles between files, types included', () => {
  expect(cycles(ours.map(({ from, to }) => [from, to]))).toEqual(circular)
  expect(
    cycles([
      ['a', 'b'],
      ['b', 'c'],
      ['c', 'a'],
      ['d', 'a'],
    ]),
  ).toEqual(['a -> b -> c -> a'])
})

/** One cycle for each edge that closes one, as a depth-first search meets it. */
function cycles(edges: [string, string][]): string[] {
  const targets = Map.groupBy(edges, ([from]) => from)
  const found: string[] = []
  const path: string[] = []
  const done = new Set<string>()
  const visit = (file: string) => {
    const at = path.indexOf(file)
    if (at !== -1) found.push([...path.slice(at), file].join(' -> '))
    if (at !== -1 || done.has(file)) return
    path.push(file)
    for (const [, to] of targets.get(file) ?? []) visit(to)
    path.pop()
    done.add(file)
  }
  for (const file of targets.keys()) visit(file)
  return found
}
