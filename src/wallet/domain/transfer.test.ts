import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Account } from './account'
import { worldIdOf } from './account'
import { applyTransfer, balanceMinorMax, decideTransfer, type TransferKind, type TransferMoney } from './transfer'

const account = (id: string, balanceMinor: bigint, more: Partial<Account> = {}): Account => ({
  id,
  currency: 'BRL',
  balanceMinor,
  version: 4n,
  overdraftLimitMinor: 0n,
  ...more,
})

const people = () =>
  new Map(
    [
      account('eva', 800n),
      account('frank', 1200n),
      account('overdrawn', 0n, { overdraftLimitMinor: 500n }),
      account('tokyo', 100n, { currency: 'JPY' }),
      account('full', balanceMinorMax),
      account('world', -2000n, { overdraftLimitMinor: null }),
      account('drained', -balanceMinorMax, { overdraftLimitMinor: null }),
    ].map((one) => [one.id, one]),
  )

const command = (
  accountIdFrom: string,
  accountIdTo: string,
  amountMinor: bigint,
  kind: TransferKind = 'transfer',
): TransferMoney => ({
  transactionId: 't1',
  kind,
  accountIdFrom,
  accountIdTo,
  amountMinor,
  currency: 'BRL',
  reference: null,
})

describe('refusals', () => {
  // Each line breaks one rule and, where it can, those below it, so the table also pins the order of the checks.
  const refusals = [
    ['amount_not_positive', 'nobody', 'nobody', 0n, 'transfer'],
    ['amount_not_positive', 'eva', 'frank', -1n, 'transfer'],
    ['accounts_not_different', 'nobody', 'nobody', 901n, 'transfer'],
    ['currency_not_equal', 'world of another currency', 'eva', 901n, 'deposit'],
    ['currency_not_equal', 'eva', 'world of another currency', 901n, 'withdrawal'],
    ['account_from_not_found', 'nobody', 'no one', 901n, 'transfer'],
    ['account_from_not_found', 'nobody', 'no one', 901n, 'deposit'],
    ['account_from_not_found', 'world', 'no one', 901n, 'transfer'],
    ['account_from_not_found', 'eva', 'no one', 901n, 'deposit'],
    ['account_to_not_found', 'tokyo', 'no one', 901n, 'transfer'],
    ['account_to_not_found', 'tokyo', 'world', 901n, 'transfer'],
    ['account_to_not_found', 'tokyo', 'frank', 901n, 'withdrawal'],
    ['currency_not_equal', 'tokyo', 'frank', 901n, 'transfer'],
    ['currency_not_equal', 'eva', 'tokyo', 901n, 'transfer'],
    ['insufficient_funds', 'eva', 'full', 801n, 'transfer'],
    ['insufficient_funds', 'overdrawn', 'eva', 501n, 'transfer'],
    ['balance_limit_reached', 'eva', 'full', 1n, 'transfer'],
    ['balance_limit_reached', 'drained', 'eva', 1n, 'deposit'],
  ] as const

  test.each(refusals)('%s: %s to %s, %p, %s', (rejection, from, to, amountMinor, kind) => {
    expect(decideTransfer(command(from, to, amountMinor, kind), people())).toEqual({ accepted: false, rejection })
  })
})

test('both accounts get their next entry, and the two add up to zero', () => {
  expect(decideTransfer(command('eva', 'frank', 800n), people())).toMatchObject({
    accepted: true,
    transfer: {
      entryFrom: { accountId: 'eva', version: 5n, amountMinor: -800n, balanceMinor: 0n },
      entryTo: { accountId: 'frank', version: 5n, amountMinor: 800n, balanceMinor: 2000n },
    },
  })
})

test('an account may go down to its overdraft limit, and the world without one', () => {
  expect(decideTransfer(command('overdrawn', 'eva', 500n), people()).accepted).toBe(true)
  expect(decideTransfer(command('world', 'eva', 1_000_000n, 'deposit'), people()).accepted).toBe(true)
  expect(decideTransfer(command('eva', 'world', 800n, 'withdrawal'), people()).accepted).toBe(true)
})

test('the world of a currency has an id that spells it', () => {
  expect(worldIdOf('BRL')).toBe('00000000-0000-0000-0000-00000042524c')
})

test('whatever is asked for, no money appears, nobody falls below the limit, versions count without gaps', () => {
  const names = [...people().keys(), 'nobody']
  const commands = fc.array(
    fc.record({
      from: fc.constantFrom(...names),
      to: fc.constantFrom(...names),
      amount: fc.bigInt({ min: -10n, max: 900n }),
      kind: fc.constantFrom<TransferKind>('transfer', 'deposit', 'withdrawal'),
    }),
    { maxLength: 60 },
  )
  const total = (accounts: Map<string, Account>) =>
    [...accounts.values()].reduce((sum, one) => sum + one.balanceMinor, 0n)

  fc.assert(
    fc.property(commands, (commands) => {
      const accounts = people()
      const before = total(accounts)
      const entries = commands.flatMap(({ from, to, amount, kind }) => {
        const decision = decideTransfer(command(from, to, amount, kind), accounts)
        if (!decision.accepted) return []
        applyTransfer(accounts, decision.transfer)
        return [decision.transfer.entryFrom, decision.transfer.entryTo]
      })
      expect(total(accounts)).toBe(before)
      for (const one of accounts.values()) {
        if (one.overdraftLimitMinor !== null) expect(one.balanceMinor >= -one.overdraftLimitMinor).toBe(true)
        const versions = entries.filter((entry) => entry.accountId === one.id).map((entry) => entry.version)
        expect(versions).toEqual(versions.map((_, index) => 5n + BigInt(index)))
      }
    }),
    { numRuns: 500 },
  )
})
