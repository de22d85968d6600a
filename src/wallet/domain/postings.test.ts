import { describe, expect, test } from 'bun:test'
import { testAccount as account } from '../../testing/accounts'
import { type Account, balanceMinorMax } from './account'
import { decidePostings, type Posting, type PostMoney } from './postings'
import { decideReversal } from './reversal'
import type { Legs } from './types'

const at = new Date('2026-02-01T00:00:00Z')

const people = () =>
  new Map(
    [
      account('eva', 100n),
      account('frank', 0n),
      account('fees', 0n),
      account('promised', 100n, { heldMinor: 90n }),
      account('tokyo', 100n, { currency: 'JPY' }),
      account('full', balanceMinorMax),
      account('frozen', 100n, { status: 'debits_frozen' }),
      account('closed', 0n, { status: 'closed' }),
      account('world', -2000n, { overdraftLimitMinor: null }),
    ].map((one) => [one.id, one]),
  )

type Leg = [from: string, to: string, amount: bigint, kind?: Posting['kind']]

const command = (legs: Leg[], more: Partial<PostMoney> = {}): PostMoney => ({
  type: 'postings',
  id: 'p1',
  postings: legs.map(([accountIdFrom, accountIdTo, amountMinor, kind = 'transfer']) => ({
    kind,
    accountIdFrom,
    accountIdTo,
    amountMinor,
  })),
  currency: 'BRL',
  reference: 'order 1',
  metadata: { order: 1 },
  effectiveAt: null,
  ...more,
})
const post = (...legs: Leg[]) => decidePostings(command(legs), people(), at)

test('each leg is two entries, and an account in several legs has one for each', () => {
  const decision = post(['eva', 'frank', 80n], ['eva', 'fees', 2n], ['frank', 'eva', 5n])
  if (!decision.accepted) throw new Error('refused')
  expect(decision.facts.flatMap(({ entries }) => entries)).toEqual(
    [
      ['eva', 5n, -80n, 20n],
      ['frank', 5n, 80n, 80n],
      ['eva', 6n, -2n, 18n],
      ['fees', 5n, 2n, 2n],
      ['frank', 6n, -5n, 75n],
      ['eva', 7n, 5n, 23n],
    ].map(([accountId, version, amountMinor, balanceMinor]) => ({
      accountId,
      version,
      amountMinor,
      balanceMinor,
      heldMinor: 0n,
    })) as never,
  )
})

test('the legs are one transaction: same id, remarks and times; the first fact has all of them', () => {
  const decision = post(['eva', 'frank', 80n], ['eva', 'fees', 2n])
  if (!decision.accepted) throw new Error('refused')
  const { facts } = decision
  const shared = { id: 'p1', kind: 'postings', reference: 'order 1', metadata: { order: 1 }, currency: 'BRL' }
  const times = { effectiveAt: at, createdAt: at, reverses: null, holdId: null, actor: null }
  expect(facts.map((fact) => fact.transaction)).toEqual(
    [
      { leg: 0, accountIdTo: 'frank', amountMinor: 80n, versionFrom: 5n, versionTo: 5n },
      { leg: 1, accountIdTo: 'fees', amountMinor: 2n, versionFrom: 6n, versionTo: 5n },
    ].map((leg) => ({ ...shared, ...times, accountIdFrom: 'eva', ...leg })) as never,
  )
  const all = facts.map((fact) => fact.transaction)
  expect(facts.map((fact) => fact.type === 'leg' && fact.whole)).toEqual([all, null] as never)
})

test('each leg has to be covered when it is its turn', () => {
  expect(post(['eva', 'frank', 80n], ['frank', 'fees', 80n]).accepted).toBe(true)
  expect(post(['frank', 'fees', 80n], ['eva', 'frank', 80n])).toEqual({
    accepted: false,
    rejection: 'insufficient_funds',
    leg: 0,
  })
})

test('money may enter and leave in the same transaction', () => {
  const decision = post(['world', 'eva', 50n, 'deposit'], ['eva', 'world', 150n, 'withdrawal'])
  expect(decision).toMatchObject({ accepted: true, facts: [{}, { from: { id: 'eva', balanceMinor: 0n } }] })
})

