import { expect, test } from 'bun:test'
import { type TSchema, Type } from '@sinclair/typebox'
import { closedObject, described, documentedAs, nullable, oneOf } from '../schemas'
import { type Direction, type JsonSchema, type SharedSchemas, toJsonSchema } from './json-schema'

const convert = (schema: TSchema, direction: Direction = 'response', shared: SharedSchemas = new Map()) =>
  toJsonSchema(schema, shared, direction)

test.each<[string, TSchema, JsonSchema]>([
  [
    'what is expected is the description where there is none',
    Type.String({ expected: 'must be a UUID' }),
    { type: 'string', description: 'Must be a UUID.' },
  ],
  [
    'literals are an enumeration',
    oneOf(['a', 'b'], 'One.'),
    { type: 'string', enum: ['a', 'b'], description: 'One.' },
  ],
  ['null is a type', nullable(Type.String()), { type: ['string', 'null'] }],
  [
    'null is a value of an enumeration',
    nullable(oneOf(['a', 'b'])),
    { type: ['string', 'null'], enum: ['a', 'b', null], description: 'Must be one of a, b.' },
  ],
  [
    'both descriptions of a nullable value are kept',
    nullable(Type.String({ description: 'Its owner.' }), 'Null for none.'),
    { type: ['string', 'null'], description: 'Its owner. Null for none.' },
  ],
  [
    'unions of unions are one',
    Type.Union([Type.Union([Type.Number(), Type.String()]), Type.Null()]),
    { anyOf: [{ type: 'number' }, { type: 'string' }, { type: 'null' }] },
  ],
  [
    'a record has further members',
    Type.Record(Type.String(), Type.Number()),
    { type: 'object', additionalProperties: { type: 'number' } },
  ],
  ['any value has no type', Type.Unknown(), {}],
  [
    'another form is shown where one is given, with the description of the use',
    Type.RegExp(/a/u, { description: 'A name.', [documentedAs]: { type: 'string', maxLength: 9 } }),
    { type: 'string', maxLength: 9, description: 'A name.' },
  ],
])('%s', (_, schema, expected) => {
  expect(convert(schema)).toEqual(expected)
})

const Person = closedObject('Person', { name: Type.String(), age: Type.Optional(Type.Integer()) })

test('schemas with a title are shared, and referenced with the description of their use', () => {
  const shared: SharedSchemas = new Map()
  const schema = Type.Object({ owner: described(Person, 'Who has it.'), heir: nullable(Person) })
  expect(convert(schema, 'response', shared)).toEqual({
    type: 'object',
    required: ['owner', 'heir'],
    properties: {
      owner: { $ref: '#/components/schemas/Person', description: 'Who has it.' },
      heir: { anyOf: [{ $ref: '#/components/schemas/Person' }, { type: 'null' }] },
    },
  })
  expect([...shared.keys()]).toEqual(['Person'])
})

test('requests are closed and their optional members accept null; responses are open', () => {
  const [request, response] = (['request', 'response'] as const).map((direction) => {
    const shared: SharedSchemas = new Map()
    convert(Person, direction, shared)
    return shared.get('Person')
  })
  const shape = { type: 'object', required: ['name'] }
  expect(request).toEqual({
    ...shape,
    additionalProperties: false,
    properties: { name: { type: 'string' }, age: { type: ['integer', 'null'] } },
  })
  expect(response).toEqual({ ...shape, properties: { name: { type: 'string' }, age: { type: 'integer' } } })
})

test('two schemas of one title, and a regular expression without another form, are refused', () => {
  const shared: SharedSchemas = new Map()
  convert(Person, 'response', shared)
  expect(() => convert(closedObject('Person', {}), 'response', shared)).toThrow('called Person')
  expect(() => convert(Type.RegExp(/\p{L}/u, { expected: 'must be letters' }))).toThrow('must be letters')
})
