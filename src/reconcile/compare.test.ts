import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { project } from '../balances/projection/project'
import type { SaldoEvent } from '../contract/events/events'
import { decodeRecord, type EncodedEvent } from '../contract/wire/envelope'
import { worldIdOf } from '../wallet/domain/account'
import { applyFact, type Command, decide, emptyBook } from '../wallet/domain/book'
import { accountToEvent, clientToEvent, toEvents } from '../wallet/events'
import { Comparison, type Difference, marks } from './compare'
import { claimOfClient, claimOfEntry, claimsOfBalance, claimsOfEvent } from './expectations'
import type { Holder, Known, LedgerEntry } from './ledger-store'

const at = new Date('2024-01-27T17:00:00Z')
const idOf = (number: number) => `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`
const [client, world] = [idOf(1), worldIdOf('BRL')]
const people = [idOf(2), idOf(3), idOf(4)] as const

/**
 * What somebody did: to whom, how much, in minor units. Money comes from `world`, the first of the
 * accounts.
 */
type Step = { kind: 'transfer' | 'hold' | 'capture' | 'release'; from: number; to: number; amount: number }

/** All that is read, as it is when nothing is wrong. */
function townOf(steps: Step[]) {
  const ids = [world, ...people]
  const money = { currency: 'BRL', balanceMinor: 0n, heldMinor: 0n, version: 0n, openedAt: at }
  const book = emptyBook(
    new Map(ids.map((id) => [id, { id, ...money, overdraftLimitMinor: id === world ? null : 100_000n }])),
  )
  const entries: LedgerEntry[] = []
  const known = new Map<string, Known>()
  const told: EncodedEvent[] = [
    clientToEvent({ id: client, name: 'Eva', email: 'eva@example.com', createdAt: at }),
  ]
  known.set(`ClientRegistered ${client}`, {
    holderId: client,
    version: 0n,
    fields: { clientName: 'Eva', email: 'eva@example.com' },
  })
  for (const id of ids) {
    const clientId = id === world ? null : client
    told.push(accountToEvent({ id, clientId, currency: 'BRL', overdraftLimitMinor: null, createdAt: at }))
    known.set(`AccountOpened ${id}`, { holderId: id, version: 0n, fields: { clientId, currency: 'BRL' } })
  }

  for (const [index, step] of steps.entries()) {
    const command = commandOf(step, idOf(100 + index), [...book.holds.values()])
    const decision = command && decide(command, book, at)
    if (!decision?.accepted) continue
    const { fact } = decision
    applyFact(book, fact)
    told.push(...toEvents(fact))
    for (const entry of fact.entries)
      entries.push({
        ...entry,
        transactionId: fact.id,
        bookedMinor: fact.transaction ? entry.amountMinor : null,
      })
    const about = fact.transaction ?? fact.hold
    const name = {
      transaction: 'TransactionCreated',
      capture: 'TransactionCreated',
      hold: 'HoldPlaced',
      release: 'HoldReleased',
    }
    const { accountIdFrom, accountIdTo, amountMinor, currency } = about
    known.set(`${name[fact.type]} ${about.id}`, {
      holderId: accountIdFrom,
      version: fact.from.version,
      fields: { accountIdFrom, accountIdTo, amountMinor, currency },
    })
  }
  entries.sort((a, b) => a.accountId.localeCompare(b.accountId) || Number(a.version - b.version))

  const decoded = told.map(({ value }) => decodeRecord({ value: Buffer.from(value) }))
  const projection = project(
    decoded.map((one) => ({ decoded: one, timestampMs: 0, origin: 0 })),
    new Map(),
  )
  const holders: Holder[] = [...book.accounts.values(), { id: client, ...money, currency: null }]
  return {
    holders: structuredClone(holders),
    entries,
    known,
    events: structuredClone(decoded.flatMap((one) => (one.kind === 'event' ? one.event : []))),
    waiting: [] as SaldoEvent[],
    balances: projection.balances.map((row) => ({ ...row, ownerName: null })),
    shown: projection.entries,
    clients: projection.clients,
    /** How many of the events the read side has passed. */
    passed: Number.POSITIVE_INFINITY,
    shortened: [] as string[],
  }
}
type Town = ReturnType<typeof townOf>