describe('refusals name the first leg that cannot be executed', () => {
  const refusals: [string, number, ...Leg[]][] = [
    ['amount_not_positive', 1, ['eva', 'frank', 1n], ['eva', 'frank', 0n], ['eva', 'eva', 1n]],
    ['accounts_not_different', 1, ['eva', 'frank', 1n], ['eva', 'eva', 1n]],
    ['account_from_not_found', 1, ['eva', 'frank', 1n], ['missing', 'eva', 1n]],
    ['account_from_not_found', 0, ['world', 'frank', 1n], ['eva', 'frank', 1n]],
    ['account_to_not_found', 1, ['eva', 'frank', 1n], ['eva', 'missing', 1n]],
    ['currency_not_equal', 1, ['eva', 'frank', 1n], ['eva', 'tokyo', 1n]],
    ['account_from_frozen', 1, ['eva', 'frank', 1n], ['frozen', 'eva', 1n]],
    ['account_to_closed', 1, ['eva', 'frank', 1n], ['eva', 'closed', 1n]],
    ['insufficient_funds', 2, ['eva', 'frank', 60n], ['eva', 'fees', 40n], ['eva', 'fees', 1n]],
    ['insufficient_funds', 1, ['eva', 'frank', 1n], ['promised', 'frank', 11n]],
    ['balance_limit_reached', 1, ['eva', 'frank', 1n], ['eva', 'full', 1n]],
  ]
  test.each(refusals)('%s, leg %p: %p', (rejection, leg, ...legs) => {
    const accounts = people()
    expect(decidePostings(command(legs), accounts, at)).toEqual({ accepted: false, rejection, leg } as never)
    expect(accounts).toEqual(people())
  })

  test('it may not count from before one of the accounts was opened', () => {
    const young = people().set('fees', account('fees', 0n, { createdAt: at }))
    const effectiveAt = new Date(at.getTime() - 1)
    const legs: Leg[] = [
      ['eva', 'frank', 1n],
      ['eva', 'fees', 1n],
    ]
    const refusal = { accepted: false, rejection: 'effective_before_opening', leg: 1 } as const
    expect(decidePostings(command(legs, { effectiveAt }), young, at)).toEqual(refusal)
  })
})

test('after the clock was set back, all legs count from the same time', () => {
  const young = people().set('fees', account('fees', 0n, { createdAt: new Date(at.getTime() + 5000) }))
  const legs: Leg[] = [
    ['eva', 'frank', 1n],
    ['eva', 'fees', 1n],
  ]
  const decision = decidePostings(command(legs), young, at)
  if (!decision.accepted) throw new Error('refused')
  const times = decision.facts.map(({ transaction }) => transaction?.effectiveAt)
  expect(times).toEqual([young.get('fees')?.createdAt, young.get('fees')?.createdAt])
})

describe('reversal', () => {
  const posted = (...legs: Leg[]) => {
    const accounts = people()
    const decision = decidePostings(command(legs), accounts, at)
    if (!decision.accepted) throw new Error('refused')
    for (const { from, to } of decision.facts) accounts.set(from.id, from).set(to.id, to)
    return { accounts, legs: decision.facts.map((fact) => fact.transaction) as unknown as Legs }
  }
  const reverse = (
    { accounts, legs }: ReturnType<typeof posted>,
    { amountMinor = null, reversedMinor = 0n }: { amountMinor?: bigint | null; reversedMinor?: bigint } = {},
  ) => {
    const remarks = { reference: null, metadata: null, effectiveAt: null }
    const parties = { accountIdFrom: '', accountIdTo: '' }
    const reversal = {
      type: 'reversal',
      id: 'r1',
      reverses: 'p1',
      ...parties,
      amountMinor,
      ...remarks,
    } as const
    return decideReversal(reversal, { legs, reversedMinor }, accounts, at)
  }

  test('every leg goes back, the last one first', () => {
    const before = posted(['eva', 'frank', 80n], ['frank', 'fees', 3n])
    const decision = reverse(before)
    if (!decision.accepted) throw new Error('refused')
    expect(decision.facts.map(({ transaction }) => transaction)).toMatchObject([
      {
        id: 'r1',
        leg: 0,
        kind: 'reversal',
        reverses: 'p1',
        accountIdFrom: 'fees',
        accountIdTo: 'frank',
        amountMinor: 3n,
      },
      {
        id: 'r1',
        leg: 1,
        kind: 'reversal',
        reverses: 'p1',
        accountIdFrom: 'frank',
        accountIdTo: 'eva',
        amountMinor: 80n,
      },
    ])
    for (const { from, to } of decision.facts)
      before.accounts.set(from.id, from as Account).set(to.id, to as Account)
    for (const [id, { balanceMinor }] of people())
      expect(before.accounts.get(id)).toMatchObject({ balanceMinor })
  })

  test('only as a whole, and once', () => {
    const before = posted(['eva', 'frank', 80n], ['eva', 'fees', 3n])
    const refused = (asked: Parameters<typeof reverse>[1]) => reverse(before, asked)
    expect(refused({ amountMinor: 83n })).toEqual({ accepted: false, rejection: 'reversal_not_whole' })
    expect(refused({ amountMinor: 0n })).toEqual({ accepted: false, rejection: 'amount_not_positive' })
    expect(refused({ amountMinor: 1n, reversedMinor: 83n })).toMatchObject({
      rejection: 'reversal_not_whole',
    })
    expect(refused({ reversedMinor: 83n })).toMatchObject({ rejection: 'transaction_already_reversed' })
  })

  test('a refusal names the leg of the original', () => {
    const before = posted(['eva', 'frank', 80n], ['eva', 'fees', 3n])
    before.accounts.set('frank', account('frank', 79n))
    expect(reverse(before)).toEqual({ accepted: false, rejection: 'insufficient_funds', leg: 0 })
  })
})
