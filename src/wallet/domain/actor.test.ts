import { expect, test } from 'bun:test'
import { testAccount } from '../../testing/accounts'
import { toEvents } from '../events'
import { worldIdOf } from './account'
import { type Command, decideAll, emptyBook } from './book'
import { asOpen, asPlaced } from './hold'
import type { Hold } from './types'

const at = new Date('2026-02-01T00:00:00Z')
const later = new Date('2026-03-01T00:00:00Z')
const [eva, frank, world] = ['eva', 'frank', worldIdOf('BRL')]

const remarks = { reference: null, metadata: null }
const parties = { accountIdFrom: eva, accountIdTo: frank }
const payment = { ...parties, ...remarks, amountMinor: 10n, currency: 'BRL', effectiveAt: null }
const ofHold = { ...parties, holdId: 'h' }
const ofAccount = { accountId: eva, currency: 'BRL', reference: null }
const placing = { type: 'hold', ...payment, toWorld: false, expiresAt: null } as const
const posting = { kind: 'transfer', ...parties, amountMinor: 1n } as const

/** In this order. The name of each becomes its id and its actor. */
const commands: Record<string, Command> = {
  registers: { type: 'registration', id: '', name: 'Eva', email: 'eva@example.com' },
  renames: { type: 'update', id: '', clientId: 'registers', name: 'Eva Maria', email: null },
  opens: { type: 'opening', id: '', clientId: 'registers', currency: 'USD', overdraftLimitMinor: 0n },
  pays: { type: 'transfer', id: '', kind: 'transfer', ...payment },
  posts: { ...payment, type: 'postings', id: '', postings: [posting, posting] },
  reverses: {
    type: 'reversal',
    id: '',
    ...payment,
    accountIdFrom: frank,
    accountIdTo: eva,
    reverses: 'pays',
  },
  holds: { ...placing, id: '' },
  extends: { type: 'extension', id: '', ...ofHold, holdId: 'holds', expiresAt: later },
  captures: { type: 'capture', id: '', ...payment, holdId: 'holds' },
  promises: { ...placing, id: '' },
  releases: { type: 'release', id: '', ...ofHold, holdId: 'promises', reason: 'released' },
  lends: { type: 'overdraft', id: '', ...ofAccount, overdraftLimitMinor: 500n },
  freezes: { type: 'status', id: '', ...ofAccount, status: 'frozen' },
  erases: { type: 'erasure', id: '', clientId: 'registers' },
}

function decideEach(anonymous = '') {
  const accounts = [
    ...[eva, frank].map((id) => testAccount(id, 1000n)),
    testAccount(world, 0n, { overdraftLimitMinor: null }),
  ]
  const book = emptyBook(new Map(accounts.map((account) => [account.id, account])))
  const actors: Record<string, unknown> = {}
  for (const [name, command] of Object.entries(commands)) {
    const sent = { ...command, id: name, ...(name !== anonymous && { actor: name }) }
    const { results, facts } = decideAll({ commands: [sent], atomic: true }, book, at)
    expect([name, results[0]?.kind]).not.toContain('rejected')
    if (results[0]?.kind === 'transaction')
      book.originals.set(name, { legs: results[0].legs, reversedMinor: 0n })
    // Of personal data the relay adds it.
    const events = facts.flatMap(toEvents).filter(({ topic }) => topic !== 'personal-data')
    actors[name] = events.map((event) => JSON.parse(event.value).Payload.actor)
  }
  return { book, actors }
}

test('the sender of a command is in all of its events', () => {
  const { actors } = decideEach()
  for (const [name, ofEvents] of Object.entries(actors))
    expect(ofEvents).toEqual(Array((ofEvents as unknown[]).length).fill(name))
  expect(Object.values(actors).flat().length).toBe(26)
})

test('what can change has who made it and who changed it last', () => {
  const { book } = decideEach()
  expect(book.clients.get('registers')).toMatchObject({ actor: 'registers', changedActor: 'erases' })
  expect(book.accounts.get('opens')).toMatchObject({ actor: 'opens', changedActor: null })
  expect(book.accounts.get(eva)).toMatchObject({ actor: null, changedActor: 'freezes' })
  const hold = book.holds.get('holds') as Hold
  expect(hold).toMatchObject({ actor: 'holds', extendedActor: 'extends', endedActor: 'captures' })
  expect(asOpen(hold)).toMatchObject({ actor: 'holds', extendedActor: 'extends', endedActor: null })
  expect(asPlaced(hold)).toMatchObject({ actor: 'holds', extendedActor: null, endedActor: null })
  expect(book.holds.get('promises')).toMatchObject({ actor: 'promises', endedActor: 'releases' })
})

test('without a sender there is no actor', () => {
  const { book, actors } = decideEach('releases')
  expect(actors.releases).toEqual([undefined, undefined])
  expect(book.holds.get('promises')).toMatchObject({ actor: 'promises', endedActor: null })
})