const remarks = { reference: null, metadata: null }

function commandOf(
  { kind, from, to, amount }: Step,
  id: string,
  holds: { id: string; accountIdFrom: string; accountIdTo: string }[],
): Command | undefined {
  const [accountIdFrom, accountIdTo] = [people[from - 1] ?? world, people[to - 1] ?? world]
  const asked = { id, accountIdFrom, accountIdTo, amountMinor: BigInt(amount), currency: 'BRL', ...remarks }
  if (kind === 'transfer') {
    const between = accountIdTo === world ? 'withdrawal' : 'transfer'
    return {
      type: 'transfer',
      ...asked,
      kind: accountIdFrom === world ? 'deposit' : between,
      effectiveAt: null,
    }
  }
  if (kind === 'hold')
    return {
      type: 'hold',
      ...asked,
      toWorld: accountIdTo === world,
      expiresAt: new Date(at.getTime() + 1000),
    }
  const hold = holds[amount % (holds.length || 1)]
  if (!hold) return undefined
  const of = { id, holdId: hold.id, accountIdFrom: hold.accountIdFrom, accountIdTo: hold.accountIdTo }
  return kind === 'capture'
    ? { type: 'capture', ...of, ...remarks, amountMinor: null, effectiveAt: null }
    : { type: 'release', ...of, reason: 'released' }
}

/** What is looked up comes from the same tables as what is walked along. */
function examine(town: Town): Comparison {
  const comparison = new Comparison(100)
  const known = new Map(town.known)
  for (const { accountId, version, bookedMinor: _, ...said } of town.entries) {
    known.set(`entry ${accountId}:${version}`, {
      holderId: accountId,
      version,
      fields: { ...said, currency: 'BRL' },
    })
  }
  for (const topic of town.shortened) comparison.shortened.add(topic)
  comparison.watch(town.holders)
  for (const event of town.waiting)
    comparison.hear({ where: 'outbox', place: 'row', mark: marks.waits, claims: claimsOfEvent(event) }, known)
  for (const [index, event] of town.events.entries()) {
    const mark = index < town.passed ? marks.told | marks.passed : marks.told
    comparison.hear({ where: 'topic', place: 'topic', mark, claims: claimsOfEvent(event) }, known)
  }
  for (const { accountId, version } of town.balances) comparison.show(accountId, version)
  const shown = { where: 'read model', place: 'table', mark: marks.shown } as const
  comparison.hear({ ...shown, claims: town.clients.map(claimOfClient) }, known)
  comparison.hear({ ...shown, claims: town.balances.flatMap(claimsOfBalance) }, known)
  const claimed = town.shown.map(
    ({ accountId, version, amountMinor, balanceMinor, heldMinor, transactionId }) =>
      claimOfEntry({ accountId, version, amountMinor, balanceMinor, heldMinor, transactionId }),
  )
  comparison.hear({ ...shown, claims: claimed }, known)
  comparison.walk(town.entries)
  comparison.settle(town.holders)
  comparison.finish()
  return comparison
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('transfer', 'transfer', 'hold', 'capture', 'release'),
  from: fc.integer({ min: 0, max: 3 }),
  to: fc.integer({ min: 0, max: 3 }),
  amount: fc.integer({ min: 1, max: 60_000 }),
})
/** The first three give everybody something, so that there is always something to get wrong. */
const lives = fc
  .array(step, { maxLength: 25 })
  .map((steps) => [
    ...[1, 2, 3].map((to): Step => ({ kind: 'transfer', from: 0, to, amount: 50_000 })),
    { kind: 'hold', from: 1, to: 2, amount: 100 } satisfies Step,
    ...steps,
  ])

