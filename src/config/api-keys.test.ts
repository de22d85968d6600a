import { expect, test } from 'bun:test'
import { keyEntries } from './api-keys'

const terminal = {
  id: '01935a52-3f4b-7c1e-a1d0-2f6f8f4f9a10',
  name: 'terminal-7',
  hash: 'a'.repeat(64),
  scopes: ['read', 'write'] as const,
}
const shop = {
  ...{ id: terminal.id.replace(/0$/, '1'), name: 'shop@example', hash: 'b'.repeat(64), scopes: ['read'] },
  ...{ accounts: ['d6a41403-bbd0-11ee-8a24-0242ac120003'], client: 'c', expires_at: '2027-01-31T00:00:00Z' },
}
const parsed = [
  { ...terminal, accountIds: null, clientId: null, expiresAt: null },
  {
    ...{ id: shop.id, name: shop.name, hash: shop.hash, scopes: shop.scopes },
    ...{ accountIds: shop.accounts, clientId: 'c', expiresAt: shop.expires_at },
  },
]

test.each([
  ['lines', `${JSON.stringify(terminal)}\n\n  ${JSON.stringify(shop)}\r\n`],
  ['a list', JSON.stringify([terminal, shop], null, 2)],
])('entries are read from %s', (_, text) => {
  expect(keyEntries(text)).toEqual(parsed as ReturnType<typeof keyEntries>)
})

const token = 'saldo_live_00000000000000000000000000000000000000000003h9HFU'

test.each([
  ['not JSON', token, 'a JSON object in each line'],
  ['a text', JSON.stringify(token), 'is not an object'],
  ['the token itself', JSON.stringify({ ...terminal, hash: token }), 'has no valid hash'],
  ['a token as a member', JSON.stringify({ ...terminal, [token]: 1 }), 'has a member other than'],
  ['a misspelled limit', JSON.stringify({ ...terminal, account: 'x' }), 'has a member other than'],
  ['no accounts at all', JSON.stringify({ ...terminal, accounts: [] }), 'has no valid accounts'],
  ['an unknown scope', JSON.stringify({ ...terminal, scopes: ['all'] }), 'has no valid scopes'],
  ['no scope', JSON.stringify({ ...terminal, scopes: [] }), 'has no valid scopes'],
  ['a name with a space', JSON.stringify({ ...terminal, name: 'a b' }), 'has no valid name'],
  ['no day', JSON.stringify({ ...terminal, expires_at: 'soon' }), 'has no valid expires_at'],
  ['a day that is none', JSON.stringify({ ...terminal, expires_at: '2026-02-30T00:00:00Z' }), 'expires_at'],
  [
    'a time without its zone',
    JSON.stringify({ ...terminal, expires_at: '2027-01-31T00:00:00' }),
    'expires_at',
  ],
  ['one key twice', `${JSON.stringify(terminal)}\n${JSON.stringify(terminal)}`, 'have the same id'],
])('%s is refused, and not repeated', (_, text, reason) => {
  let message = ''
  try {
    keyEntries(text)
  } catch (error) {
    message = (error as Error).message
  }
  expect(message).toContain(reason)
  expect(message).not.toContain(token)
})
