import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { project } from '../balances/projection/project'
import type { SaldoEvent } from '../contract/events/events'
import { decodeRecord, type EncodedEvent, encodeEvent } from '../contract/wire/envelope'
import { worldIdOf } from '../wallet/domain/account'
import { applyFact, type Book, type Command, decide, emptyBook } from '../wallet/domain/book'
import type { Posting } from '../wallet/domain/postings'
import type { Client, Movement, TransferKind } from '../wallet/domain/types'
import { accountToEvent, clientToEvent, toEvents } from '../wallet/events'
import { assertionOfClient, assertionOfEntry, assertionsOfBalance, assertionsOfEvent } from './assertions'
import { Comparison, type Difference, evidence } from './compare'
import type { Holder, LedgerEntry, LedgerRecord } from './ledger-store'

const at = new Date('2024-01-27T17:00:00Z')
const idOf = (number: number) => `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`
const [client, world] = [idOf(1), worldIdOf('BRL')]
const people = [idOf(2), idOf(3), idOf(4)] as const

/** `from` and `to` index the accounts, of which 0 is `world`; `amount` is in minor units. */
type Step = {
  kind:
    | ('transfer' | 'postings' | 'reversal' | 'hold' | 'capture' | 'release')
    | ('status' | 'overdraft' | 'extension' | 'update' | 'erasure')
  from: number
  to: number
  amount: number
}

/** Everything that is read, without any difference. */
function systemOf(steps: Step[]) {
  const ids = [world, ...people]
  const money = {
    currency: 'BRL',
    balanceMinor: 0n,
    heldMinor: 0n,
    version: 0n,
    openingLimitMinor: null,
    status: 'open' as const,
    createdAt: at,
    updatedAt: at,
    clientId: null,
    actor: null,
    changedActor: null,
  }
  const book = emptyBook(
    new Map(ids.map((id) => [id, { id, ...money, overdraftLimitMinor: id === world ? null : 100_000n }])),
  )
  const eva: Client = {
    ...{ id: client, name: 'Eva', email: 'eva@example.com', version: 1n },
    ...{ actor: null, changedActor: null, createdAt: at, updatedAt: at, erasedAt: null },
  }
  book.clients.set(client, eva)
  const entries: (LedgerEntry & Terms)[] = []
  const records = new Map<string, LedgerRecord>()
  const registered = { changeId: client, client: eva }
  const published: EncodedEvent[] = [clientToEvent(registered), personalEventOf(registered)]
  records.set(`ClientRegistered ${client}`, { holderId: client, version: 0n, fields: { actor: null } })
  records.set(...personalRecordOf(eva))
  for (const id of ids) {
    const clientId = id === world ? null : client
    published.push(
      accountToEvent({
        ...{ id, clientId, currency: 'BRL', createdAt: at },
        ...{ overdraftLimitMinor: null, openingLimitMinor: null, actor: null },
      }),
    )
    const fields = { clientId, currency: 'BRL', actor: null }
    records.set(`AccountOpened ${id}`, { holderId: id, version: 0n, fields })
  }

  for (const [index, step] of steps.entries()) {
    const command = commandOf(step, idOf(100 + index), book)
    const actor = index % 3 === 0 ? null : `key ${index % 3}`
    const decision = command && decide({ ...command, actor }, book, at)
    if (!decision?.accepted) continue
    for (const fact of decision.facts) {
      applyFact(book, fact)
      const [first, ...others] = toEvents(fact as Parameters<typeof toEvents>[0]) as [EncodedEvent]
      const version = 'client' in fact ? { changeId: fact.id, client: fact.client } : undefined
      published.push(first, ...(version ? [personalEventOf(version)] : others))
      if (version) records.set(...recordOfClient(version.client, actor))
      if (version) records.set(...personalRecordOf(version.client))
      if (!('entries' in fact)) continue
      entries.push(...entriesOf(fact, actor))
      if (fact.type === 'leg' && fact.whole && step.kind === 'postings')
        book.originals.set(fact.id, { legs: fact.whole, reversedMinor: 0n })
      records.set(...recordOf(fact, actor))
    }
  }
  entries.sort((a, b) => a.accountId.localeCompare(b.accountId) || Number(a.version - b.version))

  const decoded = published.map(({ value }) => decodeRecord({ value: Buffer.from(value) }))
  const projection = project(
    decoded.map((one) => ({ decoded: one, timestampMs: 0, origin: 0 })),
    new Map(),
  )
  const { version, erasedAt } = book.clients.get(client) as Client
  const erasure = erasedAt && 'pending'
  const holders: Holder[] = [
    ...[...book.accounts.values()].map((account) => ({ ...account, erasure: null })),
    { id: client, ...money, currency: null, version: version - 1n, erasure },
  ]
  const erasedFields = { clientName: null, email: null }
  if (erasedAt)
    for (const [key, record] of records)
      if (key.startsWith('PersonalDataRecorded')) records.set(key, { ...record, fields: erasedFields })
  return {
    holders: structuredClone(holders),
    entries,
    records,
    events: structuredClone(decoded.flatMap((one) => (one.kind === 'event' ? one.event : []))),
    waiting: [] as SaldoEvent[],
    balances: projection.balances.map((row) => ({ ...row, ownerName: null })),
    shown: projection.entries,
    clients: projection.clients,
    /** How many of the events the read side has consumed. */
    consumed: Number.POSITIVE_INFINITY,
    truncated: [] as string[],
  }
}
type System = ReturnType<typeof systemOf>
type Terms = { status: string; overdraftLimitMinor: bigint | null; actor: Actor }
type Actor = string | null

