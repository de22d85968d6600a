import { describe, expect, test } from 'bun:test'
import { testAccount as account } from '../../testing/accounts'
import { balanceMinorMax, worldIdOf, worldMinorMax } from './account'
import { decideTransfer, type TransferMoney } from './transfer'
import type { TransferKind } from './types'

const people = () =>
  new Map(
    [
      account('eva', 800n),
      account('frank', 1200n),
      account('overdrawn', 0n, { overdraftLimitMinor: 500n }),
      account('promised', 1000n, { heldMinor: 900n }),
      account('tokyo', 100n, { currency: 'JPY' }),
      account('closed', 0n, { status: 'closed' }),
      account('frozen', 0n, { status: 'frozen' }),
      account('debits frozen', 0n, { status: 'debits_frozen' }),
      account('full', balanceMinorMax),
      account('world', -2000n, { overdraftLimitMinor: null }),
      account('owed much', -balanceMinorMax, { overdraftLimitMinor: null }),
      account('drained', -worldMinorMax, { overdraftLimitMinor: null }),
      account('owing', -balanceMinorMax, { overdraftLimitMinor: balanceMinorMax }),
    ].map((one) => [one.id, one]),
  )

const command = (
  accountIdFrom: string,
  accountIdTo: string,
  amountMinor: bigint,
  kind: TransferKind = 'transfer',
): TransferMoney => ({
  type: 'transfer',
  id: 't1',
  kind,
  accountIdFrom,
  accountIdTo,
  amountMinor,
  currency: 'BRL',
  reference: null,
  metadata: null,
  effectiveAt: null,
})

const at = new Date('2026-01-31T12:00:00Z')
const decide = (...asked: Parameters<typeof command>) => decideTransfer(command(...asked), people(), at)

describe('refusals', () => {
  // Each line breaks one rule and, where it can, those below it, so the table also pins the order
  // of the checks.
  const refusals = [
    ['amount_not_positive', 'missing', 'missing', 0n, 'transfer'],
    ['amount_not_positive', 'eva', 'frank', -1n, 'transfer'],
    ['accounts_not_different', 'missing', 'missing', 901n, 'transfer'],
    ['currency_not_equal', 'world of another currency', 'eva', 901n, 'deposit'],
    ['currency_not_equal', 'eva', 'world of another currency', 901n, 'withdrawal'],
    ['account_from_not_found', 'missing', 'no one', 901n, 'transfer'],
    ['account_from_not_found', 'world', 'no one', 901n, 'transfer'],
    ['account_from_not_found', 'eva', 'no one', 901n, 'deposit'],
    ['account_to_not_found', 'tokyo', 'no one', 901n, 'transfer'],
    ['account_to_not_found', 'tokyo', 'world', 901n, 'transfer'],
    ['account_to_not_found', 'tokyo', 'frank', 901n, 'withdrawal'],
    // Where the currency has no world either, it is the caller's own account that is missing.
    ['account_to_not_found', 'world of another currency', 'no one', 901n, 'deposit'],
    ['account_to_not_found', 'world of another currency', 'world', 901n, 'deposit'],
    ['account_from_not_found', 'world', 'world of another currency', 901n, 'withdrawal'],
    ['currency_not_equal', 'tokyo', 'frank', 901n, 'transfer'],
    ['currency_not_equal', 'eva', 'tokyo', 901n, 'transfer'],
    ['currency_not_equal', 'closed', 'tokyo', 901n, 'transfer'],
    ['account_from_closed', 'closed', 'frozen', 901n, 'transfer'],
    ['account_to_closed', 'frozen', 'closed', 901n, 'transfer'],
    ['account_from_frozen', 'debits frozen', 'frozen', 901n, 'transfer'],
    ['account_to_frozen', 'eva', 'frozen', 901n, 'transfer'],
    ['account_to_frozen', 'world', 'frozen', 901n, 'deposit'],
    ['insufficient_funds', 'eva', 'debits frozen', 901n, 'transfer'],
    ['insufficient_funds', 'eva', 'full', 801n, 'transfer'],
    ['insufficient_funds', 'overdrawn', 'eva', 501n, 'transfer'],
    ['insufficient_funds', 'promised', 'full', 101n, 'transfer'],
    ['balance_limit_reached', 'eva', 'full', 1n, 'transfer'],
    ['balance_limit_reached', 'drained', 'eva', 1n, 'deposit'],
    ['insufficient_funds', 'owing', 'eva', 1n, 'transfer'],
  ] as const

  test.each(refusals)('%s: %s to %s, %p, %s', (rejection, from, to, amountMinor, kind) => {
    expect(decide(from, to, amountMinor, kind)).toEqual({ accepted: false, rejection })
  })
})