test('nothing is found where nothing is wrong, whatever people did', () => {
  fc.assert(
    fc.property(lives, (steps) => {
      const { differences, counts } = examine(townOf(steps))
      expect(differences).toEqual([])
      expect(counts).toEqual({ waiting: 0, behind: 0, unchecked: 0 })
    }),
  )
})

type Named = Pick<Difference, 'where'> & Partial<Difference>
/** Spoils one thing, which `pick` chooses among several, and answers what has to be named. */
type Fault = (town: Town, pick: <T>(of: T[]) => T) => Named

const ofName = (town: Town, pattern: RegExp) => town.events.filter(({ name }) => pattern.test(name))
const remove = <T>(from: T[], one: T) => from.splice(from.indexOf(one), 1)
const entryNamed = ({ accountId, version }: { accountId: string; version: bigint }) => ({
  accountId,
  version,
})
/** The side of a balance that is an entry of its own. */
const payerOf = (event: SaldoEvent) => {
  if (event.name !== 'BalanceUpdated') throw new Error('not a balance')
  const { account_id_from: accountId, version_account_id_from: version = 0 } = event.payload
  return { accountId, version: BigInt(version) }
}

const behind = 'its account has not come as far as this entry'
const missing = 'it is missing, though its event was consumed'

const faults: Record<string, Fault> = {
  'the balance of an entry of the ledger': ({ entries }, pick) => {
    const entry = pick(entries)
    entry.balanceMinor += 1n
    return { where: 'ledger', ...entryNamed(entry), found: { balanceMinor: entry.balanceMinor } }
  },
  'the amount of an entry of the ledger': ({ entries }, pick) => {
    const entry = pick(entries)
    entry.amountMinor += 1n
    return { where: 'ledger', ...entryNamed(entry) }
  },
  'what an entry of the ledger holds back': ({ entries }, pick) => {
    const entry = pick(entries)
    entry.heldMinor += 1n
    return { where: 'topic', ...entryNamed(entry), found: { heldMinor: entry.heldMinor - 1n } }
  },
  'an entry of the ledger that is gone': ({ entries }, pick) => {
    const entry = pick(entries)
    remove(entries, entry)
    return { where: 'topic', ...entryNamed(entry), problem: 'the ledger does not know it' }
  },
  'the balance of an account of the ledger': ({ holders }, pick) => {
    const holder = pick(holders.filter(({ currency }) => currency))
    holder.balanceMinor -= 1n
    return { where: 'ledger', accountId: holder.id, found: { balanceMinor: holder.balanceMinor } }
  },
  'an account of the ledger that stands still': ({ holders }, pick) => {
    const holder = pick(holders.filter(({ currency }) => currency))
    holder.version -= 1n
    return { where: 'ledger', accountId: holder.id, version: holder.version + 1n, problem: behind }
  },
  'a balance that was never told': (town, pick) => {
    const event = pick(ofName(town, /Balance/))
    remove(town.events, event)
    return { where: 'topic', ...payerOf(event), event: 'BalanceUpdated' }
  },
  'a notification that was never told': (town, pick) => {
    const event = pick(ofName(town, /Transaction|Hold/))
    remove(town.events, event)
    const accountId = 'account_id_from' in event.payload ? event.payload.account_id_from : ''
    return { where: 'topic', accountId, event: event.name }
  },
  'an account or a client that was never told of': (town, pick) => {
    const event = pick(ofName(town, /Opened|Registered/))
    remove(town.events, event)
    return {
      where: 'topic',
      accountId: 'id' in event.payload ? event.payload.id : '',
      event: event.name,
      version: 0n,
    }
  },
  'a balance that was told otherwise': (town, pick) => {
    const event = pick(ofName(town, /Balance/))
    if (event.name === 'BalanceUpdated') event.payload.balance_account_id_from += 1
    return { where: 'topic', ...payerOf(event), problem: 'the ledger says otherwise' }
  },
  'a balance that waits otherwise': (town, pick) => {
    const event = structuredClone(pick(ofName(town, /Balance/)))
    if (event.name === 'BalanceUpdated') event.payload.balance_account_id_from += 1
    town.waiting.push(event)
    return { where: 'outbox', ...payerOf(event), problem: 'the ledger says otherwise' }
  },
  'an amount that was told otherwise': (town, pick) => {
    const event = pick(ofName(town, /Transaction|Hold/))
    if ('amount' in event.payload && event.payload.amount) event.payload.amount += 1
    return { where: 'topic', problem: 'the ledger says otherwise' }
  },
  'a balance of nobody': (town, pick) => {
    const event = structuredClone(pick(ofName(town, /Balance/)))
    if (event.name === 'BalanceUpdated') event.payload.account_id_from = 'nobody'
    town.events.push(event)
    return { where: 'topic', accountId: 'nobody', problem: 'the ledger does not know it' }
  },
  "a balance of the course's, without a version": (town, pick) => {
    const event = structuredClone(pick(ofName(town, /Balance/)))
    const { accountId } = payerOf(event)
    if (event.name === 'BalanceUpdated') delete event.payload.version_account_id_from
    town.events.push(event)
    return { where: 'topic', accountId, problem: 'the ledger does not know it' }
  },
  'a transaction that never was': (town, pick) => {
    const event = structuredClone(pick(ofName(town, /Transaction/)))
    if (event.name === 'TransactionCreated') event.payload.id = idOf(99)
    town.events.push(event)
    return { where: 'topic', transactionId: idOf(99), problem: 'the ledger does not know it' }
  },
  'the balance of an entry of the read model': ({ shown }, pick) => {
    const entry = pick(shown)
    entry.balanceMinor += 1n
    return { where: 'read model', ...entryNamed(entry), found: { balanceMinor: entry.balanceMinor } }
  },
  'an entry that the read model lost': ({ shown }, pick) => {
    const entry = pick(shown)
    remove(shown, entry)
    return { where: 'read model', ...entryNamed(entry), problem: missing }
  },
  'a balance of the read model': ({ balances }, pick) => {
    const balance = pick(balances.filter(({ version }) => version > 0n))
    balance.balanceMinor += 1n
    return { where: 'read model', ...entryNamed(balance), found: { balanceMinor: balance.balanceMinor } }
  },
  'a balance of the read model that stands still': ({ balances, entries }, pick) => {
    const balance = pick(balances.filter(({ version }) => version > 1n))
    const before = entries.find(
      (one) => one.accountId === balance.accountId && one.version === balance.version - 1n,
    )
    const named = entryNamed(balance)
    Object.assign(balance, {
      version: before?.version,
      balanceMinor: before?.balanceMinor,
      heldMinor: before?.heldMinor,
    })
    return {
      where: 'read model',
      ...named,
      problem: `the balance is still that of version ${before?.version}, though its event was consumed`,
    }
  },
  'an account that the read model lost': ({ balances }, pick) => {
    const balance = pick(balances)
    remove(balances, balance)
    return { where: 'read model', accountId: balance.accountId, version: 0n, problem: missing }
  },
  'an account of the read model in another currency': ({ balances }, pick) => {
    const balance = pick(balances)
    balance.currency = 'USD'
    return { where: 'read model', accountId: balance.accountId, found: { currency: 'USD' } }
  },
}