const entriesOf = (fact: Movement, actor: Actor): (LedgerEntry & Terms)[] =>
  fact.entries.map((entry) => {
    const { status, overdraftLimitMinor, openingLimitMinor } =
      entry.accountId === fact.from.id ? fact.from : fact.to
    const isAsOpened = openingLimitMinor === null || openingLimitMinor === overdraftLimitMinor
    return {
      ...entry,
      transactionId: fact.id,
      bookedMinor: fact.transaction ? entry.amountMinor : null,
      changeKind: 'change' in fact ? fact.change.kind : null,
      isLeg: fact.type === 'leg',
      actor,
      status,
      overdraftLimitMinor: isAsOpened ? null : overdraftLimitMinor,
    }
  })

const recordOfClient = ({ id, version, erasedAt }: Client, actor: Actor): [string, LedgerRecord] => [
  `ClientUpdated ${id}:${version}`,
  { holderId: id, version: version - 1n, fields: { erasedAt: erasedAt?.toISOString() ?? null, actor } },
]

const personalRecordOf = ({ id, name, email, version, erasedAt }: Client): [string, LedgerRecord] => [
  `${erasedAt ? 'PersonalDataErased' : 'PersonalDataRecorded'} ${id}:${version}`,
  { holderId: id, version: version - 1n, fields: erasedAt ? {} : { clientName: name, email } },
]

/** As the relay publishes it. */
function personalEventOf({ changeId, client }: { changeId: string; client: Client }): EncodedEvent {
  const { id, name, email } = client
  const created_at = client.updatedAt.toISOString()
  const payload = { change_id: changeId, id, version: Number(client.version), created_at }
  return name === null || email === null
    ? encodeEvent({ name: 'PersonalDataErased', payload }, created_at)
    : encodeEvent({ name: 'PersonalDataRecorded', payload: { ...payload, name, email } }, created_at)
}

