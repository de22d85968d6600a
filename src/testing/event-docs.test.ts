/** What is written about the events is what the definitions say, and what was released is kept. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { Type } from '@sinclair/typebox'
import { defineEvent } from '../contract/events/define-event'
import { AccountOpened, events } from '../contract/events/events'
import { brokenPromises, writeEventDocs } from './event-docs'

test.each([...writeEventDocs()])(
  '%s is as the definitions say; if not: npm run docs:events',
  async (path, text) => {
    expect(await Bun.file(join(import.meta.dir, '../..', path)).text()).toBe(text)
  },
)

test('every released schema is kept: inside a major version only optional fields are added', () => {
  expect(brokenPromises()).toEqual([])
})

const { properties } = AccountOpened.payload
const changed = (version: number, fields: Record<string, unknown>, upcasts = {}) => {
  const payload = Type.Object({ ...properties, ...(fields as typeof properties) })
  return { ...events, AccountOpened: defineEvent({ ...AccountOpened, version, payload, upcasts }) }
}
const opened = 'docs/events/AccountOpened.v1.json'

test.each([
  [
    'a narrower field',
    changed(1, { currency: Type.String({ pattern: '^BRL$' }) }),
    [`${opened}: currency: pattern was "^[A-Z]{3}$" and is "^BRL$"`],
  ],
  ['a field that is required', changed(1, { branch: Type.String() }), [`${opened}: branch is required now`]],
  [
    'a new version that nobody is brought to',
    changed(2, { branch: Type.String() }),
    [`${opened}: no upcast makes its example one of version 2`],
  ],
  [
    'a new version with an upcast that forgets a field',
    changed(2, { branch: Type.String() }, { 1: (payload: object) => payload }),
    [`${opened}: no upcast makes its example one of version 2`],
  ],
  ['an event less', { ...events, AccountOpened: undefined }, [`${opened}: the event is gone`]],
  [
    'a new version that old ones are brought to',
    changed(2, { branch: Type.String() }, { 1: (payload: object) => ({ ...payload, branch: '1' }) }),
    [],
  ],
  ['an optional field', changed(1, { branch: Type.Optional(Type.String()) }), []],
])('%s is told with file and field, where it breaks anything', (_, definitions, complaints) => {
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
