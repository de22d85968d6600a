import { expect, test } from 'bun:test'
import { Versions } from './versions'

const versionsOf = (...tokens: string[]) => {
  const versions = new Versions()
  for (const token of tokens) versions.add(token)
  return versions
}

test.each([
  ['the highest version of each account', ['a:1,b:2', 'a:3,b:1'], 'a:3,b:2'],
  ['an id with a colon', ['urn:a:7'], 'urn:a:7'],
  [
    'UUIDs in either letter case as one',
    ['D6A41403-BBD0-11EE-8A24-0242AC120003:1', 'd6a41403-bbd0-11ee-8a24-0242ac120003:2'],
    'd6a41403-bbd0-11ee-8a24-0242ac120003:2',
  ],
  ['other ids as they are', ['A:1,a:2'], 'A:1,a:2'],
  ['a later epoch of the ledger before any version', ['a:9', 'a:5@2', 'a:7@1'], 'a:5@2'],
  ['nothing of what is no token', ['', ',', 'a', ':1', 'a:x', 'a:1.5'], ''],
])('keeps %s', (_, tokens, expected) => {
  expect(String(versionsOf(...tokens))).toBe(expected)
})

test('a read of one account asks for that account alone', () => {
  const versions = versionsOf('a:1,b:2')
  expect(versions.tokenFor('b')).toBe('b:2')
  expect(versions.tokenFor('c')).toBeUndefined()
})

test('a list asks for the accounts written last, as many as a token may name', () => {
  const versions = versionsOf(Array.from({ length: 300 }, (_, index) => `${index}:1`).join())
  versions.add('7:2')
  const accounts = versions.tokenFor(undefined)?.split(',') ?? []
  expect(accounts).toHaveLength(100)
  expect(accounts.slice(-2)).toEqual(['299:1', '7:2'])
  expect(new Versions().tokenFor(undefined)).toBeUndefined()
})

test('remembers a thousand accounts, those written last', () => {
  const versions = versionsOf(Array.from({ length: 1500 }, (_, index) => `${index}:1`).join())
  expect(versions.tokenFor('499')).toBeUndefined()
  expect(versions.tokenFor('500')).toBe('500:1')
  expect(String(versions).split(',')).toHaveLength(1000)
})

test('learns from bodies: transactions, holds, members of batches, and accounts', () => {
  const versions = new Versions()
  const between = (from: string, to: string) => ({
    id: 't',
    account_id_from: from,
    account_id_to: to,
    version_account_id_from: 3,
    version_account_id_to: 4,
  })
  versions.learn({
    results: [
      { status: 201, transaction: between('a', 'b') },
      { status: 422, problem: {} },
    ],
  })
  versions.learn({ id: 'h', account_id_from: 'c', account_id_to: 'd', version_account_id_from: 5 })
  versions.learn({ id: 'p', postings: [between('f', 'g'), between('g', 'h')] })
  versions.learn({ id: 'e', balance: '0', version: 0 })
  versions.learn({ id: 'client', name: 'Eva' })
  for (const body of [undefined, null, '', [], 'text']) versions.learn(body)
  expect(String(versions)).toBe('a:3,b:4,c:5,f:3,g:4,h:4,e:0')
})