/** What the ledger has about the notification of a movement. */
function recordOf(fact: Movement, actor: Actor): [string, LedgerRecord] {
  const holderId = fact.from.id
  const { version } = fact.from
  if (fact.type === 'change') {
    const { status, overdraftLimitMinor } = fact.change
    const { clientId } = fact
    const fields = { transactionId: fact.id, clientId, currency: 'BRL', status, overdraftLimitMinor, actor }
    return [`AccountUpdated ${holderId}:${version}`, { holderId, version, fields }]
  }
  const { id, accountIdFrom, accountIdTo, amountMinor, currency } = fact.transaction ?? fact.hold
  const names = {
    transaction: 'TransactionCreated',
    leg: 'PostingsCreated',
    capture: 'TransactionCreated',
    hold: 'HoldPlaced',
    release: 'HoldReleased',
    extension: 'HoldExtended',
  }
  const fields: LedgerRecord['fields'] = {
    ...{ accountIdFrom, accountIdTo, amountMinor, currency, actor },
    ...(fact.hold && !fact.transaction && { expiresAt: fact.hold.expiresAt.toISOString() }),
  }
  const leg = fact.type === 'leg' ? `/${fact.transaction.leg}` : ''
  const name = `${fact.type === 'extension' ? fact.id : id}${leg}`
  return [`${names[fact.type]} ${name}`, { holderId, version, fields }]
}

const remarks = { reference: null, metadata: null }

function commandOf({ kind, from, to, amount }: Step, id: string, book: Book): Command | undefined {
  const [accountIdFrom, accountIdTo] = [people[from - 1] ?? world, people[to - 1] ?? world]
  const movement = {
    id,
    accountIdFrom,
    accountIdTo,
    amountMinor: BigInt(amount),
    currency: 'BRL',
    ...remarks,
  }
  if (kind === 'transfer') return { type: 'transfer', ...movement, kind: kindOf(movement), effectiveAt: null }
  if (kind === 'hold')
    return {
      type: 'hold',
      ...movement,
      toWorld: accountIdTo === world,
      expiresAt: new Date(at.getTime() + 1000),
    }
  const change = { id, accountId: accountIdFrom, currency: 'BRL', reference: null }
  if (kind === 'status')
    return {
      type: 'status',
      ...change,
      status: amount % 3 ? 'open' : amount % 2 ? 'frozen' : 'debits_frozen',
    }
  if (kind === 'overdraft')
    return { type: 'overdraft', ...change, overdraftLimitMinor: 100_000n + BigInt(to) }
  if (kind === 'update') return { type: 'update', id, clientId: client, name: `Eva ${amount}`, email: null }
  if (kind === 'erasure') return { type: 'erasure', id, clientId: client }
  if (kind === 'postings') {
    const [first, second] = [
      movement,
      { ...movement, accountIdFrom: accountIdTo, accountIdTo: accountIdFrom },
    ]
    const legs = [first, { ...second, amountMinor: 1n }, first].map((leg) => ({ ...leg, kind: kindOf(leg) }))
    return { type: 'postings', id, postings: legs, currency: 'BRL', ...remarks, effectiveAt: null }
  }
  if (kind === 'reversal') {
    const [original] = book.originals.values()
    if (!original) return undefined
    const { accountIdFrom, accountIdTo } = original.legs[0]
    const parties = { accountIdFrom, accountIdTo, otherAccountIds: [] }
    const reverses = original.legs[0].id
    return { type: 'reversal', id, reverses, ...parties, ...remarks, amountMinor: null, effectiveAt: null }
  }
  const holds = [...book.holds.values()]
  const hold = holds[amount % (holds.length || 1)]
  if (!hold) return undefined
  const of = { id, holdId: hold.id, accountIdFrom: hold.accountIdFrom, accountIdTo: hold.accountIdTo }
  if (kind === 'extension')
    return { type: 'extension', ...of, expiresAt: new Date(at.getTime() + 1000 + amount) }
  return kind === 'capture'
    ? { type: 'capture', ...of, ...remarks, amountMinor: null, effectiveAt: null }
    : { type: 'release', ...of, reason: 'released' }
}

function kindOf({
  accountIdFrom,
  accountIdTo,
}: Pick<Posting, 'accountIdFrom' | 'accountIdTo'>): TransferKind {
  if (accountIdFrom === world) return 'deposit'
  return accountIdTo === world ? 'withdrawal' : 'transfer'
}

