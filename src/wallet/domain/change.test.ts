import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { testAccount } from '../../testing/accounts'
import { type Account, type AccountStatus, accountStatuses, worldIdOf } from './account'
import { type Book, type Command, decideAll, emptyBook } from './book'
import { decideOverdraft, decideStatus } from './change'
import { decideErasure, decideUpdate } from './creation'
import type { Rejection } from './rejection'
import type { Client } from './types'

const at = new Date('2026-02-01T00:00:00Z')
const later = new Date('2026-02-08T00:00:00Z')
const world = worldIdOf('BRL')

const account = (id: string, more: Partial<Account> = {}) =>
  testAccount(id, 0n, {
    clientId: id === world ? null : `client of ${id}`,
    overdraftLimitMinor: id === world ? null : 500n,
    ...more,
  })

const accountsOf = (...accounts: Account[]) =>
  new Map([account(world), ...accounts].map((one) => [one.id, one]))

const common = { id: 'c1', accountId: 'eva', currency: 'BRL', reference: 'case 7' }
const setStatus = (eva: Partial<Account>, status: AccountStatus) =>
  decideStatus({ type: 'status', ...common, status }, accountsOf(account('eva', eva)), at)
const setOverdraft = (eva: Partial<Account>, overdraftLimitMinor: bigint) =>
  decideOverdraft({ type: 'overdraft', ...common, overdraftLimitMinor }, accountsOf(account('eva', eva)), at)

const unchanged = { accepted: true as const, facts: [] }

describe('status', () => {
  const full = { balanceMinor: 1n, heldMinor: 1n }
  test.each([
    ['account_closed', { status: 'closed', ...full }, 'open'],
    ['account_closed', { status: 'closed' }, 'frozen'],
    ['account_closed', { status: 'closed' }, 'debits_frozen'],
    ['account_not_empty', { balanceMinor: 1n }, 'closed'],
    ['account_not_empty', { balanceMinor: -1n, status: 'frozen' }, 'closed'],
    ['account_not_empty', { heldMinor: 1n }, 'closed'],
  ] as [Rejection, Partial<Account>, AccountStatus][])('%s: %p to %s', (rejection, eva, status) => {
    expect(setStatus(eva, status)).toEqual({ accepted: false, rejection } as never)
  })

  test.each(accountStatuses)('%s is not set again', (status) => {
    expect(setStatus({ status, ...full }, status)).toEqual(unchanged)
  })

  test.each([
    ['open', 'frozen'],
    ['open', 'debits_frozen'],
    ['frozen', 'debits_frozen'],
    ['debits_frozen', 'frozen'],
    ['frozen', 'open'],
    ['open', 'closed'],
    ['frozen', 'closed'],
  ] as const)('from %s to %s is an entry that moves nothing', (before, status) => {
    const change = { kind: 'status', version: 5n, status, overdraftLimitMinor: 500n, reference: 'case 7' }
    expect(setStatus({ status: before }, status)).toMatchObject({
      accepted: true,
      facts: [
        {
          ...{ type: 'change', id: 'c1', createdAt: at, clientId: 'client of eva', change },
          from: { status, version: 5n, balanceMinor: 0n },
          to: { id: world, version: 4n },
          entries: [{ accountId: 'eva', version: 5n, amountMinor: 0n, balanceMinor: 0n, heldMinor: 0n }],
        },
      ],
    })
  })
})

describe('overdraft limit', () => {
  test.each([
    ['account_closed', { status: 'closed' }, 500n],
    ['overdraft_in_use', { balanceMinor: -300n }, 299n],
    ['overdraft_in_use', { balanceMinor: 100n, heldMinor: 400n }, 299n],
  ] as [Rejection, Partial<Account>, bigint][])('%s: %p to %p', (rejection, eva, limit) => {
    expect(setOverdraft(eva, limit)).toEqual({ accepted: false, rejection } as never)
  })

  test('the same limit changes nothing', () => {
    expect(setOverdraft({}, 500n)).toEqual(unchanged)
  })

  test.each([
    [{ balanceMinor: -300n }, 300n],
    [{ balanceMinor: 100n, heldMinor: 400n }, 300n],
    [{ status: 'frozen' }, 0n],
    [{}, 999_999_999_999_999n],
  ] as [Partial<Account>, bigint][])(
    'of %p becomes %p; that of the opening is kept',
    (eva, overdraftLimitMinor) => {
      expect(setOverdraft(eva, overdraftLimitMinor)).toMatchObject({
        facts: [
          {
            from: { overdraftLimitMinor, openingLimitMinor: 500n, version: 5n },
            change: { kind: 'overdraft', overdraftLimitMinor, status: eva.status ?? 'open' },
          },
        ],
      })
      const again = { ...eva, overdraftLimitMinor: 700n, openingLimitMinor: 500n }
      expect(setOverdraft(again, overdraftLimitMinor)).toMatchObject({
        facts: [{ from: { openingLimitMinor: 500n } }],
      })
    },
  )
})

