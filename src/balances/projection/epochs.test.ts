import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Books, liveThrough, steps } from '../../testing/forks'
import { isVoid } from './epochs'
import { project } from './project'
import type { KnownEpochs, Reading } from './types'

const table: [string, Parameters<typeof isVoid>[0], Parameters<typeof isVoid>[1], boolean][] = [
  ['without a restore', { epoch: 1, version: 9n }, { start: undefined, complete: 1 }, false],
  [
    'shared with the lost future',
    { epoch: 1, version: 5n },
    { start: { epoch: 2, version: 5n }, complete: 2 },
    false,
  ],
  ['lost', { epoch: 1, version: 6n }, { start: { epoch: 2, version: 5n }, complete: 1 }, true],
  ['written again', { epoch: 2, version: 6n }, { start: { epoch: 2, version: 5n }, complete: 2 }, false],
  ['before the start is known', { epoch: 1, version: 6n }, { start: undefined, complete: 1 }, false],
  ['of an account that was lost', { epoch: 1, version: 1n }, { start: undefined, complete: 2 }, true],
  [
    'of an account that was opened since',
    { epoch: 2, version: 1n },
    { start: undefined, complete: 2 },
    false,
  ],
  ['lost twice', { epoch: 2, version: 1n }, { start: { epoch: 2, version: 0n }, complete: 3 }, true],
]
test.each(table)('an event %s', (_, event, known, expected) => {
  expect(isVoid(event, known)).toBe(expected)
})

test('the newest state and the true entries, in any order and with any repetition', () => {
  const order = fc.array(fc.nat(), { minLength: 1 })
  const nothingKnown: KnownEpochs = { complete: 1, clients: new Map() }
  fc.assert(
    fc.property(steps, order, (history, ranks) => {
      const { published, books } = liveThrough(history)
      const repeated = [
        ...published,
        ...published.filter((_, at) => (ranks[at % ranks.length] ?? 0) % 3 === 0),
      ]
      const rankOf = (at: number) => ((ranks[at % ranks.length] ?? 0) * 31 + at * 17) % 101
      const shuffled = repeated
        .map((decoded, at) => ({ decoded, rank: rankOf(at) }))
        .sort((one, other) => one.rank - other.rank)
      const readings = shuffled.map(
        ({ decoded }, origin): Reading<number> => ({ decoded, timestampMs: 0, origin }),
      )
      const { deadLetters, ...rows } = project(readings, new Map(), nothingKnown)
      expect(deadLetters).toEqual([])
      // Accounts and clients that were lost are removed later, when all starts have arrived.
      const isKept = (id: string) => books.accounts.some((one) => one.startsWith(`${id} `))
      const found: Books = {
        accounts: rows.balances
          .filter(({ accountId }) => isKept(accountId))
          .map((row) => `${row.accountId} ${row.version} ${row.balanceMinor} ${row.opened}`)
          .sort(),
        entries: [
          ...new Set(
            rows.entries
              .filter(({ accountId, version }) => {
                const row = rows.balances.find((one) => one.accountId === accountId)
                return isKept(accountId) && (row?.startEpoch || version <= (row?.version ?? 0n))
              })
              .map((row) => `${row.accountId} ${row.version} ${row.amountMinor} ${row.balanceMinor}`),
          ),
        ].sort(),
        clients: rows.clients
          .filter(({ id }) => isKept(id.slice('owner of '.length)))
          .map(({ id, version, name }) => `${id} ${version} ${name}`)
          .sort(),
      }
      expect(found).toEqual(books)
    }),
    { numRuns: 300 },
  )
})
