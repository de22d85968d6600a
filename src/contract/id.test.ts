import { expect, test } from 'bun:test'
import { canonicalId, withCanonicalIds } from './id'

const lower = 'd6a41403-bbd0-11ee-8a24-0242ac120003'

test.each([
  [lower.toUpperCase(), lower],
  ['D6a41403-bbd0-11EE-8a24-0242ac120003', lower],
  [lower, lower],
  ['EVA', 'EVA'],
  ['Conta-Á', 'Conta-Á'],
  [`${lower.toUpperCase()} `, `${lower.toUpperCase()} `],
  [`{${lower.toUpperCase()}}`, `{${lower.toUpperCase()}}`],
  ['G6A41403-BBD0-11EE-8A24-0242AC120003', 'G6A41403-BBD0-11EE-8A24-0242AC120003'],
  ['', ''],
])('%p is %p', (id, canonical) => {
  expect(canonicalId(id)).toBe(canonical)
})

test('a payload has its ids in one form, and everything else as it was', () => {
  const names = [
    'id',
    'client_id',
    'account_id_from',
    'account_id_to',
    'transaction_id',
    'hold_id',
    'reverses',
  ]
  const payload = {
    ...Object.fromEntries(names.map((name) => [name, lower.toUpperCase()])),
    reference: 'ABC',
    n: 1,
  }
  const given = structuredClone(payload)
  expect(withCanonicalIds(payload)).toEqual({
    ...payload,
    ...Object.fromEntries(names.map((name) => [name, lower])),
  })
  expect(payload).toEqual(given)
  const plain = { id: lower, client_id: null, account_id_from: 'EVA' }
  expect(withCanonicalIds(plain)).toBe(plain)
})
