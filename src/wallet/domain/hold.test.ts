import { describe, expect, test } from 'bun:test'
import { testAccount as account } from '../../testing/accounts'
import { type Account, balanceMinorMax } from './account'
import { asPlaced, decideCapture, decideExtension, decideHold, decideRelease } from './hold'
import type { Hold } from './types'

const at = new Date('2026-02-01T00:00:00Z')
const later = new Date('2026-02-08T00:00:00Z')

const people = () =>
  new Map(
    [
      account('eva', 800n, { heldMinor: 300n }),
      account('frank', 0n),
      account('tokyo', 100n, { currency: 'JPY' }),
      account('full', balanceMinorMax),
      account('promising', balanceMinorMax, {
        heldMinor: balanceMinorMax - 1n,
        overdraftLimitMinor: balanceMinorMax,
      }),
      account('wide', 0n, { overdraftLimitMinor: balanceMinorMax }),
      account('world', 0n, { overdraftLimitMinor: null }),
    ].map((one) => [one.id, one]),
  )

describe('placing', () => {
  const place = (accountIdFrom: string, accountIdTo: string, amountMinor: bigint, toWorld = false) =>
    decideHold(
      {
        type: 'hold',
        id: 'h1',
        accountIdFrom,
        accountIdTo,
        toWorld,
        amountMinor,
        currency: 'BRL',
        reference: 'hotel',
        metadata: null,
        expiresAt: later,
      },
      people(),
      at,
    )

  // Each line breaks one rule and, where it can, those below it, so the table also pins the order
  // of the checks.
  test.each([
    ['amount_not_positive', 'missing', 'missing', 0n, false],
    ['accounts_not_different', 'missing', 'missing', 901n, false],
    ['account_from_not_found', 'missing', 'no one', 901n, false],
    ['account_from_not_found', 'world', 'no one', 901n, false],
    ['account_to_not_found', 'tokyo', 'no one', 901n, false],
    ['account_to_not_found', 'tokyo', 'world', 901n, false],
    ['account_to_not_found', 'tokyo', 'frank', 901n, true],
    ['currency_not_equal', 'eva', 'tokyo', 901n, false],
    ['insufficient_funds', 'eva', 'frank', 501n, false],
    ['insufficient_funds', 'eva', 'world', 501n, true],
    ['insufficient_funds', 'wide', 'frank', balanceMinorMax + 1n, false],
    ['balance_limit_reached', 'promising', 'frank', 2n, false],
    ['balance_limit_reached', 'promising', 'world', balanceMinorMax, true],
  ] as const)('%s: %s for %s, %p', (rejection, from, to, amountMinor, toWorld) => {
    expect(place(from, to, amountMinor, toWorld)).toEqual({ accepted: false, rejection })
  })

  test('what is held stays in the balance and is no longer available; the payee stands as before', () => {
    expect(place('eva', 'frank', 500n)).toMatchObject({
      accepted: true,
      facts: [
        {
          type: 'hold',
          id: 'h1',
          entries: [{ accountId: 'eva', version: 5n, amountMinor: 0n, balanceMinor: 800n, heldMinor: 800n }],
          to: { id: 'frank', version: 4n },
          hold: {
            status: 'placed',
            amountMinor: 500n,
            versionPlaced: 5n,
            versionEnded: null,
            capturedMinor: null,
          },
        },
      ],
    })
  })

  test.each([
    ['promising', 1n, balanceMinorMax],
    ['wide', balanceMinorMax, balanceMinorMax],
  ] as const)('as much can be held of %s as has 15 digits', (from, amountMinor, heldMinor) => {
    expect(place(from, 'frank', amountMinor)).toMatchObject({
      accepted: true,
      facts: [{ from: { heldMinor } }],
    })
  })

  test('it may be for a payment to the outside', () => {
    expect(place('eva', 'world', 500n, true).accepted).toBe(true)
  })
})

/** Eva promised 300. */
const placed: Hold = {
  id: 'h1',
  accountIdFrom: 'eva',
  accountIdTo: 'frank',
  amountMinor: 300n,
  currency: 'BRL',
  reference: 'hotel',
  metadata: { nights: 2 },
  expiresAt: later,
  expiresAtPlaced: null,
  createdAt: at,
  status: 'placed',
  capturedMinor: null,
  endedBy: null,
  endedAt: null,
  versionPlaced: 4n,
  versionExtended: null,
  versionEnded: null,
  actor: 'shop',
  extendedActor: null,
  endedActor: null,
}

type Case = {
  amountMinor?: bigint | null
  hold?: Partial<Hold>
  to?: string
  now?: Date
  effectiveAt?: Date | null
}

const partiesOf = (to: string) => {
  const accounts = people()
  return { from: accounts.get('eva') as Account, to: accounts.get(to) as Account }
}