/** Records come from the same tables as the entries. */
function compare(system: System): Comparison {
  const comparison = new Comparison(100)
  const records = new Map(system.records)
  for (const entry of system.entries) {
    const { accountId, version, bookedMinor: _, changeKind: __, isLeg: ___, ...columns } = entry
    records.set(`entry ${accountId}:${version}`, {
      holderId: accountId,
      version,
      fields: { ...columns, currency: 'BRL' },
    })
  }
  for (const topic of system.truncated) comparison.truncatedTopics.add(topic)
  comparison.track(system.holders)
  for (const event of system.waiting)
    comparison.observe(
      { where: 'outbox', place: 'row', evidence: evidence.waiting, assertions: assertionsOfEvent(event) },
      records,
    )
  for (const [index, event] of system.events.entries()) {
    const bits = evidence.published | (index < system.consumed ? evidence.consumed : 0)
    comparison.observe(
      { where: 'topic', place: 'topic', evidence: bits, assertions: assertionsOfEvent(event) },
      records,
    )
  }
  for (const { accountId, version } of system.balances) comparison.trackShownVersion(accountId, version)
  const shown = { where: 'read model', place: 'table', evidence: evidence.shown } as const
  comparison.observe({ ...shown, assertions: system.clients.map(assertionOfClient) }, records)
  comparison.observe({ ...shown, assertions: system.balances.flatMap(assertionsOfBalance) }, records)
  const assertions = system.shown.map(
    ({ accountId, version, amountMinor, balanceMinor, heldMinor, transactionId, ...more }) => {
      const { status, overdraftLimitMinor, actor } = more
      const amounts = { amountMinor, balanceMinor, heldMinor, overdraftLimitMinor }
      return assertionOfEntry({ accountId, version, ...amounts, transactionId, status, actor })
    },
  )
  comparison.observe({ ...shown, assertions }, records)
  comparison.verifyEntries(system.entries)
  comparison.confirmHolders(system.holders)
  comparison.summarize()
  return comparison
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    ...(['transfer', 'transfer', 'postings', 'reversal', 'hold', 'capture', 'release'] as const),
    ...(['status', 'overdraft', 'extension', 'update', 'erasure'] as const),
  ),
  from: fc.integer({ min: 0, max: 3 }),
  to: fc.integer({ min: 0, max: 3 }),
  amount: fc.integer({ min: 1, max: 60_000 }),
})
/** The first steps fund every account, so that there is always something to break. */
const histories = fc
  .array(step, { maxLength: 25 })
  .map((steps) => [
    ...[1, 2, 3].map((to): Step => ({ kind: 'transfer', from: 0, to, amount: 50_000 })),
    { kind: 'hold', from: 1, to: 2, amount: 100 } satisfies Step,
    { kind: 'postings', from: 2, to: 3, amount: 100 } satisfies Step,
    ...steps,
  ])

test('a consistent system has no differences, for any history', () => {
  fc.assert(
    fc.property(histories, (steps) => {
      const { differences, counts } = compare(systemOf(steps))
      expect(differences).toEqual([])
      expect(counts).toEqual({ waiting: 0, behind: 0, unchecked: 0, lost: 0 })
    }),
  )
})

type Expected = Pick<Difference, 'where'> & Partial<Difference>
/** Breaks one thing, chosen by `pick`, and returns the difference that must be reported. */
type Fault = (system: System, pick: <T>(of: T[]) => T) => Expected

const eventsNamed = (system: System, pattern: RegExp) =>
  system.events.filter(({ name }) => pattern.test(name))
const remove = <T>(from: T[], one: T) => from.splice(from.indexOf(one), 1)
const keyOfEntry = ({ accountId, version }: { accountId: string; version: bigint }) => ({
  accountId,
  version,
})
/** The side of a BalanceUpdated that always is an entry. */
const payerOf = (event: SaldoEvent) => {
  if (event.name !== 'BalanceUpdated') throw new Error('not a balance')
  const { account_id_from: accountId, version_account_id_from: version = 0 } = event.payload
  return { accountId, version: BigInt(version) }
}

