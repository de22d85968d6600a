import { expect, test } from 'bun:test'
import type { Subject } from '../platform/http/principal'
import { createRestrict } from './restriction'

const [eva, frank] = ['d6a41403-bbd0-11ee-8a24-0242ac120003', 'd6a41504-bbd0-11ee-8a24-0242ac120003']
const owners: Record<string, string | null> = { [eva]: 'client-e', [frank]: 'client-f', world: null }
const asked: string[] = []
const restrict = createRestrict(async (account) => {
  asked.push(account)
  return owners[account]
})
const request = new Request('http://host/')

const ofEva = { accountIds: [eva], clientId: null }
const ofClient = { accountIds: null, clientId: 'client-e' }
const ofBoth = { accountIds: ['world'], clientId: 'client-e' }

test('a key without a restriction has none', () => {
  expect(restrict({ accountIds: null, clientId: null })).toBeUndefined()
})

test.each<[{ accountIds: string[] | null; clientId: string | null }, Subject, boolean]>([
  [ofEva, { account: eva }, true],
  [ofEva, { account: eva.toUpperCase() }, true],
  [ofEva, { account: frank }, false],
  [ofEva, { account: '' }, false],
  [ofEva, { client: 'client-e' }, false],
  [ofEva, { anyOf: [{ account: frank }, { account: eva }] }, true],
  [ofEva, { anyOf: [{ account: frank }] }, false],
  [ofEva, { anyOf: [] }, false],
  [ofClient, { account: eva }, true],
  [ofClient, { account: frank }, false],
  [ofClient, { account: 'world' }, false],
  [ofClient, { account: 'unknown' }, false],
  [ofClient, { client: 'client-e' }, true],
  [ofClient, { client: 'client-f' }, false],
  [ofBoth, { account: eva }, true],
  [ofBoth, { account: 'world' }, true],
  [ofBoth, { account: frank }, false],
  [{ accountIds: [], clientId: null }, { account: eva }, false],
])('%j may use %j: %p', async (key, subject, allowed) => {
  expect(await restrict(key)?.allows(subject, request)).toBe(allowed)
})

test('an owner is looked up until it is known, and then never again', async () => {
  const restriction = restrict({ accountIds: null, clientId: 'client-n' })
  const isAllowed = () => restriction?.allows({ account: 'new' }, request)
  expect(await isAllowed()).toBe(false)
  owners.new = 'client-n'
  expect(await isAllowed()).toBe(true)
  const before = asked.length
  expect([await isAllowed(), asked.length]).toEqual([true, before])
})
