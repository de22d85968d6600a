/** The OpenAPI 3.1 document of a service, derived from its table of routes. */
import { Type } from '@sinclair/typebox'
import { isRequired } from '../body-schema'
import { type HeaderField, sometimes } from '../headers'
import { codesOf, commonProblems, headersOf, type ProblemKind, ProblemResponse, retries } from '../problem'
import type { Answer, Content, Example, Route } from '../route'
import { type JsonSchema, type SharedSchemas, toJsonSchema } from './json-schema'

export type ApiInfo = {
  title: string
  version: string
  /** In Markdown. */
  description: string
  servers: readonly object[]
  /** Where the commands of the page for people are sent to. */
  url: string
}

export type OpenApi = {
  openapi: string
  info: JsonSchema
  paths: Record<string, Record<string, Operation>>
  components: {
    headers: Record<string, JsonSchema>
    responses: Record<string, JsonSchema>
    schemas: Record<string, JsonSchema>
    securitySchemes: Record<string, JsonSchema>
  }
  [member: string]: unknown
}
export type Operation = {
  operationId: string
  parameters?: JsonSchema[]
  requestBody?: JsonSchema
  responses: Record<string, JsonSchema>
  [member: string]: unknown
}

type Shared = {
  schemas: SharedSchemas
  headers: Map<string, JsonSchema>
  responses: Map<string, JsonSchema>
}

export function openApi(
  routes: readonly Route[],
  { title, version, description, servers }: Omit<ApiInfo, 'url'>,
): OpenApi {
  const shared: Shared = { schemas: new Map(), headers: new Map(), responses: new Map() }
  const paths: OpenApi['paths'] = {}
  for (const route of routes) {
    const path = pathOf(route)
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route, shared) }
  }
  const tags = new Map(routes.map(({ tag }) => [tag.name, tag]))
  return {
    openapi: '3.1.2',
    info: { title, version, description, license: { name: 'MIT', identifier: 'MIT' } },
    servers,
    tags: [...tags.values()],
    paths,
    components: {
      headers: sorted(shared.headers),
      responses: sorted(shared.responses),
      schemas: sorted(shared.schemas),
      securitySchemes: { apiKey },
    },
  }
}

const apiKey = {
  type: 'http',
  scheme: 'bearer',
  bearerFormat: 'saldo_…',
  description: 'Each operation names the scope that a key needs. A service on loopback may need no keys.',
}

/** Scopes as roles, which OpenAPI 3.1 allows for any scheme. */
const securityOf = ({ scope }: Route): object[] => (scope === 'open' ? [] : [{ apiKey: [scope] }])

/** Who may use a route, in a sentence. */
export function accessOf({ scope, subjects }: Route): string {
  if (scope === 'open') return 'Needs no key.'
  const restricted = subjects ? '' : ' that is not restricted'
  return `Needs a key with scope \`${scope}\`${restricted}.`
}

const sorted = <Value>(named: Map<string, Value>): Record<string, Value> =>
  Object.fromEntries([...named].sort(([one], [other]) => (one < other ? -1 : 1)))

/** With parameters in braces. */
export const pathOf = ({ path }: Pick<Route, 'path'>): string => path.replace(/:(\w+)/g, '{$1}')

/** What repeating a request does. */
export function idempotencyOf({ method }: Pick<Route, 'method'>) {
  if (method === 'GET') return { kind: 'safe', text: 'Changes nothing.' } as const
  return {
    kind: 'key',
    text: 'Idempotent under an `Idempotency-Key`; without one, each request takes effect.',
  } as const
}

function operationOf(route: Route, shared: Shared): Operation {
  const { id, tag, summary, description, body, examples } = route
  const idempotency = idempotencyOf(route)
  const parameters = parametersOf(route, shared)
  return {
    operationId: id,
    tags: [tag.name],
    summary,
    description: [description, idempotency.text, accessOf(route)]
      .filter((text) => text !== undefined)
      .join('\n\n'),
    security: securityOf(route),
    'x-idempotency': idempotency.kind,
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: isRequired(body),
        content: {
          'application/json': {
            schema: toJsonSchema(body, shared.schemas, 'request'),
            ...namedExamples(examples, (example) => example.body),
          },
        },
      },
    }),
    responses: responsesOf(route, shared),
  }
}

/** `examples` of what some of a route's examples have. */
function namedExamples(
  examples: Route['examples'],
  exampleValue: (example: Example) => unknown,
): { examples?: Record<string, { summary?: string; value: unknown }> } {
  const named = Object.entries(examples).flatMap(([name, example]) => {
    const value = exampleValue(example)
    if (value === undefined) return []
    return [[name, { ...(example.summary !== undefined && { summary: example.summary }), value }] as const]
  })
  return named.length > 0 ? { examples: Object.fromEntries(named) } : {}
}