test('the world is wider than any account: it is the sum over all of them', () => {
  expect(decide('owed much', 'eva', balanceMinorMax - 800n, 'deposit')).toMatchObject({
    accepted: true,
    facts: [{ from: { balanceMinor: 800n - 2n * balanceMinorMax }, to: { balanceMinor: balanceMinorMax } }],
  })
})

test('both accounts get their next entry, and the two add up to zero', () => {
  expect(decide('eva', 'frank', 800n)).toMatchObject({
    accepted: true,
    facts: [
      {
        type: 'transaction',
        id: 't1',
        entries: [
          { accountId: 'eva', version: 5n, amountMinor: -800n, balanceMinor: 0n, heldMinor: 0n },
          { accountId: 'frank', version: 5n, amountMinor: 800n, balanceMinor: 2000n, heldMinor: 0n },
        ],
        transaction: {
          kind: 'transfer',
          versionFrom: 5n,
          versionTo: 5n,
          effectiveAt: at,
          createdAt: at,
          reverses: null,
        },
      },
    ],
  })
})

test('it counts from when the caller says, and was written when it was decided', () => {
  const effectiveAt = new Date('2025-12-31T23:59:59Z')
  const decision = decideTransfer({ ...command('eva', 'frank', 1n), effectiveAt }, people(), at)
  expect(decision).toMatchObject({ facts: [{ transaction: { effectiveAt, createdAt: at } }] })
})

test('an account may go down to its overdraft limit, and the world without one', () => {
  expect(decide('overdrawn', 'eva', 500n).accepted).toBe(true)
  expect(decide('world', 'eva', 1_000_000n, 'deposit').accepted).toBe(true)
  expect(decide('eva', 'world', 800n, 'withdrawal').accepted).toBe(true)
})

test('what is held stays where it is', () => {
  expect(decide('promised', 'frank', 100n)).toMatchObject({
    facts: [{ from: { balanceMinor: 900n, heldMinor: 900n } }],
  })
})

test('the world of a currency has an id that spells it', () => {
  expect(worldIdOf('BRL')).toBe('00000000-0000-0000-0000-00000042524c')
})

describe('the time from which it counts', () => {
  const openedAt = new Date('2025-06-01T00:00:00Z')
  const before = new Date(openedAt.getTime() - 1)
  const young = new Date('2026-01-01T00:00:00Z')
  const dated = (
    from: string,
    to: string,
    effectiveAt: Date | null,
    kind: TransferKind = 'transfer',
    now = at,
  ) => {
    const accounts = people()
      .set('young', account('young', 100n, { createdAt: young }))
      .set('world', account('world', -100n, { overdraftLimitMinor: null, createdAt: young }))
    return decideTransfer({ ...command(from, to, 901n, kind), effectiveAt }, accounts, now)
  }
  // Before the money is counted, which is not there either.
  test.each([
    ['eva', 'frank', before, 'transfer'],
    ['young', 'eva', openedAt, 'transfer'],
    ['eva', 'young', openedAt, 'transfer'],
    ['eva', 'world', before, 'withdrawal'],
    ['world', 'eva', before, 'deposit'],
  ] as const)('from %s to %s it is not before both were opened', (from, to, effectiveAt, kind) => {
    expect(dated(from, to, effectiveAt, kind)).toEqual({
      accepted: false,
      rejection: 'effective_before_opening',
    })
  })

  test('it is when the newer one was opened, at the earliest; the outside was always there', () => {
    expect(dated('eva', 'young', young)).toMatchObject({ rejection: 'insufficient_funds' })
    expect(dated('world', 'eva', openedAt, 'deposit')).toMatchObject({
      facts: [{ transaction: { effectiveAt: openedAt } }],
    })
  })

  test('it may be before the money came', () => {
    expect(
      decideTransfer({ ...command('eva', 'frank', 800n), effectiveAt: openedAt }, people(), at).accepted,
    ).toBe(true)
  })

  test('a clock that is behind dates nothing before the accounts', () => {
    expect(dated('world', 'young', null, 'deposit', before)).toMatchObject({
      facts: [{ transaction: { effectiveAt: young, createdAt: before } }],
    })
  })
})
