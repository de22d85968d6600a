/**
 * Compatibility of an OpenAPI document with a released one: what a client that was written for the
 * released one would notice. Additions pass. Pure.
 */
import type { OpenApi, Operation } from '../platform/http/docs/openapi'

type Json = Readonly<Record<string, unknown>>
/** Requests must not become narrower, responses not wider. */
type Direction = 'request' | 'response'
type Sides = { was: Json; is: Json }
type Documents = { released: OpenApi; current: OpenApi }

/** Each break with its route and field. */
export function apiBreaks(released: OpenApi, current: OpenApi): string[] {
  const documents = { released, current }
  return Object.entries(released.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, was]) => {
      const is = current.paths[path]?.[method]
      const name = `${method.toUpperCase()} ${path}`
      const found = is ? ofOperation(was, is, documents) : ['the route is gone']
      return found.map((one) => `${name}: ${one}`)
    }),
  )
}

function ofOperation(was: Operation, is: Operation, documents: Documents): string[] {
  const found: string[] = []
  if (was.operationId !== is.operationId)
    found.push(`the operation was ${was.operationId} and is ${is.operationId}`)
  return [
    ...found,
    ...ofParameters(was.parameters ?? [], is.parameters ?? [], documents),
    ...ofRequestBody(was.requestBody, is.requestBody, documents),
    ...ofResponses(was.responses, is.responses, documents),
  ]
}

function ofParameters(was: readonly Json[], is: readonly Json[], documents: Documents): string[] {
  const keyOf = (one: Json) => `${one.in} ${one.name}`
  const [before, now] = [was, is].map((all) => new Map(all.map((one) => [keyOf(one), one])))
  const found: string[] = []
  for (const [key, old] of before ?? []) {
    const kept = now?.get(key)
    if (!kept) found.push(`${key} is gone`)
    else {
      if (!old.required && kept.required) found.push(`${key} is required now`)
      const sides = { was: old.schema as Json, is: kept.schema as Json }
      found.push(...ofSchema(sides, { at: key, direction: 'request', documents }))
    }
  }
  for (const [key, one] of now ?? [])
    if (!before?.has(key) && one.required) found.push(`${key} is new and required`)
  return found
}

function ofRequestBody(was: Json | undefined, is: Json | undefined, documents: Documents): string[] {
  if (!was) return is?.required ? ['the body is new and required'] : []
  if (!is) return ['the body is gone']
  return [
    ...(!was.required && is.required ? ['the body is required now'] : []),
    ...ofContent({ was, is }, { at: 'body', direction: 'request', documents }),
  ]
}

function ofResponses(
  was: Operation['responses'],
  is: Operation['responses'],
  documents: Documents,
): string[] {
  return Object.entries(was).flatMap(([status, old]) => {
    const kept = is[status]
    if (!kept) return [`status ${status} is gone`]
    const sides = { was: resolve(old, documents.released), is: resolve(kept, documents.current) }
    const problems = (sides.is['x-problems'] ?? []) as string[]
    const gone = ((sides.was['x-problems'] ?? []) as string[]).filter((name) => !problems.includes(name))
    return [
      ...gone.map((name) => `${status}: problem ${name} is gone`),
      ...ofHeaders(sides, status, documents),
      ...ofContent(sides, { at: status, direction: 'response', documents }),
    ]
  })
}

function ofHeaders({ was, is }: Sides, status: string, { released, current }: Documents): string[] {
  const now = (is.headers ?? {}) as Record<string, Json>
  return Object.entries((was.headers ?? {}) as Record<string, Json>).flatMap(([name, old]) => {
    const kept = now[name]
    if (!kept) return [`${status}: header ${name} is gone`]
    const isLess = isAlways(resolve(old, released)) && !isAlways(resolve(kept, current))
    return isLess ? [`${status}: header ${name} is not always sent`] : []
  })
}

/** With any answer but a preview, for which a client has to ask. */
const isAlways = (header: Json): boolean => header.required === true || header['x-unless'] === 'dry_run'

type Place = { at: string; direction: Direction; documents: Documents }

function ofContent({ was, is }: Sides, place: Place): string[] {
  const now = (is.content ?? {}) as Record<string, Json>
  return Object.entries((was.content ?? {}) as Record<string, Json>).flatMap(([mediaType, old]) => {
    const kept = now[mediaType]
    if (!kept) return [`${place.at}: ${mediaType} is gone`]
    return ofSchema({ was: old.schema as Json, is: kept.schema as Json }, place)
  })
}

function resolve(one: Json, document: OpenApi): Json {
  if (typeof one.$ref !== 'string') return one
  const target = one.$ref
    .replace('#/', '')
    .split('/')
    .reduce((node: unknown, key) => (node as Json)[key], document)
  return resolve(target as Json, document)
}

function ofSchema(sides: Sides, place: Place): string[] {
  const { documents, at, direction } = place
  const was = resolve(sides.was, documents.released)
  const is = resolve(sides.is, documents.current)
  if (was.anyOf || is.anyOf)
    return ofVariants({ was: was.anyOf ? was : sides.was, is: is.anyOf ? is : sides.is }, place)
  if (was.allOf && is.allOf) {
    const parts = (is.allOf as Json[]).map((part, index) => ({
      was: (was.allOf as Json[])[index] ?? {},
      is: part,
    }))
    return parts.flatMap((part) => ofSchema(part, place))
  }
  const found = [...ofTypes({ was, is }, place), ...ofValues({ was, is }, place)]
  if (was.contentSchema && is.contentSchema)
    found.push(...ofSchema({ was: was.contentSchema as Json, is: is.contentSchema as Json }, place))
  if (was.items && is.items)
    found.push(...ofSchema({ was: was.items as Json, is: is.items as Json }, { ...place, at: `${at}[]` }))
  if (direction === 'request' && was.additionalProperties !== false && is.additionalProperties === false)
    found.push(`${at}: further members are refused now`)
  return [...found, ...ofMembers({ was, is }, place)]
}