describe('capturing', () => {
  test('it counts from when the hold was placed, at the earliest', () => {
    const early = new Date(at.getTime() - 1)
    const refused = { accepted: false, rejection: 'effective_before_hold' } as const
    expect(capture({ effectiveAt: early, to: 'full' })).toEqual(refused)
    expect(capture({ effectiveAt: early, amountMinor: 301n })).toMatchObject({
      rejection: 'amount_exceeds_hold',
    })
    expect(capture({ effectiveAt: at })).toMatchObject({ facts: [{ transaction: { effectiveAt: at } }] })
    expect(capture({ now: early })).toMatchObject({
      facts: [{ transaction: { effectiveAt: at, createdAt: early } }],
    })
  })

  const capture = ({ amountMinor = null, hold = {}, to = 'frank', now = at, effectiveAt = null }: Case) =>
    decideCapture(
      {
        type: 'capture',
        id: 'c1',
        holdId: 'h1',
        accountIdFrom: 'eva',
        accountIdTo: to,
        amountMinor,
        reference: null,
        metadata: null,
        effectiveAt,
      },
      { ...placed, ...hold },
      partiesOf(to),
      now,
    )

  const refusals: [string, Case][] = [
    ['amount_not_positive', { amountMinor: 0n, hold: { status: 'captured' }, now: later, to: 'full' }],
    ['hold_already_captured', { amountMinor: 301n, hold: { status: 'captured' }, now: later, to: 'full' }],
    ['hold_already_released', { amountMinor: 301n, hold: { status: 'released' }, now: later, to: 'full' }],
    ['hold_expired', { amountMinor: 301n, hold: { status: 'expired' }, now: later, to: 'full' }],
    ['hold_expired', { amountMinor: 301n, now: later, to: 'full' }],
    ['amount_exceeds_hold', { amountMinor: 301n, to: 'full' }],
    ['balance_limit_reached', { amountMinor: 300n, to: 'full' }],
  ]
  test.each(refusals)('%s: %p', (rejection, asked) => {
    expect(capture(asked)).toEqual({ accepted: false, rejection } as never)
  })

  test.each([
    [null, 300n],
    [300n, 300n],
    [1n, 1n],
  ])('%p of it is paid, and the rest is available again', (amountMinor, paidMinor) => {
    expect(capture({ amountMinor })).toMatchObject({
      accepted: true,
      facts: [
        {
          type: 'capture',
          from: { balanceMinor: 800n - paidMinor, heldMinor: 0n, version: 5n },
          to: { balanceMinor: paidMinor, version: 5n },
          entries: [{ amountMinor: -paidMinor, heldMinor: 0n }, { amountMinor: paidMinor }],
          transaction: { kind: 'capture', holdId: 'h1', reference: 'hotel', metadata: { nights: 2 } },
          hold: {
            status: 'captured',
            capturedMinor: paidMinor,
            endedBy: 'c1',
            endedAt: at,
            versionEnded: 5n,
          },
        },
      ],
    })
  })
})

describe('extending', () => {
  const extend = (hold: Partial<Hold>, expiresAt: Date, now = at) =>
    decideExtension(
      { type: 'extension', id: 'x1', holdId: 'h1', accountIdFrom: 'eva', accountIdTo: 'frank', expiresAt },
      { ...placed, ...hold },
      partiesOf('frank'),
      now,
    )
  const [sooner, muchLater] = [new Date(later.getTime() - 1), new Date(later.getTime() + 1)]

  test.each([
    ['hold_already_captured', { status: 'captured' }, sooner, later],
    ['hold_already_released', { status: 'released' }, sooner, later],
    ['hold_expired', { status: 'expired' }, sooner, later],
    ['hold_expired', {}, sooner, later],
    ['expires_at_not_later', {}, sooner, at],
  ] as const)('%s: %p', (rejection, hold, expiresAt, now) => {
    expect(extend(hold, expiresAt, now)).toEqual({ accepted: false, rejection })
  })

  test('to the same time changes nothing', () => {
    expect(extend({}, later)).toEqual({ accepted: true, facts: [] })
  })

  test('it is an entry that moves nothing; the first expiry is kept', () => {
    const change = { id: 'x1', kind: 'expiry', version: 5n, holdId: 'h1', expiresAt: muchLater }
    const extended = { expiresAt: muchLater, expiresAtPlaced: later, versionExtended: 5n, status: 'placed' }
    const decision = extend({}, muchLater)
    expect(decision).toMatchObject({
      accepted: true,
      facts: [
        {
          ...{ type: 'extension', id: 'x1', hold: extended, change, to: { version: 4n } },
          entries: [{ accountId: 'eva', version: 5n, amountMinor: 0n, balanceMinor: 800n, heldMinor: 300n }],
        },
      ],
    })
    if (!decision.accepted || !decision.facts[0]?.hold) throw new Error('refused')
    expect(asPlaced(decision.facts[0].hold)).toEqual(placed)
    expect(extend(decision.facts[0].hold, new Date(later.getTime() + 2))).toMatchObject({
      facts: [{ hold: { expiresAtPlaced: later } }],
    })
  })
})

describe('releasing', () => {
  const release = (hold: Partial<Hold>, reason: 'released' | 'expired' = 'released', now = at) =>
    decideRelease(
      { type: 'release', id: 'r1', holdId: 'h1', accountIdFrom: 'eva', accountIdTo: 'frank', reason },
      { ...placed, ...hold },
      partiesOf('frank'),
      now,
    )

  test.each([
    ['hold_already_captured', 'captured'],
    ['hold_already_released', 'released'],
    ['hold_expired', 'expired'],
  ] as const)('%s: a hold ends once', (rejection, status) => {
    expect(release({ status })).toEqual({ accepted: false, rejection })
  })

  test.each([
    ['released', at],
    ['released', later],
    ['expired', later],
  ] as const)('what was held is available again: %s', (reason, now) => {
    expect(release({}, reason, now)).toMatchObject({
      accepted: true,
      facts: [
        {
          type: 'release',
          id: 'r1',
          entries: [{ accountId: 'eva', version: 5n, amountMinor: 0n, balanceMinor: 800n, heldMinor: 0n }],
          to: { version: 4n },
          hold: { status: reason, capturedMinor: 0n, endedBy: 'r1', endedAt: now },
        },
      ],
    })
  })

  test('an ended hold can be restored as it was placed', () => {
    const released = release({})
    if (!released.accepted || !released.facts[0]?.hold) throw new Error('refused')
    expect(asPlaced(released.facts[0].hold)).toEqual(placed)
  })
})
