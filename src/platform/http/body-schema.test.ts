import { expect, test } from 'bun:test'
import { FormatRegistry, type TObject, Type } from '@sinclair/typebox'
import { bodyOf, missingBody } from './body-schema'
import { errorsMax, InvalidValue, MalformedRequest } from './invalid'
import { DryRun } from './preview'

const closed = { additionalProperties: false }
const Free = Type.Record(Type.String(), Type.Unknown())
const Item = Type.Object({ id: Type.String(), note: Type.Optional(Type.String()) }, closed)
const Order = Type.Object(
  {
    name: Type.String(),
    free: Type.Optional(Free),
    item: Type.Optional(Item),
    items: Type.Optional(Type.Array(Item)),
  },
  closed,
)
const take = (schema: TObject, value: unknown) => bodyOf(schema)['~standard'].validate(value).value

test.each([
  [{ name: 'a', free: null, item: null, items: null }, { name: 'a' }],
  [
    { name: 'a', item: { id: '1', note: null }, items: [{ id: '2', note: null }, { id: '3' }] },
    { name: 'a', item: { id: '1' }, items: [{ id: '2' }, { id: '3' }] },
  ],
  [
    { name: 'a', free: { x: null, y: [null] } },
    { name: 'a', free: { x: null, y: [null] } },
  ],
])('%j is taken without nulls, but for what the schema leaves open', (value, taken) => {
  const before = JSON.stringify(value)
  expect(take(Order, value)).toEqual(taken)
  expect(JSON.stringify(value)).toBe(before)
})

test.each([
  [{ name: null }, ['#/name']],
  [{ name: 'a', item: { id: null } }, ['#/item/id']],
  [{ name: 'a', items: [null, { id: '1' }] }, ['#/items/0']],
  [{ name: 'a', other: null }, ['#/other']],
  [JSON.parse('{"name":"a","__proto__":{"free":null}}'), ['#/__proto__']],
  [null, ['#']],
  [[], ['#']],
])('%j is refused at %p', (value, pointers) => {
  try {
    take(Order, value)
    throw new Error('it was taken')
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error
    const named = error.errors.map(({ pointer }) => pointer)
    for (const pointer of pointers) expect(named).toContain(pointer)
  }
})

test('no body is an empty one where nothing is required, and malformed elsewhere', () => {
  expect(take(Type.Partial(Item), missingBody)).toEqual({})
  expect(() => take(Item, missingBody)).toThrow(MalformedRequest)
})

test('a body that has to name something names it; a wish for a preview is not enough', () => {
  const schema = Type.Object(
    { ...Type.Partial(Item).properties, dry_run: DryRun },
    { ...closed, minProperties: 1 },
  )
  expect(take(schema, { note: 'a' })).toEqual({ note: 'a' })
  for (const refused of [{}, { id: null }, { dry_run: true }])
    expect(() => take(schema, refused)).toThrow(InvalidValue)
  expect(() => take(schema, missingBody)).toThrow(MalformedRequest)
})

test('of very many faults some are named, soon', () => {
  const many = { name: 'a', items: Array.from({ length: 200_000 }, () => ({ id: 1 })) }
  const startedAt = performance.now()
  try {
    take(Order, many)
  } catch (error) {
    expect((error as InvalidValue).errors).toHaveLength(errorsMax)
    expect((error as Error).message).toBe(`the body has more than ${errorsMax} invalid values`)
  }
  expect(performance.now() - startedAt).toBeLessThan(3000)
  expect.assertions(3)
})

test('of a list that is too long nothing more is looked at', () => {
  let looked = 0
  FormatRegistry.Set('looked-at', () => ++looked > 0)
  const schema = Type.Object({
    ids: Type.Array(Type.String({ format: 'looked-at' }), {
      maxItems: 10,
      expected: 'must be at most 10 ids',
    }),
  })
  try {
    take(schema, { ids: Array(10_000).fill('1') })
    throw new Error('it was taken')
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error
    expect(error.errors).toEqual([{ detail: 'must be at most 10 ids', pointer: '#/ids' }])
  } finally {
    FormatRegistry.Delete('looked-at')
  }
  expect(looked).toBeLessThan(20)
})

test('null for a member of another form of the body counts as absent', () => {
  const Single = Type.Object({ amount: Type.Number(), note: Type.Optional(Type.String()) }, closed)
  const Many = Type.Object({ parts: Type.Array(Single) }, closed)
  const { validate } = bodyOf(Type.Union([Single, Many]))['~standard']
  expect(validate({ amount: 1, parts: null })).toEqual({ value: { amount: 1 } })
  expect(validate({ amount: null, note: null, parts: [] })).toEqual({ value: { parts: [] } })
  for (const refused of [{ amount: null }, { parts: null }, { amount: 1, parts: [] }, { parts: [], x: null }])
    expect(() => validate(refused)).toThrow(InvalidValue)
})