const newer = 'the entry is newer than its account'
const missing = 'missing although its event was consumed'

const faults: Record<string, Fault> = {
  'a wrong balance of a ledger entry': ({ entries }, pick) => {
    const entry = pick(entries)
    entry.balanceMinor += 1n
    return { where: 'ledger', ...keyOfEntry(entry), found: { balanceMinor: entry.balanceMinor } }
  },
  'a wrong amount of a ledger entry': ({ entries }, pick) => {
    const entry = pick(entries)
    entry.amountMinor += 1n
    return { where: 'ledger', ...keyOfEntry(entry) }
  },
  'a wrong held amount of a ledger entry': ({ entries }, pick) => {
    const entry = pick(entries)
    entry.heldMinor += 1n
    return { where: 'topic', ...keyOfEntry(entry), found: { heldMinor: entry.heldMinor - 1n } }
  },
  'a deleted ledger entry': ({ entries }, pick) => {
    const entry = pick(entries)
    remove(entries, entry)
    return { where: 'topic', ...keyOfEntry(entry), problem: 'not in the ledger' }
  },
  'a wrong balance of a ledger account': ({ holders }, pick) => {
    const holder = pick(holders.filter(({ currency }) => currency))
    holder.balanceMinor -= 1n
    return { where: 'ledger', accountId: holder.id, found: { balanceMinor: holder.balanceMinor } }
  },
  'a ledger account behind its entries': ({ holders }, pick) => {
    const holder = pick(holders.filter(({ currency }) => currency))
    holder.version -= 1n
    return { where: 'ledger', accountId: holder.id, version: holder.version + 1n, problem: newer }
  },
  'a balance event that was never published': (system, pick) => {
    const event = pick(eventsNamed(system, /Balance/))
    remove(system.events, event)
    return { where: 'topic', ...payerOf(event), event: 'BalanceUpdated' }
  },
  'a leg that its notification leaves out': (system, pick) => {
    const event = pick(eventsNamed(system, /Postings/))
    if (event.name !== 'PostingsCreated') throw new Error('not postings')
    const [leg] = event.payload.postings.splice(-1)
    return { where: 'topic', accountId: leg?.account_id_from, event: event.name }
  },
  'postings that were never published': (system, pick) => {
    const event = pick(eventsNamed(system, /Postings/))
    if (event.name !== 'PostingsCreated') throw new Error('not postings')
    remove(system.events, event)
    return { where: 'topic', transactionId: event.payload.id, event: event.name }
  },
  'a notification that was never published': (system, pick) => {
    const event = pick(eventsNamed(system, /Transaction|Hold/))
    remove(system.events, event)
    const accountId = 'account_id_from' in event.payload ? event.payload.account_id_from : ''
    return { where: 'topic', accountId, event: event.name }
  },
  'an account or client event that was never published': (system, pick) => {
    const event = pick(eventsNamed(system, /Opened|Registered/))
    remove(system.events, event)
    return {
      where: 'topic',
      accountId: 'id' in event.payload ? event.payload.id : '',
      event: event.name,
      version: 0n,
    }
  },
  'a wrong balance in a published event': (system, pick) => {
    const event = pick(eventsNamed(system, /Balance/))
    if (event.name === 'BalanceUpdated') event.payload.balance_account_id_from += 1
    return { where: 'topic', ...payerOf(event), problem: 'mismatch with ledger' }
  },
  'a wrong balance in an outbox event': (system, pick) => {
    const event = structuredClone(pick(eventsNamed(system, /Balance/)))
    if (event.name === 'BalanceUpdated') event.payload.balance_account_id_from += 1
    system.waiting.push(event)
    return { where: 'outbox', ...payerOf(event), problem: 'mismatch with ledger' }
  },
  'a wrong amount in a published notification': (system, pick) => {
    const event = pick(eventsNamed(system, /Transaction|Hold/))
    if ('amount' in event.payload && event.payload.amount) event.payload.amount += 1
    return { where: 'topic', problem: 'mismatch with ledger' }
  },
  'another actor in a published event': (system, pick) => {
    const isOfActor = ({ name }: SaldoEvent) => !/PersonalData|Epoch/.test(name)
    const payload = pick(system.events.filter(isOfActor)).payload as { actor?: string | undefined }
    payload.actor = payload.actor === undefined ? 'key 0' : undefined
    return { where: 'topic', problem: 'mismatch with ledger', found: { actor: payload.actor ?? null } }
  },
  'another actor in the read model': (system, pick) => {
    const row = pick(system.shown)
    row.actor = 'key 0'
    return { where: 'read model', ...keyOfEntry(row), found: { actor: 'key 0' } }
  },
  'a balance event of an unknown account': (system, pick) => {
    const event = structuredClone(pick(eventsNamed(system, /Balance/)))
    if (event.name === 'BalanceUpdated') event.payload.account_id_from = 'unknown'
    system.events.push(event)
    return { where: 'topic', accountId: 'unknown', problem: 'not in the ledger' }
  },
  'a course record without a version': (system, pick) => {
    const event = structuredClone(pick(eventsNamed(system, /Balance/)))
    const { accountId } = payerOf(event)
    if (event.name === 'BalanceUpdated') delete event.payload.version_account_id_from
    system.events.push(event)
    return { where: 'topic', accountId, problem: 'not in the ledger' }
  },
  'a notification of an unknown transaction': (system, pick) => {
    const event = structuredClone(pick(eventsNamed(system, /Transaction/)))
    if (event.name === 'TransactionCreated') event.payload.id = idOf(99)
    system.events.push(event)
    return { where: 'topic', transactionId: idOf(99), problem: 'not in the ledger' }
  },
  'a wrong balance of a read model entry': ({ shown }, pick) => {
    const entry = pick(shown)
    entry.balanceMinor += 1n
    return { where: 'read model', ...keyOfEntry(entry), found: { balanceMinor: entry.balanceMinor } }
  },
  'an entry missing from the read model': ({ shown }, pick) => {
    const entry = pick(shown)
    remove(shown, entry)
    return { where: 'read model', ...keyOfEntry(entry), problem: missing }
  },
  'a wrong balance of the read model': ({ balances }, pick) => {
    const balance = pick(balances.filter(({ version }) => version > 0n))
    balance.balanceMinor += 1n
    return { where: 'read model', ...keyOfEntry(balance), found: { balanceMinor: balance.balanceMinor } }
  },
  'a stale balance of the read model': ({ balances, entries }, pick) => {
    const balance = pick(balances.filter(({ version }) => version > 1n))
    const before = entries.find(
      (one) => one.accountId === balance.accountId && one.version === balance.version - 1n,
    )
    const named = keyOfEntry(balance)
    Object.assign(balance, {
      version: before?.version,
      balanceMinor: before?.balanceMinor,
      heldMinor: before?.heldMinor,
    })
    return {
      where: 'read model',
      ...named,
      problem: `the balance is still at version ${before?.version} although its event was consumed`,
    }
  },
  'an account missing from the read model': ({ balances }, pick) => {
    const balance = pick(balances)
    remove(balances, balance)
    return { where: 'read model', accountId: balance.accountId, version: 0n, problem: missing }
  },
  'a wrong currency in the read model': ({ balances }, pick) => {
    const balance = pick(balances)
    balance.currency = 'USD'
    return { where: 'read model', accountId: balance.accountId, found: { currency: 'USD' } }
  },
}

