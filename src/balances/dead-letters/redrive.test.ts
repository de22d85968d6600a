import { expect, test } from 'bun:test'
import { decideRedrive, readingOf } from './redrive'

const letterOf = (value: string, recordAt: string | null = '2024-01-27T00:00:02.000Z') =>
  readingOf({
    value: Buffer.from(value),
    headers: [],
    recordAt,
    lastOffset: null,
    cause: 'not_json',
    detail: '',
  })

/** A record of the course: two accounts, no versions, and only the time of the record. */
const course =
  '{"Name":"BalanceUpdated","Payload":{"account_id_from":"eva","account_id_to":"frank","balance_account_id_from":700,"balance_account_id_to":800}}'
const versioned = course.replace(
  '"balance_account_id_from"',
  '"version_account_id_from":3,"version_account_id_to":3,$&',
)
const halfVersioned = course.replace('"balance_account_id_from"', '"version_account_id_from":3,$&')

/** An account as it is stored: its version, and the second at which it was last told of. */
const stored = (accounts: Record<string, [version: bigint, second: number]>) =>
  new Map(
    Object.entries(accounts).map(([accountId, [version, second]]) => [
      accountId,
      {
        version,
        currency: 'BRL',
        balanceMinor: 0n,
        source: null,
        updatedAt: `2024-01-27T00:00:0${second}.000Z`,
      },
    ]),
  )

test.each([
  ['nothing is stored', course, {}, 'applied'],
  ['both accounts stand as they did before', course, { eva: [4n, 1], frank: [4n, 1] }, 'applied'],
  ['the payer has moved on', course, { eva: [4n, 3], frank: [4n, 1] }, 'superseded'],
  ['the payee has moved on', course, { eva: [4n, 1], frank: [4n, 3] }, 'superseded'],
  ['what is stored is of the same time', course, { frank: [4n, 2] }, 'superseded'],
  ['an account was opened later, and nothing has moved', course, { eva: [0n, 3], frank: [0n, 3] }, 'applied'],
  ['its versions tell the order, not the times', versioned, { eva: [4n, 3], frank: [1n, 3] }, 'applied'],
  ['the side that has a version may be behind', halfVersioned, { eva: [4n, 3], frank: [1n, 1] }, 'applied'],
  ['the side without a version may not', halfVersioned, { eva: [2n, 1], frank: [1n, 3] }, 'superseded'],
  ['a name that is not known here', '{"Name":"PixSent","Payload":{}}', {}, 'skipped'],
  ['not an event', 'hello', {}, 'still_failing'],
] as const)('%s', (_, value, accounts, outcome) => {
  expect(decideRedrive(letterOf(value), stored(accounts as never)).outcome).toBe(outcome)
})

test('whoever is superseded hears by what; without a time of its own nothing can be compared', () => {
  expect(decideRedrive(letterOf(course), stored({ frank: [4n, 3] }))).toEqual({
    outcome: 'superseded',
    reason: {
      cause: 'superseded',
      detail:
        'account frank was told of at 2024-01-27T00:00:03.000Z, and this is what it held at 2024-01-27T00:00:02.000Z',
    },
  })
  expect(decideRedrive(letterOf(course, null), stored({}))).toMatchObject({
    reason: { cause: 'payload_invalid' },
  })
})