test.each([world, 'missing'])('there is no account %s to change', (accountId) => {
  const accounts = accountsOf(account('eva'))
  const refused = { accepted: false, rejection: 'account_not_found' } as const
  expect(decideStatus({ type: 'status', ...common, accountId, status: 'frozen' }, accounts, at)).toEqual(
    refused,
  )
  expect(
    decideOverdraft({ type: 'overdraft', ...common, accountId, overdraftLimitMinor: 1n }, accounts, at),
  ).toEqual(refused)
})

describe('a client', () => {
  const eva: Client = {
    id: 'c',
    name: 'Eva',
    email: 'eva@example.com',
    version: 1n,
    actor: null,
    changedActor: null,
    createdAt: at,
    updatedAt: at,
    erasedAt: null,
  }
  const update = (name: string | null, email: string | null, clientId = 'c') =>
    decideUpdate({ type: 'update', id: 'u1', clientId, name, email }, new Map([['c', eva]]), later)

  test('that does not exist is not changed', () => {
    expect(update('Eva', null, 'd')).toEqual({ accepted: false, rejection: 'client_not_found' })
  })
  test.each([
    [null, null],
    ['Eva', null],
    ['Eva', 'eva@example.com'],
  ])('%p, %p: what is so already changes nothing', (name, email) => {
    expect(update(name, email)).toEqual(unchanged)
  })
  test.each([
    ['Eva Maria', null, { name: 'Eva Maria' }],
    [null, 'eva@example.org', { email: 'eva@example.org' }],
    ['Eva Maria', 'eva@example.org', { name: 'Eva Maria', email: 'eva@example.org' }],
  ] as [string | null, string | null, Partial<Client>][])(
    '%p, %p: what is named changes, and the version',
    (name, email, changed) => {
      const client = { ...eva, ...changed, version: 2n, updatedAt: later }
      const facts = [{ type: 'update', id: 'u1', createdAt: later, client }]
      expect(update(name, email)).toEqual({ accepted: true, facts } as never)
    },
  )

  const erase = (client: Client, clientId = 'c') =>
    decideErasure({ type: 'erasure', id: 'e1', clientId }, new Map([['c', client]]), later)
  const gone = { name: null, email: null, version: 2n, updatedAt: later, erasedAt: later }
  const erased: Client = { ...eva, ...gone }

  test('is erased as its last version', () => {
    const facts = [{ type: 'erasure', id: 'e1', createdAt: later, client: erased }]
    expect(erase(eva)).toEqual({ accepted: true, facts } as never)
    expect(erase(eva, 'd')).toEqual({ accepted: false, rejection: 'client_not_found' })
  })
  test('that was erased is so already, and has no other name again', () => {
    expect(erase(erased)).toEqual(unchanged)
    const update = { type: 'update', id: 'u1', clientId: 'c', name: 'Eva', email: null } as const
    const clients = new Map([['c', erased]])
    expect(decideUpdate(update, clients, later)).toEqual({ accepted: false, rejection: 'client_erased' })
  })
})

/** Movements between two accounts, by what they do. Eva pays, Frank is paid. */
const parties = { accountIdFrom: 'eva', accountIdTo: 'frank', currency: 'BRL' }
const remarks = { reference: null, metadata: null, effectiveAt: null }
const ofHold = { holdId: 'h1', accountIdFrom: 'eva', accountIdTo: 'frank' }
const movements: Record<string, Command> = {
  transfer: { type: 'transfer', id: 'x', kind: 'transfer', ...parties, ...remarks, amountMinor: 10n },
  withdrawal: {
    ...{ type: 'transfer', id: 'x', kind: 'withdrawal', ...parties, ...remarks, amountMinor: 10n },
    accountIdTo: world,
  },
  deposit: {
    ...{ type: 'transfer', id: 'x', kind: 'deposit', ...parties, ...remarks, amountMinor: 10n },
    accountIdFrom: world,
  },
  hold: { type: 'hold', id: 'x', ...parties, ...remarks, toWorld: false, amountMinor: 10n, expiresAt: null },
  capture: { type: 'capture', id: 'x', ...ofHold, ...remarks, amountMinor: null },
  reversal: {
    ...{ type: 'reversal', id: 'x', reverses: 't1', ...remarks, amountMinor: null },
    ...{ accountIdFrom: 'eva', accountIdTo: 'frank' },
  },
  release: { type: 'release', id: 'x', ...ofHold, reason: 'released' },
  expiry: { type: 'release', id: 'x', ...ofHold, reason: 'expired' },
  extension: { type: 'extension', id: 'x', ...ofHold, expiresAt: new Date(later.getTime() + 1) },
}

