/** TypeBox schemas as the JSON Schema 2020-12 of OpenAPI 3.1. */
import type { TSchema } from '@sinclair/typebox'
import { documentedAs, usedAs } from '../schemas'

export type JsonSchema = { [keyword: string]: unknown }

/** Schemas with a title, by it: written once and referenced. */
export type SharedSchemas = Map<string, JsonSchema>

/**
 * Objects of responses are open in documents, since a later version may add members, and a client that
 * refuses them would break.
 */
export type Direction = 'request' | 'response'

/** Keywords that documents show as they are. */
const keywords = [
  ...['type', 'const', 'enum', 'format', 'pattern', 'minLength', 'maxLength', 'minimum', 'maximum'],
  ...[
    'exclusiveMinimum',
    'exclusiveMaximum',
    'minItems',
    'maxItems',
    'minProperties',
    'contentEncoding',
    'required',
    'default',
    'examples',
  ],
] as const

/** What `described` and `documented` add. */
type Noted = { [usedAs]?: string; [documentedAs]?: JsonSchema }

/** Throws where two different schemas have the same title, and for a schema that is not JSON Schema. */
export function toJsonSchema(schema: TSchema, shared: SharedSchemas, direction: Direction): JsonSchema {
  const { title } = schema
  if (title === undefined) return inline(schema, shared, direction)
  const whole = inline({ ...schema, title: undefined }, shared, direction)
  const before = shared.get(title)
  if (before && !Bun.deepEquals(before, whole)) throw new Error(`two different schemas are called ${title}`)
  shared.set(title, whole)
  const use = (schema as Noted)[usedAs]
  return { $ref: `#/components/schemas/${title}`, ...(use !== undefined && { description: use }) }
}

function inline(schema: TSchema, shared: SharedSchemas, direction: Direction): JsonSchema {
  const instead = (schema as Noted)[documentedAs]
  if (!instead && schema.type === 'RegExp')
    throw new Error(`a regular expression needs another form: ${schema.expected}`)
  const source = instead ?? schema
  const convert = (inner: TSchema) => toJsonSchema(inner, shared, direction)
  const description = schema.description ?? source.description ?? sentence(schema.expected)
  const converted: JsonSchema = {
    ...Object.fromEntries(keywords.flatMap((name) => (name in source ? [[name, source[name]]] : []))),
    ...(source.items !== undefined && { items: convert(source.items as TSchema) }),
    ...membersOf(source, convert, direction),
    ...(description !== undefined && { description }),
  }
  // Drops symbols and what is undefined.
  const whole = JSON.parse(JSON.stringify(converted)) as JsonSchema
  return Array.isArray(source.anyOf) ? union(source.anyOf.map(convert), whole) : whole
}

const sentence = (expected?: string): string | undefined =>
  expected && `${expected[0]?.toUpperCase()}${expected.slice(1)}.`

function membersOf(source: JsonSchema, convert: (inner: TSchema) => JsonSchema, direction: Direction) {
  const { properties, patternProperties, additionalProperties } = source
  const required = (source.required ?? []) as readonly string[]
  if (patternProperties) {
    const [values] = Object.values(patternProperties as Record<string, TSchema>)
    return { additionalProperties: values ? convert(values) : true }
  }
  const isClosed = additionalProperties === false && direction === 'request'
  return {
    ...(properties !== undefined && {
      properties: Object.fromEntries(
        Object.entries(properties as Record<string, TSchema>).map(([name, one]) => [
          name,
          // Null counts as absent: see `bodyOf`.
          withNull(convert(one), direction === 'request' && !required.includes(name)),
        ]),
      ),
    }),
    ...(isClosed && { additionalProperties: false }),
  }
}

/** Constants become an enumeration, and null a type where that says the same. */
function union(all: JsonSchema[], whole: JsonSchema): JsonSchema {
  const variants = all.flatMap((one) => (Array.isArray(one.anyOf) ? (one.anyOf as JsonSchema[]) : [one]))
  const values = variants.filter(({ type }) => type !== 'null')
  const isNullable = values.length < variants.length
  const constants = values.map((one) => one.const)
  if (values.every((one) => 'const' in one && one.type === 'string'))
    return withNull({ type: 'string', enum: constants, ...whole }, isNullable)
  const [only] = values
  if (values.length !== 1 || !only) return { ...whole, anyOf: variants }
  const texts = [only.description, whole.description].filter((text) => text !== undefined)
  const description = texts.length > 0 ? { description: texts.join(' ') } : {}
  if ('$ref' in only) return { ...whole, ...description, anyOf: [{ $ref: only.$ref }, { type: 'null' }] }
  return withNull({ ...only, ...whole, ...description }, isNullable)
}

function withNull(schema: JsonSchema, isNullable: boolean): JsonSchema {
  if (!isNullable) return schema
  const { anyOf, description, ...rest } = schema
  const meaning = description === undefined ? {} : { description }
  if (Array.isArray(anyOf)) return { ...schema, anyOf: [...anyOf, { type: 'null' }] }
  if (typeof schema.type !== 'string' || 'const' in schema)
    return { ...meaning, anyOf: [rest, { type: 'null' }] }
  const { enum: values } = schema
  return {
    ...schema,
    type: [schema.type, 'null'],
    ...(Array.isArray(values) && { enum: [...values, null] }),
  }
}