test.each(Object.entries(faults))('%s is reported', (_, fault) => {
  fc.assert(
    fc.property(histories, fc.nat(), (steps, chance) => {
      const system = systemOf(steps)
      const expected = fault(system, (of) => of[chance % of.length] as never)
      const { differences } = compare(system)
      expect(differences).toContainEqual(expect.objectContaining(expected))
      // Consequential differences are about the same accounts.
      const accounts = new Set(differences.flatMap(({ accountId }) => accountId ?? []))
      expect(accounts.size).toBeLessThanOrEqual(2)
    }),
    { numRuns: 15 },
  )
})

test('one wrong number in the ledger is reported once there, with the expected value', () => {
  const [accountId] = people
  const ledgerOf = (corrupt: (system: System) => void) => {
    const system = systemOf([300, 20, 1].map((amount) => ({ kind: 'transfer', from: 0, to: 1, amount })))
    corrupt(system)
    return compare(system).differences.filter(({ where }) => where === 'ledger')
  }
  const entryOf = ({ entries }: System, version: bigint) =>
    entries.find((one) => one.accountId === accountId && one.version === version) as System['entries'][number]
  const cent = { currency: 'BRL', expected: { balanceMinor: 320n }, found: { balanceMinor: 319n } }

  expect(ledgerOf((system) => entryOf(system, 2n).balanceMinor--)).toMatchObject([
    { accountId, version: 2n, ...cent },
  ])
  expect(
    ledgerOf(({ entries }) => entries.splice(entries.indexOf(entryOf({ entries } as System, 2n)), 1)),
  ).toMatchObject([{ accountId, version: 3n, problem: 'entries are missing after version 1' }])
  expect(ledgerOf(({ holders }) => holders.splice(1, 1))).toMatchObject([
    { accountId, version: 3n, problem: newer },
    { currency: 'BRL', problem: 'ledger does not balance in this currency', found: { balanceMinor: -321n } },
  ])
})

