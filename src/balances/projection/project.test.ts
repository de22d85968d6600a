import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { decodeRecord } from '../../contract/wire/envelope'
import { isAtOdds, mergeBalances } from '../../testing/merge-rule'
import { project } from './project'
import { accountsIn, accountsToLoad } from './sides'
import type { BalanceRow, EntryRow, ProjectedAccount, Reading } from './types'

const at = (second: number) => new Date(Date.UTC(2024, 0, 27, 17, 0, second)).toISOString()

/** The origin of a record is its offset, and its timestamp that many seconds past the hour. */
const readAll = (values: unknown[]): Reading<number>[] =>
  values.map((value, origin) => {
    const timestampMs = Date.parse(at(origin))
    const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
    return { decoded: decodeRecord({ value: bytes }), timestampMs, origin }
  })

const projecting = (values: unknown[], known: Record<string, ProjectedAccount> = {}) =>
  project(readAll(values), new Map(Object.entries(known)))

const course = (from: string, to: string, balanceFrom: number, balanceTo: number, extra: object = {}) => ({
  Name: 'BalanceUpdated',
  Payload: {
    account_id_from: from,
    account_id_to: to,
    balance_account_id_from: balanceFrom,
    balance_account_id_to: balanceTo,
    ...extra,
  },
})

const versions = (versionFrom: number, versionTo: number, extra: object = {}) => ({
  version_account_id_from: versionFrom,
  version_account_id_to: versionTo,
  currency: 'BRL',
  created_at: at(50),
  ...extra,
})

const opened = (id: string, extra: object = {}) => ({
  Name: 'AccountOpened',
  Payload: { id, client_id: 'eva', currency: 'BRL', created_at: at(59), ...extra },
})

const recorded = (id: string, name: string, version = 1) => ({
  Name: 'PersonalDataRecorded',
  Payload: {
    ...{ change_id: `change ${version}`, id, name, email: `${id}@email.com`, version },
    created_at: at(version),
  },
})
const erased = (id: string, version: number) => ({
  Name: 'PersonalDataErased',
  Payload: { change_id: `change ${version}`, id, version, created_at: at(version) },
})

/** `account version amount balance held`, in the order of the log. */
const briefEntries = (rows: EntryRow[]) =>
  rows.map((row) =>
    [row.accountId, row.version, row.amountMinor ?? '?', row.balanceMinor, row.heldMinor].join(' '),
  )

/** `account version currency minor`, in the order of the accounts. */
const brief = (rows: BalanceRow[]) =>
  rows.map((row) => `${row.accountId} ${row.version} ${row.currency} ${row.balanceMinor}`).sort()