test.each(Object.entries(faults))('%s is named', (_, fault) => {
  fc.assert(
    fc.property(lives, fc.nat(), (steps, chance) => {
      const town = townOf(steps)
      const named = fault(town, (of) => of[chance % of.length] as never)
      const { differences } = examine(town)
      expect(differences).toContainEqual(expect.objectContaining(named))
      // Whatever else is named along with it is about the same accounts.
      const accounts = new Set(differences.flatMap(({ accountId }) => accountId ?? []))
      expect(accounts.size).toBeLessThanOrEqual(2)
    }),
    { numRuns: 15 },
  )
})

test('one wrong number of the ledger is told once there, with what it should be', () => {
  const [accountId] = people
  const ledgerOf = (spoil: (town: Town) => void) => {
    const town = townOf([300, 20, 1].map((amount) => ({ kind: 'transfer', from: 0, to: 1, amount })))
    spoil(town)
    return examine(town).differences.filter(({ where }) => where === 'ledger')
  }
  const entryOf = ({ entries }: Town, version: bigint) =>
    entries.find((one) => one.accountId === accountId && one.version === version) as LedgerEntry
  const cent = { currency: 'BRL', expected: { balanceMinor: 320n }, found: { balanceMinor: 319n } }

  expect(ledgerOf((town) => entryOf(town, 2n).balanceMinor--)).toMatchObject([
    { accountId, version: 2n, ...cent },
  ])
  expect(
    ledgerOf(({ entries }) => entries.splice(entries.indexOf(entryOf({ entries } as Town, 2n)), 1)),
  ).toMatchObject([{ accountId, version: 3n, problem: 'there is no entry between version 1 and this one' }])
  expect(ledgerOf(({ holders }) => holders.splice(1, 1))).toMatchObject([
    { accountId, version: 3n, problem: behind },
    { currency: 'BRL', problem: 'all accounts together do not hold zero', found: { balanceMinor: -321n } },
  ])
})

