/** Validates request bodies against TypeBox schemas, with one rule for absence and one for error details. */
import { OptionalKind, type Static, type TObject, type TSchema, type TUnion } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler, type ValueError, ValueErrorType } from '@sinclair/typebox/compiler'
import { errorsMax, InvalidBody, MalformedRequest } from './invalid'
import { dryRunName } from './preview'

/** Stands for a missing body. */
export const missingBody = Symbol('no body')

/** An object, or one of several: see `variantOf`. */
export type BodySchema = TObject | TUnion<TObject[]>

/** Whether there is a member that every body has. */
export function isRequired(schema: BodySchema): boolean {
  const { required = [], minProperties = 0 } = ('anyOf' in schema ? schema.anyOf[0] : schema) ?? {}
  return required.length > 0 || minProperties > 0
}

/** A Standard Schema, which Elysia accepts. */
export type AcceptedBody<T> = {
  '~standard': {
    version: 1
    vendor: string
    validate(value: unknown): { value: T }
    types?: { input: unknown; output: T }
  }
}

/**
 * A body of this schema. `null` for an optional member, or for one of another variant, counts as absent,
 * at any depth of the schema. A missing body counts as empty if nothing is required. `dry_run` is no
 * member that counts for `minProperties`.
 */
export function bodyOf<T extends BodySchema>(schema: T): AcceptedBody<Static<T>> {
  let compiled: TypeCheck<T> | undefined
  const normalize = normalizerOf(schema) ?? ((value: unknown) => value)
  const validate = (value: unknown): { value: Static<T> } => {
    compiled ??= TypeCompiler.Compile(schema)
    if (value === missingBody && isRequired(schema))
      throw new MalformedRequest('the request has no body: send a JSON object')
    const body = value === missingBody ? {} : normalize(value)
    requireMembers(schema, body)
    if (!compiled.Check(body)) throw new InvalidBody(...errorsOf(compiled, body))
    return { value: body as Static<T> }
  }
  return { '~standard': { version: 1, vendor: 'typebox', validate } }
}

/** Before TypeBox, whose message names none, and which counts them all. */
function requireMembers({ minProperties = 0, properties }: TSchema, body: unknown): void {
  if (minProperties === 0 || typeof body !== 'object' || body === null || Array.isArray(body)) return
  const count = Object.keys(body).filter((name) => name !== dryRunName).length
  if (count >= minProperties) return
  const names = Object.keys(properties).filter((name) => name !== dryRunName)
  throw new InvalidBody({ pointer: '#', detail: `must have at least one of ${names.join(', ')}` })
}

const isOneOfObjects = ({ anyOf }: TSchema): boolean =>
  Array.isArray(anyOf) && anyOf.every(({ type }) => type === 'object')

/**
 * Which of several objects is meant: the first that requires a member which the value has, not null, and
 * the first of all does not know, or else that one.
 */
function variantOf({ anyOf }: TSchema, value: unknown): number {
  const [first, ...others] = anyOf as TObject[]
  const isMeant = ({ required = [] }: TObject) =>
    required.some((name) => !(name in (first?.properties ?? {})) && isGiven(value as object, name))
  return typeof value === 'object' && value !== null ? others.findIndex(isMeant) + 1 : 0
}

const isGiven = (value: object, name: string): boolean =>
  Object.hasOwn(value, name) && (value as Record<string, unknown>)[name] !== null

type Normalize = (value: unknown) => unknown

/** Takes away the nulls that count as absent. Made once for a schema; undefined where none can be. */
function normalizerOf(schema: TSchema): Normalize | undefined {
  if (isOneOfObjects(schema)) return variantNormalizer(schema)
  if (schema.type === 'array') return itemsNormalizer(schema)
  if (schema.properties) return membersNormalizer(schema.properties)
  return undefined
}

/** Null for a member that only another of the objects has: generated clients send all they know. */
function variantNormalizer(schema: TSchema): Normalize {
  const objects = schema.anyOf as TObject[]
  const names = new Set(objects.flatMap(({ properties }) => Object.keys(properties)))
  const variants = objects.map(({ properties }) => ({
    others: [...names].filter((name) => !(name in properties)),
    normalize: membersNormalizer(properties),
  }))
  return (value) => {
    if (!isObject(value)) return value
    const variant = variants[variantOf(schema, value)]
    let kept = value
    for (const name of variant?.others ?? []) {
      if (value[name] !== null || !Object.hasOwn(value, name)) continue
      if (kept === value) kept = { ...value }
      delete kept[name]
    }
    return variant?.normalize(kept)
  }
}

function itemsNormalizer({ items, maxItems = Number.POSITIVE_INFINITY }: TSchema): Normalize | undefined {
  const normalize = items && normalizerOf(items)
  if (!normalize) return undefined
  // Too long: refused anyway.
  return (value) => (Array.isArray(value) && value.length <= maxItems ? value.map(normalize) : value)
}

/** Goes through the schema, which is small, not through the value, which the sender chooses. */
function membersNormalizer(properties: Record<string, TSchema>): Normalize {
  const members = Object.entries(properties).map(([name, property]) => ({
    name,
    isOptional: property[OptionalKind] === 'Optional',
    normalize: normalizerOf(property),
  }))
  return (value) => {
    if (!isObject(value)) return value
    let kept = value
    for (const { name, isOptional, normalize } of members) {
      const member = value[name]
      if (member === undefined || !Object.hasOwn(value, name)) continue
      const isAbsent = member === null && isOptional
      const inner = normalize ? normalize(member) : member
      if (!isAbsent && inner === member) continue
      if (kept === value) kept = { ...value }
      if (isAbsent) delete kept[name]
      else kept[name] = inner
    }
    return kept
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** One error per value, and a bounded number: finding all of them may take too long. */
function errorsOf(check: TypeCheck<TSchema>, value: unknown): InvalidBody['errors'] {
  const byPath = new Map<string, string>()
  let inspected = 0
  for (const error of leavesOf(check.Errors(value))) {
    if (!byPath.has(error.path)) byPath.set(error.path, faultText(error))
    // TypeBox would check all items nevertheless, any number of them.
    if (error.type === ValueErrorType.ArrayMaxItems) break
    if (byPath.size > errorsMax || ++inspected > 10 * errorsMax) break
  }
  return [...byPath].map(([path, detail]) => ({ detail, pointer: `#${path}` }))
}

/** Of one of several objects, what is wrong with the one that is meant. */
function* leavesOf(errors: Iterable<ValueError>): Generator<ValueError> {
  for (const error of errors) {
    const meant = isOneOfObjects(error.schema) && error.errors[variantOf(error.schema, error.value)]
    if (meant) yield* leavesOf(meant)
    else yield error
  }
}

/** The schema's own wording (`expected`), or TypeBox's. */
export function faultText({
  schema,
  value,
  message,
}: {
  schema?: unknown
  value?: unknown
  message?: string
}): string {
  const { expected } = (schema ?? {}) as { expected?: string }
  return expected && value !== undefined ? expected : (message ?? 'is invalid')
}