const tables: {
  name: string
  given?: Record<string, ProjectedAccount>
  when: unknown[]
  expected: string[]
}[] = [
  { name: 'nothing comes of nothing', when: [], expected: [] },
  {
    name: 'a balance creates an account that was not opened yet',
    when: [course('a', 'b', 775, 1225)],
    expected: ['a 1 BRL 77500', 'b 1 BRL 122500'],
  },
  {
    name: 'without versions each record is the next version, in log order',
    when: [course('a', 'b', 100, 200), course('b', 'a', 150, 150), course('a', 'c', 140, 10)],
    expected: ['a 3 BRL 14000', 'b 2 BRL 15000', 'c 1 BRL 1000'],
  },
  {
    name: 'without versions numbering continues from the stored version',
    given: { a: { version: 7n, currency: 'BRL', balanceMinor: 0n, source: null } },
    when: [course('a', 'b', 1, 2), course('a', 'b', 3, 4)],
    expected: ['a 9 BRL 300', 'b 2 BRL 400'],
  },
  {
    name: 'the higher version wins in any order',
    when: [course('a', 'b', 5, 6, versions(3, 1)), course('a', 'b', 9, 9, versions(2, 2))],
    expected: ['a 3 BRL 500', 'b 2 BRL 900'],
  },
  {
    name: 'the same version again changes nothing',
    when: [course('a', 'b', 5, 6, versions(1, 1)), course('a', 'b', 7, 8, versions(1, 1))],
    expected: ['a 1 BRL 500', 'b 1 BRL 600'],
  },
  {
    name: 'a record without version follows the stored version, with or without a source',
    given: {
      a: { version: 2n, currency: 'BRL', balanceMinor: 0n, source: null },
      b: { version: 8n, currency: 'BRL', balanceMinor: 0n, source: 'versionless' },
    },
    when: [course('a', 'b', 2, 2)],
    expected: ['a 3 BRL 200', 'b 9 BRL 200'],
  },
  {
    name: 'a movement within one account counts with its second balance',
    when: [course('a', 'a', 90, 110), course('a', 'a', 80, 120)],
    expected: ['a 2 BRL 12000'],
  },
  {
    name: 'fractions are exact',
    when: [course('a', 'b', 999.5, 0.29)],
    expected: ['a 1 BRL 99950', 'b 1 BRL 29'],
  },
  {
    name: '`world` may be negative',
    when: [course('world', 'b', -1000, 1000)],
    expected: ['b 1 BRL 100000', 'world 1 BRL -100000'],
  },
  {
    name: 'member names that some public wallets swap are accepted',
    when: [
      {
        Name: 'BalanceUpdated',
        Payload: {
          account_from_id: 'a',
          account_to_id: 'b',
          balance_account_from: 1,
          balance_account_to: 2,
        },
      },
    ],
    expected: ['a 1 BRL 100', 'b 1 BRL 200'],
  },
  { name: 'an opened account holds nothing, at version 0', when: [opened('a')], expected: ['a 0 BRL 0'] },
  {
    name: 'a late opening leaves the balance as it is',
    when: [course('a', 'b', 5, 6, versions(1, 1)), opened('a')],
    expected: ['a 1 BRL 500', 'b 1 BRL 600'],
  },
  {
    name: 'an opening that names another currency does not exchange the balance',
    when: [course('a', 'b', 5, 6), opened('a', { currency: 'JPY' })],
    expected: ['a 1 BRL 500', 'b 1 BRL 600'],
  },
  {
    name: 'an event without currency has that of the account',
    given: { a: { version: 1n, currency: 'JPY', balanceMinor: 0n, source: null } },
    when: [course('a', 'b', 500, 6), opened('c', { currency: 'BHD' }), course('b', 'c', 7, 0.125)],
    expected: ['a 2 JPY 500', 'b 2 BRL 700', 'c 1 BHD 125'],
  },
  {
    name: 'a dead-lettered event counts as no version, on either side',
    when: [course('a', 'b', 5, 6), course('a', 'b', 1, 2.345), course('a', 'b', 7, 8)],
    expected: ['a 2 BRL 700', 'b 2 BRL 800'],
  },
  {
    name: 'a notification changes no balance',
    when: [
      {
        Name: 'TransactionCreated',
        Payload: { id: 't', account_id_from: 'a', account_id_to: 'b', amount: 25 },
      },
      { Name: 'AccountClosed', Payload: { id: 'a' } },
    ],
    expected: [],
  },
]

for (const { name, given, when, expected } of tables) {
  test(name, () => expect(brief(projecting(when, given).balances)).toEqual(expected))
}

test('an account knows its owner and its times, whichever event came first', () => {
  const row = {
    accountId: 'a',
    clientId: 'eva',
    currency: 'BRL',
    balanceMinor: 500n,
    heldMinor: 0n,
    status: 'open',
    overdraftLimitMinor: null,
    openingLimitMinor: null,
    version: 1n,
    source: 'versioned' as const,
    opened: true,
    createdAt: at(59),
    updatedAt: at(50),
  }
  const update = course('a', 'b', 5, 6, versions(1, 1))
  expect(projecting([opened('a'), update]).balances[0]).toEqual(row)
  expect(projecting([update, opened('a')]).balances[0]).toEqual(row)
})

test('an event without a time has the timestamp of its record', () => {
  const [row] = projecting([course('a', 'b', 1, 1), course('a', 'b', 2, 2)]).balances
  expect(row).toMatchObject({ createdAt: at(0), updatedAt: at(1), clientId: null, opened: false })
})