function ofMembers({ was, is }: Sides, place: Place): string[] {
  const { at, direction } = place
  const [before, now] = [was, is].map(({ properties }) => (properties ?? {}) as Record<string, Json>)
  const [neededBefore, neededNow] = [was, is].map(({ required }) => (required ?? []) as string[])
  const found: string[] = []
  for (const [name, old] of Object.entries(before ?? {})) {
    const kept = now?.[name]
    if (!kept) found.push(`${at}.${name} is gone`)
    else found.push(...ofSchema({ was: old, is: kept }, { ...place, at: `${at}.${name}` }))
    if (direction === 'response' && kept && neededBefore?.includes(name) && !neededNow?.includes(name))
      found.push(`${at}.${name} is not always sent`)
  }
  if (direction === 'request')
    for (const name of neededNow ?? [])
      if (!neededBefore?.includes(name)) found.push(`${at}.${name} is required now`)
  return found
}

const typesOf = ({ type }: Json): readonly string[] =>
  type === undefined ? [] : Array.isArray(type) ? type : [String(type)]

/** An integer is a number. No type is any type. */
const accepts = (types: readonly string[], type: string): boolean =>
  types.length === 0 || types.includes(type) || (type === 'integer' && types.includes('number'))

function ofTypes({ was, is }: Sides, { at, direction }: Place): string[] {
  const [before, now] = [typesOf(was), typesOf(is)]
  const [narrow, wide] = direction === 'request' ? [before, now] : [now, before]
  const isKept = narrow.length === 0 ? wide.length === 0 : narrow.every((type) => accepts(wide, type))
  return isKept ? [] : [`${at}: type was ${before.join(' or ') || 'any'} and is ${now.join(' or ') || 'any'}`]
}

const lowest = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties']
const highest = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems']

function ofValues({ was, is }: Sides, { at, direction }: Place): string[] {
  const change = (name: string) =>
    `${at}: ${name} was ${JSON.stringify(was[name])} and is ${JSON.stringify(is[name])}`
  const found = [...lowest, ...highest].filter((name) => {
    const [before, now] = [was[name], is[name]].map((value) =>
      typeof value === 'number' ? value : undefined,
    )
    if (before === now) return false
    const [mine, other] = direction === 'request' ? [now, before] : [before, now]
    // The bound of a request may go or loosen, that of a response come or tighten.
    if (mine === undefined) return false
    if (other === undefined) return true
    return lowest.includes(name) ? mine > other : mine < other
  })
  for (const name of ['format', 'pattern'])
    if (was[name] !== is[name] && (direction === 'request' ? is[name] : was[name]) !== undefined)
      found.push(name)
  if ('const' in was || 'const' in is) if (was.const !== is.const) found.push('const')
  const values = is.enum as unknown[] | undefined
  const before = was.enum as unknown[] | undefined
  const gone = values ? (before ?? []).filter((one) => !values.includes(one)) : []
  const [narrow, wide] = direction === 'request' ? [values, before] : [before, values]
  const isNew = narrow !== undefined && wide === undefined
  return [
    ...found.map(change),
    ...gone.map((one) => `${at}: value ${JSON.stringify(one)} is gone`),
    ...(isNew ? [change('enum')] : []),
  ]
}

/** Matches variants by their names, or else in their order. A client that knows no previews gets none. */
function ofVariants({ was, is }: Sides, place: Place): string[] {
  const variantsOf = (one: Json) =>
    ((one.anyOf as Json[] | undefined) ?? [one]).map((variant) => ({ variant, key: keyOf(variant) }))
  const [before, now] = [variantsOf(was), variantsOf(is)]
  const missing = before.filter(({ key }) => !now.some((one) => one.key === key))
  const isPreview = (variant: Json, document: OpenApi) =>
    (resolve(variant, document).properties as Record<string, Json> | undefined)?.dry_run?.const === true
  const { released, current } = place.documents
  const hasPreviews = before.some(({ variant }) => isPreview(variant, released))
  const added = now.filter(
    ({ key, variant }) =>
      !before.some((one) => one.key === key) && (hasPreviews || !isPreview(variant, current)),
  )
  return [
    ...missing.map(({ key }) => `${place.at}: ${key} is gone`),
    ...(place.direction === 'response' ? added.map(({ key }) => `${place.at} may be ${key} now`) : []),
    ...before.flatMap(({ variant, key }) => {
      const kept = now.find((one) => one.key === key)
      return kept ? ofSchema({ was: variant, is: kept.variant }, place) : []
    }),
  ]
}

const keyOf = ({ $ref, type, const: value }: Json): string =>
  typeof $ref === 'string'
    ? $ref.slice($ref.lastIndexOf('/') + 1)
    : value !== undefined
      ? JSON.stringify(value)
      : String(type ?? 'any')
