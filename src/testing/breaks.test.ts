import { expect, test } from 'bun:test'
import { Type } from '@sinclair/typebox'
import { breaks } from './breaks'

const name = Type.String({ minLength: 1, maxLength: 80 })
const reason = Type.Union([Type.Literal('lost'), Type.Literal('late')])
const weight = Type.Object({ grams: Type.Integer({ minimum: 0 }) })
const note = Type.Optional(Type.String())
const sender = Type.Union([name, Type.Null()])
const parcel = { name, reason, weight, note, sender, zone: Type.String({ pattern: '^[A-Z]$' }) }

/** The released schema with some fields changed; undefined removes one. */
const withFields = (fields: Record<string, object | undefined>) => {
  const { properties, required } = Type.Object({ ...parcel, ...(fields as typeof parcel) })
  return JSON.parse(
    JSON.stringify({
      type: 'object',
      properties,
      required: required?.filter((one) => properties[one as 'name']),
    }),
  )
}
const released = withFields({})

test.each<[string, Record<string, object | undefined>]>([
  ['nothing', {}],
  ['an optional field', { colour: Type.Optional(Type.String({ minLength: 3 })) }],
  ['an optional field within a field', { weight: Type.Object({ ...weight.properties, ounces: note }) }],
  ['a description', { name: Type.String({ ...name, description: 'Of the parcel.', title: 'Name' }) }],
  ['a description within a union', { sender: Type.Union([{ ...name, description: 'Who.' }, Type.Null()]) }],
])('a released schema may gain %s', (_, fields) => {
  expect(breaks(released, withFields(fields))).toEqual([])
})

test.each<[string, Record<string, object | undefined>]>([
  ['note is gone', { note: undefined }],
  ['name is gone', { name: undefined, title: Type.Optional(name) }],
  ['note is required now', { note: Type.String() }],
  ['name is optional now', { name: Type.Optional(name) }],
  ['colour is required now', { colour: Type.String() }],
  ['name: type was "string" and is "integer"', { name: { minLength: 1, maxLength: 80, type: 'integer' } }],
  ['name: minLength was 1 and is 2', { name: Type.String({ minLength: 2, maxLength: 80 }) }],
  ['name: maxLength was 80 and is 40', { name: Type.String({ minLength: 1, maxLength: 40 }) }],
  ['name: maxLength was 80 and is undefined', { name: Type.String({ minLength: 1 }) }],
  ['note: enum was undefined and is ["a"]', { note: Type.Optional(Type.String({ enum: ['a'] })) }],
  ['zone: pattern was "^[A-Z]$" and is "^[A-F]$"', { zone: Type.String({ pattern: '^[A-F]$' }) }],
  [
    'reason: anyOf was [{"const":"lost","type":"string"},{"const":"late","type":"string"}]' +
      ' and is [{"const":"lost","type":"string"}]',
    { reason: { anyOf: [Type.Literal('lost')] } },
  ],
  ['weight.grams: minimum was 0 and is 1', { weight: Type.Object({ grams: Type.Integer({ minimum: 1 }) }) }],
  ['weight.unit is required now', { weight: Type.Object({ ...weight.properties, unit: name }) }],
])('detects that %s', (complaint, fields) => {
  expect(breaks(released, withFields(fields))).toContain(complaint)
})

test('a payload that becomes closed is reported as a whole', () => {
  expect(breaks(released, { ...released, additionalProperties: false })).toEqual([
    'the payload: additionalProperties was undefined and is false',
  ])
})