test('what is on its way is pending and no difference', () => {
  const town = townOf([{ kind: 'transfer', from: 0, to: 1, amount: 100 }])
  const [announced, balance] = town.events.slice(-2)
  // One event of the two waits in the outbox still, the other was told, and not come to yet.
  town.waiting.push(...town.events.splice(-2, 1))
  town.passed = town.events.length - 1
  town.shown = []
  town.balances = town.balances.map((row) => ({ ...row, version: 0n, balanceMinor: 0n }))
  expect([announced?.name, balance?.name]).toEqual(['TransactionCreated', 'BalanceUpdated'])
  const { differences, counts } = examine(town)
  expect({ differences, counts }).toEqual({
    differences: [],
    counts: { waiting: 1, behind: 2, unchecked: 0 },
  })
})

test('what came to be after the watermark is not missed', () => {
  const before = townOf([])
  const town = townOf([{ kind: 'transfer', from: 0, to: 1, amount: 100 }])
  const comparison = new Comparison(20)
  comparison.watch(before.holders)
  for (const topic of ['clients', 'accounts', 'transactions', 'balances']) comparison.shortened.add(topic)
  comparison.walk(town.entries)
  comparison.settle(town.holders)
  comparison.finish()
  expect(comparison.differences).toEqual([])
})

test('a topic that has lost its beginning is not held against anybody, but what the read model shows is', () => {
  const town = townOf([{ kind: 'transfer', from: 0, to: 1, amount: 100 }])
  town.events = []
  town.shortened = ['clients', 'accounts', 'transactions', 'balances']
  town.shown = []
  const unchecked = town.holders.length + 2 + 1
  expect(examine(town)).toMatchObject({ differences: [], counts: { waiting: 0, behind: 0, unchecked } })

  for (const balance of town.balances) if (balance.accountId === world) balance.version = 0n
  expect(examine(town).differences).toMatchObject([{ where: 'read model', accountId: world, version: 1n }])
})

test('of each place no more differences are kept than wanted, and all are counted', () => {
  const town = townOf([])
  town.events = []
  const comparison = new Comparison(2)
  comparison.watch(town.holders)
  comparison.finish()
  expect(comparison.differences).toHaveLength(2)
  expect(comparison.total).toBe(town.holders.length)
})