const moved = (from: string, to: string, amount: number, extra: object = {}) =>
  course(from, to, -amount, amount, versions(1, 1, { amount, transaction_id: 't', ...extra }))

const entryTables: {
  name: string
  given?: Record<string, ProjectedAccount>
  when: unknown[]
  expected: string[]
}[] = [
  {
    name: 'a movement is an entry of both',
    when: [moved('a', 'b', 5)],
    expected: ['a 1 -500 -500 0', 'b 1 500 500 0'],
  },
  {
    name: 'a hold is an entry of the payer, and none of the payee, whose version stays',
    when: [
      moved('a', 'b', 0, {
        version_account_id_from: 4,
        version_account_id_to: 7,
        held_account_id_from: 3,
        hold_id: 'h',
      }),
      moved('a', 'c', 0, {
        version_account_id_from: 5,
        version_account_id_to: 0,
        balance_account_id_to: 0,
        hold_id: 'h',
      }),
    ],
    expected: ['a 4 0 0 300', 'a 5 0 0 0'],
  },
  {
    name: 'without an amount it is the difference to the previous version, if known',
    given: { a: { version: 1n, currency: 'BRL', balanceMinor: 1000n, source: null } },
    when: [course('a', 'b', 7, 3), course('b', 'a', 1, 9)],
    expected: ['a 2 -300 700 0', 'b 1 ? 300 0', 'b 2 -200 100 0', 'a 3 200 900 0'],
  },
  {
    name: 'an account opened here starts at zero',
    when: [opened('b'), course('a', 'b', 7, 3)],
    expected: ['a 1 ? 700 0', 'b 1 300 300 0'],
  },
  {
    name: 'within one account the amount says nothing of the direction',
    given: { a: { version: 1n, currency: 'BRL', balanceMinor: 1000n, source: null } },
    when: [course('a', 'a', 90, 12, { amount: 2 })],
    expected: ['a 2 200 1200 0'],
  },
  {
    name: 'a late version is still an entry',
    when: [moved('a', 'b', 2, { version_account_id_from: 2 }), moved('a', 'b', 1)],
    expected: ['a 2 -200 -200 0', 'b 1 200 200 0', 'a 1 -100 -100 0', 'b 1 100 100 0'],
  },
  {
    name: 'versions without an amount, too',
    given: { a: { version: 1n, currency: 'BRL', balanceMinor: 1000n, source: 'versioned' } },
    when: [course('a', 'b', 7, 3, versions(2, 4)), course('a', 'b', 4, 6, versions(3, 6))],
    expected: ['a 2 -300 700 0', 'b 4 ? 300 0', 'a 3 -300 400 0', 'b 6 ? 600 0'],
  },
  { name: 'an opening is no entry', when: [opened('a')], expected: [] },
]

for (const { name, given, when, expected } of entryTables) {
  test(`entries: ${name}`, () => expect(briefEntries(projecting(when, given).entries)).toEqual(expected))
}

test('an entry has its cause, actor, counterparty and effective time', () => {
  const event = moved('a', 'b', 5, { hold_id: 'h', actor: 'shop', effective_at: at(7) })
  const [from, to] = projecting([event]).entries
  const both = { transactionId: 't', holdId: 'h', actor: 'shop', effectiveAt: at(7), createdAt: at(50) }
  expect(from).toMatchObject({ ...both, accountId: 'a', counterpartyId: 'b' })
  expect(to).toMatchObject({ ...both, accountId: 'b', counterpartyId: 'a' })
  expect(projecting([moved('a', 'b', 5, { effective_at: at(50) })]).entries[0]).toMatchObject({
    effectiveAt: null,
  })
  expect(projecting([course('a', 'a', 1, 2)]).entries).toMatchObject([
    { counterpartyId: null, transactionId: null, actor: null },
  ])
})

test('the held amount belongs to the newest version', () => {
  const hold = (version: number, held: number) =>
    course('a', 'b', 9, 9, versions(version, 1, { held_account_id_from: held, amount: 0 }))
  expect(projecting([hold(3, 2), hold(2, 5)]).balances[0]).toMatchObject({ version: 3n, heldMinor: 200n })
})

