/**
 * Takes the bodies of requests by their TypeBox schemas: one rule for absence, one for what is said
 * of a fault.
 */
import { OptionalKind, type Static, type TObject, type TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler, ValueErrorType } from '@sinclair/typebox/compiler'
import { errorsMax, InvalidBody, MalformedRequest } from './invalid'

/** Stands for the body of a request without any. */
export const noBody = Symbol('no body')

/** A schema as Elysia takes it from any library (Standard Schema). */
export type AcceptedBody<T> = {
  '~standard': {
    version: 1
    vendor: string
    validate(value: unknown): { value: T }
    types?: { input: unknown; output: T }
  }
}

/**
 * A body of this shape. `null` for an optional member is its absence, at any depth that the schema
 * describes. Where nothing is required, no body at all is an empty one.
 */
export function bodyOf<T extends TObject>(schema: T): AcceptedBody<Static<T>> {
  let compiled: TypeCheck<T> | undefined
  const validate = (value: unknown): { value: Static<T> } => {
    compiled ??= TypeCompiler.Compile(schema)
    if (value === noBody && (schema.required ?? []).length > 0)
      throw new MalformedRequest('the request has no body: send a JSON object')
    const given = value === noBody ? {} : withoutNulls(schema, value)
    if (!compiled.Check(given)) throw new InvalidBody(...errorsOf(compiled, given))
    return { value: given as Static<T> }
  }
  return { '~standard': { version: 1, vendor: 'typebox', validate } }
}

function withoutNulls(schema: TSchema, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    // What is too long is refused anyway.
    if (!schema.items || value.length > (schema.maxItems ?? Number.POSITIVE_INFINITY)) return value
    return value.map((item) => withoutNulls(schema.items, item))
  }
  const properties: Record<string, TSchema> | undefined = schema.properties
  if (!properties) return value
  // By the schema, which is short, and not by the value, which is as long as its sender likes.
  const members = value as Record<string, unknown>
  let kept = members
  for (const [name, known] of Object.entries(properties)) {
    if (!Object.hasOwn(members, name)) continue
    const isAbsent = members[name] === null && known[OptionalKind] === 'Optional'
    const inner = withoutNulls(known, members[name])
    if (!isAbsent && inner === members[name]) continue
    if (kept === members) kept = { ...members }
    if (isAbsent) delete kept[name]
    else kept[name] = inner
  }
  return kept
}

/**
 * One complaint per value, and not more than anybody reads: looking for all of them may take longer
 * than it is worth.
 */
function errorsOf(check: TypeCheck<TSchema>, value: unknown): InvalidBody['errors'] {
  const byPath = new Map<string, string>()
  let looked = 0
  for (const complaint of check.Errors(value)) {
    if (!byPath.has(complaint.path)) byPath.set(complaint.path, complaintText(complaint))
    // Its items would be looked at all the same, and may be any number.
    if (complaint.type === ValueErrorType.ArrayMaxItems) break
    if (byPath.size > errorsMax || ++looked > 10 * errorsMax) break
  }
  return [...byPath].map(([path, detail]) => ({ detail, pointer: `#${path}` }))
}

/** A schema may say in its own words what it wants (`wanted`); otherwise TypeBox does. */
export function complaintText({
  schema,
  value,
  message,
}: {
  schema?: unknown
  value?: unknown
  message?: string
}): string {
  const { wanted } = (schema ?? {}) as { wanted?: string }
  return wanted && value !== undefined ? wanted : (message ?? 'is invalid')
}
