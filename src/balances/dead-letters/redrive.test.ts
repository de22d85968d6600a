import { expect, test } from 'bun:test'
import { decodeFrom } from '../projection/topics'
import { decideRedrive, readingOf } from './redrive'

const letterOf = (value: string, recordAt: string | null = '2024-01-27T00:00:02.000Z') =>
  readingOf(
    {
      topic: 'clients',
      key: null,
      value: Buffer.from(value),
      headers: [],
      recordAt,
      lastOffset: null,
      cause: 'not_json',
      detail: '',
    },
    decodeFrom,
  )

/** A record of the course: two accounts, no versions, and only the time of the record. */
const course = JSON.stringify({
  Name: 'BalanceUpdated',
  Payload: {
    ...{ account_id_from: 'eva', account_id_to: 'frank' },
    ...{ balance_account_id_from: 700, balance_account_id_to: 800 },
  },
})
const versioned = course.replace(
  '"balance_account_id_from"',
  '"version_account_id_from":3,"version_account_id_to":3,$&',
)
const halfVersioned = course.replace('"balance_account_id_from"', '"version_account_id_from":3,$&')

/** Stored accounts: version, and the second of the last update. */
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
  ['both stored balances are older', course, { eva: [4n, 1], frank: [4n, 1] }, 'applied'],
  ['the payer has a newer balance', course, { eva: [4n, 3], frank: [4n, 1] }, 'superseded'],
  ['the payee has a newer balance', course, { eva: [4n, 1], frank: [4n, 3] }, 'superseded'],
  ['the stored balance is of the same time', course, { frank: [4n, 2] }, 'superseded'],
  ['an account was opened later, and nothing has moved', course, { eva: [0n, 3], frank: [0n, 3] }, 'applied'],
  ['versions decide the order, not times', versioned, { eva: [4n, 3], frank: [1n, 3] }, 'applied'],
  ['the side that has a version may be behind', halfVersioned, { eva: [4n, 3], frank: [1n, 1] }, 'applied'],
  ['the side without a version may not', halfVersioned, { eva: [2n, 1], frank: [1n, 3] }, 'superseded'],
  ['an unknown event name', '{"Name":"PixSent","Payload":{}}', {}, 'skipped'],
  ['not an event', 'hello', {}, 'still_failing'],
] as const)('%s', (_, value, accounts, outcome) => {
  expect(decideRedrive(letterOf(value), stored(accounts as never)).outcome).toBe(outcome)
})

test('a letter on which the projection throws still fails, and says why', () => {
  class Broken extends Map {
    override get(): never {
      throw new Error('broken')
    }
  }
  expect(decideRedrive(letterOf(course), new Broken())).toEqual({
    outcome: 'still_failing',
    reason: { cause: 'not_applicable', detail: '1 handlers of BalanceUpdated failed: broken' },
  })
})

test('the reason names the newer balance; an event without a time cannot be compared', () => {
  expect(decideRedrive(letterOf(course), stored({ frank: [4n, 3] }))).toEqual({
    outcome: 'superseded',
    reason: {
      cause: 'superseded',
      detail:
        'account frank already has a balance as of 2024-01-27T00:00:03.000Z; ' +
        "this event's is as of 2024-01-27T00:00:02.000Z",
    },
  })
  expect(decideRedrive(letterOf(course, null), stored({}))).toMatchObject({
    reason: { cause: 'payload_invalid' },
  })
})