test('the newest name of a client wins, in any order, and no e-mail address is stored', () => {
  const events = [recorded('eva', 'Eva'), recorded('eva', 'Eva Maria', 2), recorded('eva', 'Eva Costa', 3)]
  for (const order of [[2, 1, 0], [0, 1, 2], [1, 2, 0], [2]]) {
    const { clients } = projecting(order.map((index) => events[index]))
    expect(clients).toEqual([{ id: 'eva', name: 'Eva Costa', version: 3n }])
  }
  expect(projecting([recorded('eva', 'Eva'), recorded('eva', 'Frank')]).clients[0]?.name).toBe('Eva')
})

test('an erased name stays erased, in any order with the records that have it', () => {
  const events = [recorded('eva', 'Eva'), recorded('eva', 'Eva Maria', 2), erased('eva', 3)]
  for (const order of [[2, 1, 0], [0, 1, 2], [1, 2, 0], [2]]) {
    const { clients } = projecting(order.map((index) => events[index]))
    expect(clients).toEqual([{ id: 'eva', name: null, version: 3n }])
  }
  // No version is newer than an erasure.
  expect(projecting([erased('eva', 3), recorded('eva', 'Eva', 4)]).clients[0]?.name).toBeNull()
  expect(projecting([recorded('eva', 'Eva', 4), erased('eva', 3)]).clients[0]?.name).toBeNull()
})

test('of registrations and changes of clients nothing is stored, not even a name in a record', () => {
  const former = { id: 'eva', name: 'Eva', email: 'eva@email.com', created_at: at(0) }
  const { clients, deadLetters, unknown } = projecting([
    { Name: 'ClientRegistered', Payload: former },
    { Name: 'ClientUpdated', Payload: { ...former, change_id: 'c', version: 2, registered_at: at(0) } },
  ])
  expect([clients, deadLetters, unknown]).toEqual([[], [], []])
})

test('status and overdraft limit belong to the newest version; the limit of the opening stays', () => {
  const terms = (version: number, status: string | undefined, limit?: number) =>
    course('a', 'b', 9, 9, {
      ...versions(version, 0, { amount: 0 }),
      ...(status && { status_account_id_from: status }),
      ...(limit !== undefined && { overdraft_limit_account_id_from: limit }),
    })
  const events = [
    opened('a', { overdraft_limit: 5 }),
    terms(1, 'frozen'),
    terms(2, 'frozen', 7.5),
    terms(3, undefined),
  ]
  const last = { status: 'open', overdraftLimitMinor: null, openingLimitMinor: 500n, version: 3n }
  for (const order of [
    [3, 2, 1, 0],
    [0, 1, 2, 3],
    [2, 0, 3, 1],
  ]) {
    const { balances, entries } = projecting(order.map((index) => events[index]))
    expect(balances.find(({ accountId }) => accountId === 'a')).toMatchObject(last)
    const shown = entries.map(({ version, status, overdraftLimitMinor }) => [
      version,
      status,
      overdraftLimitMinor,
    ])
    expect(shown.toSorted()).toEqual([
      [1n, 'frozen', null],
      [2n, 'frozen', 750n],
      [3n, null, null],
    ])
  }
  expect(projecting(events.slice(0, 3)).balances[0]).toMatchObject({
    status: 'frozen',
    overdraftLimitMinor: 750n,
    openingLimitMinor: 500n,
  })
})

test('an event of an unknown name is skipped and reported', () => {
  expect(projecting([{ Name: 'AccountClosed', Payload: {} }])).toMatchObject({
    unknown: ['AccountClosed'],
    deadLetters: [],
  })
})