/** Frank once paid Eva 10, which she may have to give back, and she has promised him 10. */
function bookOf(eva: AccountStatus, frank: AccountStatus): Book {
  const paid = {
    ...{
      id: 't1',
      leg: 0,
      kind: 'transfer' as const,
      accountIdFrom: 'frank',
      accountIdTo: 'eva',
      amountMinor: 10n,
    },
    ...{ versionFrom: 1n, versionTo: 1n, currency: 'BRL', reference: null, metadata: null, reverses: null },
    ...{ holdId: null, actor: null, effectiveAt: at, createdAt: at },
  }
  const book = emptyBook(
    accountsOf(
      account('eva', { status: eva, balanceMinor: 100n, heldMinor: 10n }),
      account('frank', { status: frank }),
    ),
  )
  book.originals.set('t1', { legs: [paid], reversedMinor: 0n })
  book.holds.set('h1', {
    ...{ id: 'h1', accountIdFrom: 'eva', accountIdTo: 'frank', amountMinor: 10n, currency: 'BRL' },
    ...{ reference: null, metadata: null, expiresAt: later, expiresAtPlaced: null, createdAt: at },
    ...{ status: 'placed', capturedMinor: null, endedBy: null, endedAt: null },
    ...{ versionPlaced: 2n, versionExtended: null, versionEnded: null },
    ...{ actor: null, extendedActor: null, endedActor: null },
  })
  return book
}

const payments = ['transfer', 'hold', 'capture', 'reversal']

/** What a freeze or a closing stops, as the documentation has it. */
function expectedOf(name: string, eva: AccountStatus, frank: AccountStatus): string {
  const isOut = payments.includes(name) || name === 'withdrawal'
  const isIn = payments.includes(name)
  if (isOut && eva === 'closed') return 'account_from_closed'
  if (isIn && frank === 'closed') return 'account_to_closed'
  if (name === 'deposit') {
    if (frank === 'closed') return 'account_to_closed'
    return frank === 'frozen' ? 'account_to_frozen' : 'accepted'
  }
  if (isOut && eva !== 'open') return 'account_from_frozen'
  return isIn && frank === 'frozen' ? 'account_to_frozen' : 'accepted'
}

test.each(Object.keys(movements))('what the status of either account does to a %s', (name) => {
  for (const eva of accountStatuses)
    for (const frank of accountStatuses) {
      const command = movements[name] as Command
      const time = name === 'expiry' ? later : at
      const { results } = decideAll({ commands: [command], atomic: true }, bookOf(eva, frank), time)
      const [result] = results
      const outcome = result?.kind === 'rejected' ? result.rejection : 'accepted'
      expect([eva, frank, outcome]).toEqual([eva, frank, expectedOf(name, eva, frank)])
    }
})

test('an expiry sweep that read a hold before it was extended ends nothing', () => {
  const book = bookOf('open', 'open')
  const { results, facts } = decideAll({ commands: [movements.expiry as Command], atomic: true }, book, at)
  expect([results[0]?.kind, facts.length]).toEqual(['hold', 0])
  expect(book.holds.get('h1')).toMatchObject({ status: 'placed' })
})

test('for any changes: none of a closed account, versions without gaps, and limits that hold', () => {
  const names = ['eva', 'frank']
  const step = fc.record({
    do: fc.constantFrom('transfer', 'hold', 'status', 'status', 'overdraft', 'release', 'extension'),
    on: fc.constantFrom(...names),
    status: fc.constantFrom(...accountStatuses),
    minor: fc.bigInt({ min: 0n, max: 700n }),
    which: fc.nat(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const book = bookOf('open', 'open')
      for (const [index, { do: type, on, status, minor, which }] of steps.entries()) {
        const id = `s${index}`
        const other = on === 'eva' ? 'frank' : 'eva'
        const common = { id, accountId: on, currency: 'BRL', reference: null }
        const between = { accountIdFrom: on, accountIdTo: other, currency: 'BRL', amountMinor: minor }
        const hold = [...book.holds.values()][which % book.holds.size]
        const held = {
          holdId: hold?.id ?? '',
          accountIdFrom: hold?.accountIdFrom ?? '',
          accountIdTo: hold?.accountIdTo ?? '',
        }
        const command = {
          transfer: { type: 'transfer', id, kind: 'transfer', ...between, ...remarks },
          hold: { type: 'hold', id, ...between, ...remarks, toWorld: false, expiresAt: later },
          status: { type: 'status', ...common, status },
          overdraft: { type: 'overdraft', ...common, overdraftLimitMinor: minor },
          release: { type: 'release', id, ...held, reason: 'released' },
          extension: { type: 'extension', id, ...held, expiresAt: new Date(later.getTime() + which) },
        }[type] as Command
        const before = new Map(book.accounts)
        const { facts } = decideAll({ commands: [command], atomic: true }, book, at)
        for (const fact of facts) {
          if (!('entries' in fact)) throw new Error('not a movement')
          for (const { accountId, version, amountMinor } of fact.entries) {
            const was = before.get(accountId) as Account
            expect(version).toBe(was.version + 1n)
            expect(was.status).not.toBe('closed')
            if (was.status !== 'open') expect(amountMinor).toBeGreaterThanOrEqual(0n)
            if (was.status === 'frozen') expect(amountMinor).toBeLessThanOrEqual(0n)
          }
        }
        for (const { status, balanceMinor, heldMinor, overdraftLimitMinor } of book.accounts.values()) {
          if (status === 'closed') expect([balanceMinor, heldMinor]).toEqual([0n, 0n])
          if (overdraftLimitMinor !== null)
            expect(balanceMinor - heldMinor).toBeGreaterThanOrEqual(-overdraftLimitMinor)
        }
      }
    }),
    { numRuns: 300 },
  )
})
