import { expect, test } from 'bun:test'
import { type Account, worldIdOf } from './account'
import { type Command, decideAll, emptyBook } from './book'

const at = new Date('2026-02-01T00:00:00Z')
const grace = { id: 'c1', name: 'Grace', email: 'grace@example.com' }
const opening = (id: string, currency: string): Command => ({
  type: 'opening',
  id,
  clientId: 'c1',
  currency,
  overdraftLimitMinor: 500n,
})

test('the first account of a currency opens world with it; another one does not', () => {
  const book = emptyBook()
  const commands: Command[] = [
    { type: 'registration', ...grace },
    opening('a1', 'BRL'),
    opening('a2', 'BRL'),
    opening('a3', 'USD'),
  ]
  const { facts, results } = decideAll({ commands, atomic: true }, book, at)
  const opened = facts.map((fact) => (fact.type === 'opening' ? fact.accounts.map(({ id }) => id) : []))
  expect(opened).toEqual([[], [worldIdOf('BRL'), 'a1'], ['a2'], [worldIdOf('USD'), 'a3']])
  expect(results[0]).toEqual({
    kind: 'client',
    client: {
      ...grace,
      version: 1n,
      actor: null,
      changedActor: null,
      createdAt: at,
      updatedAt: at,
      erasedAt: null,
    },
  })
  const account: Account = {
    ...{ id: 'a1', clientId: 'c1', currency: 'BRL', overdraftLimitMinor: 500n, createdAt: at, updatedAt: at },
    ...{ balanceMinor: 0n, heldMinor: 0n, version: 0n, openingLimitMinor: null, status: 'open' },
    ...{ actor: null, changedActor: null },
  }
  expect(results[1]).toEqual({ kind: 'account', account })
  expect(book.accounts.get('a1')).toEqual(account)
  expect(book.accounts.get(worldIdOf('USD'))).toMatchObject({ clientId: null, overdraftLimitMinor: null })
})

test('a client that does not exist opens no account; of an atomic batch nothing is left', () => {
  const book = emptyBook()
  expect(decideAll({ commands: [opening('a1', 'BRL')], atomic: true }, book, at)).toEqual({
    results: [{ kind: 'rejected', rejection: 'client_not_found' }],
    facts: [],
  })
  const commands: Command[] = [
    { type: 'registration', ...grace },
    opening('a1', 'BRL'),
    { ...opening('a2', 'BRL'), clientId: 'c2' } as Command,
  ]
  const results = ['batch_refused', 'batch_refused', 'client_not_found']
  expect(decideAll({ commands, atomic: true }, book, at)).toMatchObject({
    results: results.map((rejection) => ({ kind: 'rejected', rejection })),
    facts: [],
  })
  expect([...book.clients.keys(), ...book.accounts.keys()]).toEqual([])
})