test('events in flight are pending, not differences', () => {
  const system = systemOf([{ kind: 'transfer', from: 0, to: 1, amount: 100 }])
  const [notification, balance] = system.events.slice(-2)
  // One of the two events is still in the outbox, the other is published and not consumed yet.
  system.waiting.push(...system.events.splice(-2, 1))
  system.consumed = system.events.length - 1
  system.shown = []
  system.balances = system.balances.map((row) => ({ ...row, version: 0n, balanceMinor: 0n }))
  expect([notification?.name, balance?.name]).toEqual(['TransactionCreated', 'BalanceUpdated'])
  const { differences, counts } = compare(system)
  expect({ differences, counts }).toEqual({
    differences: [],
    counts: { waiting: 1, behind: 2, unchecked: 0, lost: 0 },
  })
})

const updates: Step[] = [
  { kind: 'update', from: 0, to: 0, amount: 1 },
  { kind: 'update', from: 0, to: 0, amount: 2 },
]
const erasing: Step[] = [...updates, { kind: 'erasure', from: 0, to: 0, amount: 0 }]
const holderOf = ({ holders }: System) => holders.find(({ id }) => id === client) as Holder
const ofNames = (events: SaldoEvent[]) => events.filter(({ name }) => name === 'PersonalDataRecorded')

test('of personal data only the newest version has to be published, or a newer one', () => {
  const system = systemOf(updates)
  const [first, second, newest] = ofNames(system.events) as [SaldoEvent, SaldoEvent, SaldoEvent]
  system.events = system.events.filter((event) => event !== first && event !== second)
  expect(compare(system).differences).toEqual([])
  // At the watermark the second was the newest.
  holderOf(system).version = 1n
  expect(compare(system).differences).toEqual([])
  holderOf(system).version = 2n
  system.events = system.events.map((event) => (event === newest ? second : event))
  const missing = { where: 'topic', accountId: client, version: 2n, event: 'PersonalDataRecorded' } as const
  expect(compare(system).differences).toMatchObject([missing])
})

