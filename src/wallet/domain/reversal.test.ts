import { describe, expect, test } from 'bun:test'
import { testAccount } from '../../testing/accounts'
import type { Account } from './account'
import { decideReversal } from './reversal'
import type { Transaction, TransactionKind } from './types'

const at = new Date('2026-02-01T00:00:00Z')

const account = (id: string, balanceMinor: bigint, heldMinor = 0n) =>
  testAccount(id, balanceMinor, { heldMinor })

/** Eva paid Frank 100. */
const paid = (kind: TransactionKind = 'transfer'): Transaction => ({
  id: 'paid',
  leg: 0,
  kind,
  accountIdFrom: 'eva',
  accountIdTo: 'frank',
  versionFrom: 3n,
  versionTo: 3n,
  amountMinor: 100n,
  currency: 'BRL',
  reference: 'lunch',
  metadata: null,
  reverses: kind === 'reversal' ? 'before' : null,
  holdId: null,
  actor: null,
  effectiveAt: new Date('2026-01-01T00:00:00Z'),
  createdAt: new Date('2026-01-01T00:00:00Z'),
})

type Case = {
  amountMinor?: bigint | null
  reversedMinor?: bigint
  kind?: TransactionKind
  frank?: Account
  effectiveAt?: Date | null
}

const decide = ({
  amountMinor = null,
  reversedMinor = 0n,
  kind,
  frank = account('frank', 500n),
  effectiveAt = null,
}: Case) =>
  decideReversal(
    {
      type: 'reversal',
      id: 'r1',
      reverses: 'paid',
      accountIdFrom: 'frank',
      accountIdTo: 'eva',
      amountMinor,
      reference: null,
      metadata: null,
      effectiveAt,
    },
    { legs: [paid(kind)], reversedMinor },
    new Map([frank, account('eva', 700n)].map((one) => [one.id, one])),
    at,
  )

describe('refusals', () => {
  const empty = account('frank', 0n)
  const early = new Date('2025-12-31T23:59:59.999Z')
  // Each line breaks one rule and, where it can, those below it, so the table also pins the order
  // of the checks.
  const refusals: [string, Case][] = [
    ['amount_not_positive', { amountMinor: 0n, reversedMinor: 100n, kind: 'reversal', frank: empty }],
    [
      'transaction_not_reversible',
      { amountMinor: 101n, reversedMinor: 100n, kind: 'reversal', frank: empty },
    ],
    ['transaction_already_reversed', { amountMinor: 101n, reversedMinor: 100n, frank: empty }],
    ['transaction_already_reversed', { reversedMinor: 100n, frank: empty }],
    ['amount_exceeds_original', { amountMinor: 41n, reversedMinor: 60n, frank: empty, effectiveAt: early }],
    ['effective_before_original', { amountMinor: 40n, reversedMinor: 60n, frank: empty, effectiveAt: early }],
    ['insufficient_funds', { amountMinor: 40n, reversedMinor: 60n, frank: empty }],
    ['insufficient_funds', { frank: account('frank', 500n, 401n) }],
  ]
  test.each(refusals)('%s: %p', (rejection, asked) => {
    expect(decide(asked)).toEqual({ accepted: false, rejection } as never)
  })
})

test.each([
  ['all of it', {}, 100n],
  ['a part', { amountMinor: 30n }, 30n],
  ['all that is left', { reversedMinor: 60n }, 40n],
  ['exactly what is left', { reversedMinor: 60n, amountMinor: 40n }, 40n],
] as [string, Case, bigint][])('%s goes back the way it came', (_, asked, amountMinor) => {
  expect(decide(asked)).toMatchObject({
    accepted: true,
    facts: [
      {
        entries: [
          { accountId: 'frank', version: 5n, amountMinor: -amountMinor },
          { accountId: 'eva', version: 5n, amountMinor },
        ],
        transaction: { kind: 'reversal', reverses: 'paid', amountMinor, currency: 'BRL', createdAt: at },
      },
    ],
  })
})

test('it counts from when the original does, at the earliest', () => {
  const effectiveAt = new Date('2026-01-01T00:00:00Z')
  expect(decide({ effectiveAt })).toMatchObject({ facts: [{ transaction: { effectiveAt, createdAt: at } }] })
})