const dead: [cause: string, detail: RegExp, value: unknown][] = [
  ['not_json', /JSON/i, 'hello'],
  [
    'inexact_number',
    /12345678901234567/,
    '{"Name":"BalanceUpdated","Payload":{"balance_account_id_from":12345678901234567}}',
  ],
  ['no_envelope', /Name/, [1]],
  ['payload_invalid', /account_id_to/, { Name: 'BalanceUpdated', Payload: { account_id_from: 'a' } }],
  ['payload_invalid', /account_id_from: has a NUL/, course('a\0', 'b', 1, 1)],
  ['not_unicode', /half of a surrogate pair/, JSON.stringify(course('a', '?', 1, 1)).replace('?', '\\ud800')],
  ['payload_invalid', /version_account_id_to: is too large/, course('a', 'b', 1, 1, versions(1, 1e300))],
  [
    'payload_invalid',
    /created_at: is not an RFC 3339 time/,
    course('a', 'b', 1, 1, { created_at: 'yesterday' }),
  ],
  [
    'payload_invalid',
    /created_at: is not an RFC 3339 time/,
    course('a', 'b', 1, 1, { created_at: '2024-02-30T25:00:00Z' }),
  ],
  ['payload_invalid', /created_at/, opened('a', { created_at: '0000-01-01T00:00:00Z' })],
  ['payload_invalid', /created_at/, opened('a', { created_at: '9999-12-31T23:59:59-01:00' })],
  ['payload_invalid', /created_at/, opened('a', { created_at: '2024-01-01T24:00:00Z' })],
  ['payload_invalid', /created_at/, course('a', 'b', 1, 1, { created_at: '2024-02-30T00:00:00Z' })],
  ['payload_invalid', /created_at/, course('a', 'b', 1, 1, { created_at: '2024-02-30T00:00:00.000Z' })],
  ['payload_invalid', /effective_at/, moved('a', 'b', 1, { effective_at: '2026-02-29T00:00:00Z' })],
  ['payload_invalid', /currency: is not an ISO 4217/, opened('a', { currency: 'ABC' })],
  ['payload_invalid', /client_id/, opened('a', { client_id: '\0' })],
  ['payload_invalid', /name/, recorded('eva', 'E\0a')],
  ['payload_invalid', /effective_at: is not an RFC 3339 time/, moved('a', 'b', 1, { effective_at: 'soon' })],
  ['payload_invalid', /transaction_id: has a NUL/, moved('a', 'b', 1, { transaction_id: '\0' })],
  ['payload_invalid', /hold_id: has a NUL/, moved('a', 'b', 1, { hold_id: '\0' })],
  ['payload_invalid', /actor: has a NUL/, moved('a', 'b', 1, { actor: '\0' })],
  ['balance_invalid', /amount: must have at most 2/, moved('a', 'b', 1, { amount: 0.001 })],
  [
    'balance_invalid',
    /held_account_id_to: must have at most 2/,
    moved('a', 'b', 1, { held_account_id_to: 0.001 }),
  ],
  [
    'balance_invalid',
    /balance_account_id_to: must have at most 2 decimals in BRL/,
    course('a', 'b', 1, 2.345),
  ],
  ['balance_invalid', /balance_account_id_from: .*15 significant digits/, course('a', 'b', 1e15, 1)],
  [
    'balance_invalid',
    /balance_account_id_from: "ABC" is not an ISO 4217/,
    course('a', 'b', 1, 1, { currency: 'ABC' }),
  ],
]

test.each(dead)('%s: %p is dead-lettered, and nothing else', (cause, detail, value) => {
  const { balances, clients, deadLetters } = projecting([value, course('x', 'y', 1, 2), recorded('z', 'Zoe')])
  expect(deadLetters).toMatchObject([{ origin: 0, reason: { cause, detail: expect.stringMatching(detail) } }])
  expect(brief(balances)).toEqual(['x 1 BRL 100', 'y 1 BRL 200'])
  expect(clients.map((client) => client.id)).toEqual(['z'])
})

test('a record with an impossible timestamp is dead-lettered when the timestamp is needed', () => {
  const [reading] = readAll([course('a', 'b', 1, 1)])
  if (!reading) throw new Error('no reading')
  for (const timestampMs of [8.7e18, -1, 0, -62_135_596_800_000, Number.NaN])
    expect(project([{ ...reading, timestampMs }], new Map()).deadLetters).toMatchObject([
      {
        reason: {
          cause: 'payload_invalid',
          detail: '/created_at: is missing, and the record has no timestamp',
        },
      },
    ])
})