function parametersOf({ params, query, requestHeaders, examples }: Route, { schemas }: Shared): JsonSchema[] {
  const parameter = (
    where: 'path' | 'query' | 'header',
    { name, schema, required }: { name: string; schema: JsonSchema; required: boolean },
    exampleValue: (example: Example) => unknown,
  ) => {
    const { description, examples: values, ...rest } = schema
    const named = namedExamples(
      examples,
      (example) => exampleValue(example) && inType(rest, exampleValue(example)),
    )
    const [first] = (values as unknown[] | undefined) ?? []
    return {
      name,
      in: where,
      required,
      description,
      schema: rest,
      ...(named.examples ? named : first !== undefined && { example: first }),
    }
  }
  const ofPath = Object.entries(params).map(([name, schema]) => {
    const shown = { name, schema: toJsonSchema(schema, schemas, 'request'), required: true }
    return parameter('path', shown, ({ params }) => (params as Record<string, string> | undefined)?.[name])
  })
  const ofQuery = Object.entries((query?.properties ?? {}) as Route['params']).map(([name, schema]) => {
    const required = (query?.required ?? []).includes(name)
    const shown = { name, schema: toJsonSchema(schema, schemas, 'request'), required }
    return parameter('query', shown, ({ query }) => query?.[name])
  })
  const ofHeaders = requestHeaders.map(({ name, description, schema }) => {
    const shown = { ...toJsonSchema(schema, schemas, 'request'), description }
    return parameter('header', { name, schema: shown, required: false }, ({ headers }) => headers?.[name])
  })
  return [...ofPath, ...ofQuery, ...openParameters(query, examples, schemas), ...ofHeaders]
}

/** Parameters of any name that matches a pattern: one object, of which each member is a parameter. */
function openParameters(
  query: Route['query'],
  examples: Route['examples'],
  schemas: Shared['schemas'],
): JsonSchema[] {
  const patterns = (query?.patternProperties ?? {}) as Route['params']
  return Object.entries(patterns).map(([pattern, schema]) => {
    const { description, ...values } = toJsonSchema(schema, schemas, 'request')
    const matching = namedExamples(examples, ({ query = {} }) => {
      const members = Object.entries(query).filter(([name]) => new RegExp(pattern).test(name))
      return members.length > 0 ? Object.fromEntries(members) : undefined
    })
    return {
      name: `${/\w+/.exec(pattern)?.[0]}.*`,
      in: 'query',
      required: false,
      style: 'form',
      explode: true,
      description,
      schema: { type: 'object', propertyNames: { pattern }, additionalProperties: values },
      ...matching,
    }
  })
}

/** A query is text; documents show its values in their type. */
const inType = ({ type }: JsonSchema, value: unknown): unknown =>
  type === 'integer' || type === 'number' ? Number(value) : value

function responsesOf(route: Route, shared: Shared): Operation['responses'] {
  const answers = Object.entries(route.answers).map(([status, answer]) => [
    status,
    responseOf(route, { status: Number(status), answer }, shared),
  ])
  const refusals = [...Map.groupBy(route.problems, ({ status }) => status)]
    .filter(([status]) => !(status in route.answers))
    .map(([status, kinds]) => [status, refusalOf(route, kinds, shared)])
  return Object.fromEntries([...answers, ...refusals])
}

/** Of answers that do not say more. */
const meanings: Record<number, string> = { 200: 'Done.', 201: 'Created.', 202: 'Accepted.' }

function responseOf(route: Route, { status, answer }: { status: number; answer: Answer }, shared: Shared) {
  const { content, description = meanings[status] ?? '', preview } = answer
  const headers = preview
    ? answer.headers.map((field) => (preview.headers.includes(field) ? field : unlessPreview(field)))
    : answer.headers
  const examples = namedExamples(route.examples, (one) =>
    one.status === status ? shownAnswer(answer, one.response) : undefined,
  )
  return {
    description,
    ...headersMember([...headers, ...route.responseHeaders], shared),
    ...(content && { content: contentMember(withPreview(content, preview), examples, shared) }),
  }
}

/** The answer to a preview has the same status, so it is another form of the body. */
const withPreview = (content: Content, preview: Answer | undefined): Content =>
  content.schema && preview?.content?.schema
    ? { ...content, schema: Type.Union([content.schema, preview.content.schema]) }
    : content

/** A field that only the answer to a preview lacks. */
type Conditional = HeaderField & { unless?: string }

const unlessPreview = (field: HeaderField): Conditional => ({
  ...sometimes(field),
  description: `${field.description} Absent from a preview.`,
  ...(field.isRequired && { unless: 'dry_run' }),
})

function contentMember(content: Content, examples: object, { schemas }: Shared) {
  const { mediaType, schema, alternatives = [] } = content
  const shown = schema ? toJsonSchema(schema, schemas, 'response') : { type: 'string' }
  const member = { schema: mediaType === eventStream ? eventOf(shown) : shown, ...examples }
  return Object.fromEntries([mediaType, ...alternatives].map((type) => [type, member]))
}

const eventStream = 'text/event-stream'

