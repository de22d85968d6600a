import { expect, test } from 'bun:test'
import { type ActionName, actionNames, actions, groups, type Input, obstacleOf } from './actions.ts'

const input: Input = {
  ...{ from: ' eva', to: 'frank ', amount: ' 10,25', currency: 'BRL', key: 'one', hold: 'a/b' },
}
const bodyOf = (name: ActionName, more: Partial<Input> = {}) =>
  actions[name].request({ ...input, ...more }).body

test('every action is in one group', () => {
  expect(Object.values(groups).flat().sort()).toEqual([...actionNames].sort())
})

test('amounts are sent as they were typed, never as floats, and other currencies by name', () => {
  const paid = { account_id_from: 'eva', account_id_to: 'frank', amount: '10.25' }
  expect(bodyOf('pay')).toEqual(paid)
  expect(bodyOf('pay', { amount: '0.30000000000000004' })).toEqual({ ...paid, amount: '0.30000000000000004' })
  expect(bodyOf('hold', { currency: 'USD' })).toEqual({ ...paid, currency: 'USD' })
  expect(bodyOf('payOneself')).toEqual({ ...paid, account_id_to: 'eva' })
  expect(bodyOf('pay', { currency: undefined })).toEqual(paid)
})

test('every request has a key, and an id of a path is encoded', () => {
  for (const name of actionNames)
    expect(actions[name].request(input).headers).toEqual({ 'idempotency-key': '"one"' })
  expect(actions.capture.request(input).path).toBe('/holds/a%2Fb/capture')
})

test('what an action caused has an address', () => {
  expect(actions.pay.leadsTo?.({ id: 'x y' }, input)).toBe('#/transactions/x%20y')
  expect(actions.hold.leadsTo?.({}, input)).toBe('#/accounts/eva')
  expect(actions.courseRecord.leadsTo?.({ account_ids: ['ana', 'bia'] }, input)).toBe('#/accounts/ana')
})

const open = { wallet_url: 'http://localhost:8080', actions: true, local: true }

test.each([
  ['pay', open, undefined, undefined],
  ['pay', { ...open, wallet_url: null }, undefined, 'noWallet'],
  ['pay', { ...open, actions: false, local: false }, undefined, undefined],
  ['capture', open, undefined, 'noHold'],
  ['capture', open, 'a', undefined],
  ['capture', { ...open, wallet_url: null }, 'a', 'noWallet'],
  ['pause', { ...open, wallet_url: null, local: false }, undefined, undefined],
  ['pause', { ...open, actions: false }, undefined, 'actionsOff'],
  ['stopBroker', { ...open, actions: false, local: false }, undefined, 'actionsOff'],
  ['stopBroker', { ...open, local: false }, undefined, 'notLocal'],
  ['stopBroker', open, undefined, undefined],
  ['rebuild', { ...open, actions: false, local: false, wallet_url: null }, undefined, undefined],
  ['rebuild', undefined, undefined, 'starting'],
] as const)('%s with %j and hold %p: %p', (name, settings, hold, obstacle) => {
  expect(obstacleOf(name, settings, hold)).toBe(obstacle as never)
})