/** A stored account. */
const given = (
  currency: string,
  source: ProjectedAccount['source'] = null,
  version = 5n,
): ProjectedAccount => ({
  version,
  currency,
  balanceMinor: 100n,
  source,
})

type Given = Record<string, ProjectedAccount>
const mixed: {
  name: string
  given?: Given
  when: unknown[]
  cause: string
  dead: number[]
  expected: string[]
}[] = [
  {
    name: 'another currency than the stored one',
    given: { a: given('BRL') },
    when: [moved('b', 'a', 5, { currency: 'USD' }), moved('b', 'a', 5)],
    cause: 'currency_mismatch',
    dead: [0],
    expected: ['a 1 BRL 500', 'b 1 BRL -500'],
  },
  {
    name: 'another currency than the one it was opened in, by a record with or without versions',
    when: [opened('b', { currency: 'USD' }), moved('a', 'b', 5), course('b', 'a', 1, 1, { currency: 'EUR' })],
    cause: 'currency_mismatch',
    dead: [1, 2],
    expected: ['b 0 USD 0'],
  },
  {
    name: 'opened in another currency than the one it was moved in, also when it was opened before',
    when: [
      moved('a', 'b', 5),
      opened('a', { currency: 'USD' }),
      opened('a'),
      opened('a', { currency: 'JPY' }),
    ],
    cause: 'currency_mismatch',
    dead: [1, 3],
    expected: ['a 1 BRL -500', 'b 1 BRL 500'],
  },
  {
    name: 'opened in another currency than the stored one',
    given: { a: given('BRL') },
    when: [opened('a', { currency: 'USD' })],
    cause: 'currency_mismatch',
    dead: [0],
    expected: [],
  },
  {
    name: 'without versions after versions',
    when: [moved('a', 'b', 5), course('x', 'a', 1, 1), course('a', 'x', 1, 1), moved('a', 'b', 7)],
    cause: 'source_conflict',
    dead: [1, 2],
    expected: ['a 1 BRL -500', 'b 1 BRL 500'],
  },
  {
    name: 'with versions after none',
    when: [course('x', 'a', 1, 1), moved('a', 'b', 5), moved('b', 'a', 5), course('x', 'a', 2, 2)],
    cause: 'source_conflict',
    dead: [1, 2],
    expected: ['a 2 BRL 200', 'x 2 BRL 200'],
  },
  {
    name: 'the stored source decides',
    given: { a: given('BRL', 'versioned'), b: given('BRL', 'versionless') },
    when: [course('x', 'a', 1, 1), moved('y', 'b', 5), course('x', 'b', 2, 2), moved('y', 'a', 5)],
    cause: 'source_conflict',
    dead: [0, 1],
    expected: ['a 1 BRL 500', 'b 6 BRL 200', 'x 1 BRL 200', 'y 1 BRL -500'],
  },
  {
    name: 'a record that names a version on one side only, each side by itself',
    given: { a: given('BRL', 'versioned') },
    when: [
      course('a', 'b', 1, 1, { version_account_id_from: 6 }),
      course('a', 'b', 1, 1, { version_account_id_to: 6 }),
    ],
    cause: 'source_conflict',
    dead: [1],
    expected: ['a 6 BRL 100', 'b 1 BRL 100'],
  },
  {
    name: 'a hold in favour of a versionless account does not conflict at version 0',
    given: { b: given('BRL', 'versionless') },
    when: [
      moved('a', 'b', 0, { balance_account_id_to: 0, version_account_id_to: 0, held_account_id_from: 2 }),
      moved('a', 'b', 0, { version_account_id_from: 2, version_account_id_to: 9 }),
    ],
    cause: 'source_conflict',
    dead: [1],
    expected: ['a 1 BRL 0', 'b 0 BRL 0'],
  },
  {
    name: 'the other account is not updated either',
    given: { a: given('BRL', 'versionless'), b: given('BRL', 'versioned') },
    when: [moved('b', 'a', 5)],
    cause: 'source_conflict',
    dead: [0],
    expected: [],
  },
]