/** One event of a stream, as OpenAPI 3.2 describes it: its data are JSON in a text. */
const eventOf = (data: JsonSchema): JsonSchema => ({
  type: 'object',
  required: ['event', 'id', 'data'],
  properties: {
    event: { type: 'string', description: 'The kind of event.' },
    id: { type: 'string', description: 'Where the stream continues: `Last-Event-ID`.' },
    data: {
      type: 'string',
      description: 'JSON.',
      contentMediaType: 'application/json',
      contentSchema: data,
    },
  },
})

/** How an example of an answer is shown: the data of an event are a text. */
export function shownAnswer({ content }: Answer, response: unknown): unknown {
  if (content?.mediaType !== eventStream || response === undefined) return response
  const { data, ...event } = response as { data: unknown }
  return { ...event, data: JSON.stringify(data) }
}

function headersMember(headers: readonly Conditional[], shared: Shared): object {
  if (headers.length === 0) return {}
  const members = headers.map(({ name, description, isRequired, isShared, schema, unless }) => {
    const { examples, ...shown } = toJsonSchema(schema, shared.schemas, 'response')
    const [example] = (examples as unknown[] | undefined) ?? []
    const whole = {
      description,
      required: isRequired,
      ...(unless !== undefined && { 'x-unless': unless }),
      schema: shown,
      ...(example !== undefined && { example }),
    }
    if (!isShared) return [name, whole]
    shared.headers.set(name, whole)
    return [name, { $ref: `#/components/headers/${name}` }]
  })
  return { headers: Object.fromEntries(members) }
}

const commonCodes = new Map<string, number>(
  Object.values(commonProblems).map((kind) => [kind.name, codesOf(kind).length]),
)
/** A route may have more codes of a common problem. */
const isCommon = (kind: ProblemKind): boolean => commonCodes.get(kind.name) === codesOf(kind).length

/** Those of common problems alone are shared. */
function refusalOf(route: Route, kinds: readonly ProblemKind[], shared: Shared): JsonSchema {
  if (!kinds.every(isCommon)) return describeRefusal(kinds, route, shared)
  const name = kinds.map((kind) => pascalCase(kind.name)).join('Or')
  if (!shared.responses.has(name)) shared.responses.set(name, describeRefusal(kinds, undefined, shared))
  return { $ref: `#/components/responses/${name}` }
}

const pascalCase = (name: string): string =>
  name.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())

/** `retry`, `cause` and `remedy` of each are in the description, for people. */
function describeRefusal(
  kinds: readonly ProblemKind[],
  route: Route | undefined,
  shared: Shared,
): JsonSchema {
  const headers = mergeHeaders(kinds, route)
  const problem = toJsonSchema(ProblemResponse, shared.schemas, 'response')
  const properties = {
    type: { enum: kinds.map(({ name }) => `/problems/${name}`) },
    code: { enum: [...new Set(kinds.flatMap(codesOf))] },
  }
  return {
    description: kinds.map(describeProblem).join('\n\n'),
    ...headersMember(headers, shared),
    content: {
      'application/problem+json': {
        schema: { allOf: [problem, { type: 'object', properties }] },
        examples: Object.fromEntries(kinds.flatMap((kind) => refusalExamples(kind, route))),
      },
    },
    'x-problems': kinds.map(({ name }) => name),
  }
}

const describeProblem = ({ name, cause, remedy, retry }: ProblemKind): string =>
  `**${name}**: ${cause} ${remedy} Retry: ${retries[retry]}.`

/** Required only if each problem of the status has it. */
function mergeHeaders(kinds: readonly ProblemKind[], route: Route | undefined): HeaderField[] {
  const merged = new Map<string, HeaderField>()
  for (const kind of kinds)
    for (const field of headersOf(kind)) {
      const isAlways = kinds.every((one) => headersOf(one).includes(field))
      merged.set(field.name, isAlways ? field : sometimes(field))
    }
  return [...merged.values(), ...(route?.responseHeaders ?? [])]
}

/** Those of the route, or one made from the kind. */
function refusalExamples(kind: ProblemKind, route: Route | undefined): [string, { value: object }][] {
  const type = `/problems/${kind.name}`
  const ofRoute = Object.entries(route?.examples ?? {}).filter(
    ([, example]) => (example.response as { type?: string } | undefined)?.type === type,
  )
  if (route && ofRoute.length > 0)
    return ofRoute.map(([name, example]) => [
      name,
      { value: wholeProblem(kind, instanceOf(route, example), example.response as object) },
    ])
  return [[kind.name, { value: wholeProblem(kind, route ? instanceOf(route) : '/…', {}) }]]
}

const instanceOf = (route: Route, example = Object.values(route.examples)[0]): string =>
  route.path.replace(
    /:(\w+)/g,
    (_, name) => (example?.params as Record<string, string> | undefined)?.[name] ?? name,
  )

/** The members of a refusal that an example leaves out. */
export const wholeProblem = (kind: ProblemKind, instance: string, shown: object): object => ({
  type: `/problems/${kind.name}`,
  title: kind.title,
  status: kind.status,
  detail: kind.cause.split('. ')[0]?.replace(/\.$/, ''),
  instance,
  code: codesOf(kind)[0],
  trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
  ...shown,
})
