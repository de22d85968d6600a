/** Event documentation matches the definitions, and released schemas stay compatible. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { Type } from '@sinclair/typebox'
import { defineEvent } from '../contract/events/define-event'
import { AccountOpened, events } from '../contract/events/events'
import { brokenPromises, writeEventDocs } from './event-docs'

test.each([...writeEventDocs()])('%s is up to date (npm run docs)', async (path, text) => {
  expect(await Bun.file(join(import.meta.dir, '../..', path)).text()).toBe(text)
})

test('no released schema is broken: a major version only gains optional fields', () => {
  expect(brokenPromises()).toEqual([])
})

const { properties } = AccountOpened.payload
const changed = (version: number, fields: Record<string, unknown>, upcasts = {}) => {
  const payload = Type.Object({ ...properties, ...(fields as typeof properties) })
  return { ...events, AccountOpened: defineEvent({ ...AccountOpened, key: 'id', version, payload, upcasts }) }
}
const opened = 'docs/events/AccountOpened.v1.json'

test.each([
  [
    'a narrower field',
    changed(1, { currency: Type.String({ pattern: '^BRL$' }) }),
    [`${opened}: currency: pattern was "^[A-Z]{3}$" and is "^BRL$"`],
  ],
  ['a new required field', changed(1, { branch: Type.String() }), [`${opened}: branch is required now`]],
  [
    'a new version without an upcast',
    changed(2, { branch: Type.String() }),
    [`${opened}: no upcast makes its example one of version 2`],
  ],
  [
    'a new version with an upcast that forgets a field',
    changed(2, { branch: Type.String() }, { 1: (payload: object) => payload }),
    [`${opened}: no upcast makes its example one of version 2`],
  ],
  ['a removed event', { ...events, AccountOpened: undefined }, [`${opened}: the event is gone`]],
  [
    'a new version with an upcast',
    changed(2, { branch: Type.String() }, { 1: (payload: object) => ({ ...payload, branch: '1' }) }),
    [],
  ],
  ['an optional field', changed(1, { branch: Type.Optional(Type.String()) }), []],
])('%s is reported if it breaks a released schema', (_, definitions, complaints) => {
  expect(brokenPromises(definitions)).toEqual(complaints)
})

test('every field says what it means', () => {
  const silent = Object.values(events).flatMap(({ name, payload }) =>
    Object.entries<{ description?: string }>(payload.properties)
      .filter(([, schema]) => !schema.description)
      .map(([field]) => `${name}.${field}`),
  )
  expect(silent).toEqual([])
})