test('another name than in the ledger is reported, and not repeated', () => {
  const system = systemOf(updates)
  const fields = { clientName: '(not shown)' }
  const mismatch = { accountId: client, version: 2n, expected: fields, found: fields }
  for (const row of system.clients) row.name = 'Mallory'
  const { differences } = compare(system)
  expect(differences).toMatchObject([{ where: 'read model', ...mismatch }])
  for (const event of ofNames(system.events).slice(-1))
    Object.assign(event.payload, { email: 'm@example.com' })
  expect(compare(system).differences[0]).toMatchObject({ where: 'topic', found: { email: '(not shown)' } })
  expect(Bun.inspect(compare(system).differences)).not.toMatch(/Mallory|Eva|example/)
})

test('an erased client is no difference, its name at the read side or on the purged topic is one', () => {
  const system = systemOf(erasing)
  expect(compare(system).differences).toEqual([])
  const { events, clients } = system
  holderOf(system).erasure = 'purged'
  const left = { where: 'topic', accountId: client, problem: 'holds personal data that was erased' } as const
  expect(compare(system).differences).toMatchObject([left, left, left])
  system.events = events.filter((event) => !ofNames(events).includes(event))
  expect(compare(system).differences).toEqual([])

  system.clients = [{ id: client, name: 'Eva 2', version: 3n }]
  const kept = { where: 'read model', accountId: client, version: 3n, problem: missing } as const
  expect(compare(system).differences).toMatchObject([kept])
  // Until the erasure is consumed.
  system.consumed = 0
  expect(compare(system)).toMatchObject({ differences: [], counts: { waiting: 0 } })
  system.consumed = Number.POSITIVE_INFINITY
  system.clients = clients
  system.events = system.events.filter(({ name }) => name !== 'PersonalDataErased')
  const lost = { where: 'topic', accountId: client, event: 'PersonalDataErased' } as const
  expect(compare(system).differences).toMatchObject([lost])
})

test('personal data that waits in the outbox is pending', () => {
  const system = systemOf(erasing)
  system.events = system.events.filter(({ name }) => name !== 'PersonalDataErased')
  const comparison = new Comparison(20)
  comparison.track(system.holders.filter(({ id }) => id === client))
  comparison.trackWaitingClients([client, 'unknown'])
  for (const event of system.events)
    if ('id' in event.payload && event.payload.id === client)
      comparison.observe(
        { where: 'topic', place: '', evidence: evidence.published, assertions: assertionsOfEvent(event) },
        system.records,
      )
  comparison.summarize()
  expect(comparison).toMatchObject({ differences: [], counts: { waiting: 1 } })
})

test('what is written after the watermark is not missed', () => {
  const before = systemOf([])
  const system = systemOf([{ kind: 'transfer', from: 0, to: 1, amount: 100 }])
  const comparison = new Comparison(20)
  comparison.track(before.holders)
  for (const topic of ['clients', 'personal-data', 'accounts', 'transactions', 'balances'])
    comparison.truncatedTopics.add(topic)
  comparison.verifyEntries(system.entries)
  comparison.confirmHolders(system.holders)
  comparison.summarize()
  expect(comparison.differences).toEqual([])
})

test('records past retention are unchecked, but a stale read model still is a difference', () => {
  const system = systemOf([{ kind: 'transfer', from: 0, to: 1, amount: 100 }])
  system.events = []
  system.truncated = ['clients', 'personal-data', 'accounts', 'transactions', 'balances']
  system.shown = []
  // The client and its personal data, the accounts, two entries and a notification.
  const unchecked = system.holders.length + 1 + 2 + 1
  expect(compare(system)).toMatchObject({ differences: [], counts: { waiting: 0, behind: 0, unchecked } })

  for (const balance of system.balances) if (balance.accountId === world) balance.version = 0n
  expect(compare(system).differences).toMatchObject([{ where: 'read model', accountId: world, version: 1n }])
})

test('differences are kept up to the limit per source, and all are counted', () => {
  const system = systemOf([])
  system.events = []
  const comparison = new Comparison(2)
  comparison.track(system.holders)
  comparison.summarize()
  expect(comparison.differences).toHaveLength(2)
  expect(comparison.total).toBe(system.holders.length + 1)
})