for (const { name, given, when, cause, dead, expected } of mixed)
  test(`${cause}: ${name}`, () => {
    const { balances, entries, deadLetters } = projecting(when, given)
    expect(deadLetters.map(({ origin, reason }) => `${origin} ${reason.cause}`)).toEqual(
      dead.map((origin) => `${origin} ${cause}`),
    )
    expect(brief(balances)).toEqual(expected)
    expect(entries.every(({ accountId }) => balances.some((row) => row.accountId === accountId))).toBe(true)
  })

test('a conflict names the remedy', () => {
  const [first, second] = projecting([course('x', 'a', 1, 1), moved('a', 'b', 5)]).deadLetters
  expect([first, second].map((letter) => letter?.reason.detail)).toEqual([
    'account a is moved by records without versions, which came first; the wallet needs another account',
    undefined,
  ])
})

test('amounts computed in binary floating point are rounded to minor units, without versions only', () => {
  const computed = course('a', 'b', 1000 - 0.3, 0.1 + 0.2, { amount: 1.1 + 2.2 })
  expect(brief(projecting([computed]).balances)).toEqual(['a 1 BRL 99970', 'b 1 BRL 30'])
  const { entries } = projecting([computed])
  expect(briefEntries(entries)).toEqual(['a 1 -330 99970 0', 'b 1 330 30 0'])
  const ours = course('c', 'd', 0.1 + 0.2, 1, versions(1, 1))
  expect(projecting([course('a', 'b', 999.69999999, 1), ours]).deadLetters).toMatchObject([
    { origin: 0, reason: { cause: 'balance_invalid' } },
    { origin: 1, reason: { cause: 'balance_invalid' } },
  ])
})

test('a balance of more than 15 digits is read from its text, if that agrees with the number', () => {
  const wide = (number: number, text: string) =>
    moved('world', 'b', 5, { balance_account_id_from: number, exact_balance_account_id_from: text })
  expect(brief(projecting([wide(-1_234_567_890_123_456.8, '-1234567890123456.78')]).balances)).toEqual([
    'b 1 BRL 500',
    'world 1 BRL -123456789012345678',
  ])
  for (const value of [
    wide(-1_234_567_890_123_456, '-1234567890123456.78'),
    wide(1e16, '10000000000000000.00'),
  ])
    expect(projecting([value]).deadLetters).toMatchObject([{ reason: { cause: 'balance_invalid' } }])
  expect(projecting([wide(1, '1e0')]).deadLetters).toMatchObject([{ reason: { cause: 'payload_invalid' } }])
})

test('only partial events need stored accounts', () => {
  const toLoad = (...values: unknown[]) => accountsToLoad(readAll(values)).sort()
  expect(toLoad(moved('a', 'b', 1), opened('c'), recorded('d', 'D'))).toEqual([])
  expect(toLoad(course('a', 'b', 1, 1), course('a', 'c\0', 1, 1))).toEqual(['a', 'b'])
  expect(toLoad(course('a', 'b', 1, 1, versions(1, 1)))).toEqual(['a', 'b'])
  expect(toLoad(moved('a', 'b', 1, { version_account_id_to: undefined }))).toEqual(['b'])
  expect(toLoad(moved('a', 'b', 1, { currency: undefined }))).toEqual(['a', 'b'])
})

test('all accounts of events are listed', () => {
  const log = [
    moved('a', 'b', 1),
    opened('c'),
    recorded('d', 'D'),
    course('e', 'e', 1, 1),
    'rubbish',
    opened('f\0'),
  ]
  expect(accountsIn(readAll(log)).sort()).toEqual(['a', 'b', 'c', 'e'])
})

type Consumed = { stored: Map<string, BalanceRow>; entries: Map<string, EntryRow>; dead: number[] }

