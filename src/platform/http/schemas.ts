/** What schemas of requests and responses have in common. */
import { type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox'

/** An object without further members. */
export const closed = { additionalProperties: false } as const

/** An object with these members and no others. `title` names it in documents. */
export const closedObject = <Members extends TProperties>(
  title: string,
  members: Members,
): TObject<Members> => Type.Object(members, { title, ...closed })

/** Of a body that changes something: one of its members at least. */
export const notEmpty = <Schema extends TObject>(schema: Schema): Schema => ({ ...schema, minProperties: 1 })

/**
 * Of a query: also accepts `prefix.<anything>`. `schema` documents their values; the route checks them.
 */
export const openTo = (prefix: string, schema: TSchema) => ({
  additionalProperties: true,
  patternProperties: { [`^${prefix}\\..`]: schema },
})

/** Key of the JSON Schema that documents show instead of the one that validates. */
export const documentedAs = Symbol('documented as')

/** Key of what a schema with a title means where it is used. */
export const usedAs = Symbol('used as')

/** The same schema with a description of its use. */
export const described = <Schema extends TSchema>(schema: Schema, description: string): Schema =>
  schema.title === undefined ? { ...schema, description } : { ...schema, [usedAs]: description }

export const nullable = <Schema extends TSchema>(schema: Schema, description?: string) =>
  Type.Union([schema, Type.Null()], description === undefined ? {} : { description })

/** One of a few texts. */
export function oneOf<const Values extends readonly string[]>(values: Values, description?: string) {
  const literals = values.map((value) => Type.Literal(value as Values[number]))
  return Type.Union(literals, {
    expected: `must be one of ${values.join(', ')}`,
    ...(description !== undefined && { description }),
  })
}