/** Consumes the log in batches of these sizes, the last one with the rest. */
function consume(values: unknown[], sizes: number[]): Consumed {
  const stored = new Map<string, BalanceRow>()
  const entries = new Map<string, EntryRow>()
  const dead: number[] = []
  const readings = readAll(values)
  for (let start = 0, number = 0; start < readings.length; number++) {
    const batch = readings.slice(start, start + (sizes[number] ?? readings.length))
    const load = (ids: string[]) =>
      new Map(
        ids.flatMap((id) => {
          const held = stored.get(id)
          return held ? [[id, held] as const] : []
        }),
      )
    let projection = project(batch, load(accountsToLoad(batch)))
    if (projection.balances.some((row) => isAtOdds(stored.get(row.accountId), row)))
      projection = project(batch, load(accountsIn(batch)))
    // A record that conflicts with two accounts may name either.
    dead.push(...projection.deadLetters.map(({ origin }) => origin))
    mergeBalances(stored, projection.balances)
    for (const entry of projection.entries) {
      const name = `${entry.accountId} ${entry.version}`
      if (!entries.has(name)) entries.set(name, entry)
    }
    start += batch.length
  }
  return { stored, entries, dead }
}

const accountIds = ['a', 'b', 'c', 'world']
const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 20 })
const versionedEvent = fc
  .record({
    from: fc.constantFrom(...accountIds),
    to: fc.constantFrom(...accountIds),
    versionFrom: fc.integer({ min: 1, max: 12 }),
    versionTo: fc.integer({ min: 1, max: 12 }),
  })
  .filter(({ from, to }) => from !== to)
  .map(({ from, to, versionFrom, versionTo }) =>
    course(
      from,
      to,
      versionFrom * 7,
      versionTo * 7,
      versions(versionFrom, versionTo, { created_at: at(30), amount: 7 }),
    ),
  )
/** As from a ledger: one event for each version of an account. */
const versionedEvents = fc.array(versionedEvent, { maxLength: 40 }).map((events) => {
  const seen = new Set<string>()
  return events.filter(({ Payload: payload }) => {
    const { version_account_id_from, version_account_id_to } = payload as Record<string, unknown>
    const names = [
      `${payload.account_id_from} ${version_account_id_from}`,
      `${payload.account_id_to} ${version_account_id_to}`,
    ]
    const isNew = !names.some((name) => seen.has(name))
    if (isNew) for (const name of names) seen.add(name)
    return isNew
  })
})
const openings = accountIds.map((id) => opened(id, { client_id: `owner of ${id}` }))
const foreign = [
  ...accountIds.map((id) => opened(id, { currency: 'JPY' })),
  moved('a', 'b', 7, { currency: 'JPY' }),
]
const courseEvent = fc
  .tuple(fc.constantFrom(...accountIds), fc.constantFrom(...accountIds), fc.integer({ min: -500, max: 500 }))
  .map(([from, to, balance]) => course(from, to, balance, -balance))

test('versioned events end in the same rows in any order and batches, redelivered or not', () => {
  fc.assert(
    fc.property(
      versionedEvents.chain((events) => {
        const log = [...openings, ...events]
        return fc.tuple(
          fc.constant(log),
          fc.shuffledSubarray([...log, ...log], { minLength: log.length * 2 }),
          sizes,
        )
      }),
      ([inOrder, shuffled, sizes]) => {
        expect(consume(shuffled, sizes)).toEqual(consume(inOrder, []))
      },
    ),
  )
})

test('events of either kind end in the same rows however the log is cut into batches', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(versionedEvent, courseEvent, fc.constantFrom(...openings, ...foreign, 'rubbish')), {
        maxLength: 40,
      }),
      sizes,
      (log, sizes) => {
        expect(consume(log, sizes)).toEqual(consume(log, []))
      },
    ),
  )
})

test('each course record moves its accounts on by one version', () => {
  fc.assert(
    fc.property(fc.array(courseEvent, { maxLength: 40 }), sizes, (log, sizes) => {
      const named = log.flatMap(({ Payload: { account_id_from, account_id_to } }) => [
        ...new Set([account_id_from, account_id_to]),
      ])
      for (const [id, row] of consume(log, sizes).stored)
        expect(Number(row.version)).toBe(named.filter((name) => name === id).length)
    }),
  )
})
