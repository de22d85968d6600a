/**
 * The generated files of `src/client`: types of requests, responses and problems, and the table of
 * operations. Both come from the OpenAPI documents, hence from the route tables.
 */
import type { ServiceName } from '../config/config'
import { problems } from '../contract/problems'
import type { OpenApi, Operation } from '../platform/http/docs/openapi'
import { codesOf, commonProblems, mergeProblems, type ProblemKind } from '../platform/http/problem'
import { documentOf, services } from './api-docs'
import { routesOf } from './documented'

type Schema = { [keyword: string]: unknown }

/** Expected content by path within the repository. */
export function writeClientTypes(): Map<string, string> {
  const documents = services.map((service) => [service, documentOf(service)] as const)
  const types = new Types(documents.map(([, document]) => document))
  const methods = documents.flatMap(([service, document]) => methodsOf(service, document))
  const double = methods.find(({ name }, index) => methods.findIndex((one) => one.name === name) !== index)
  if (double) throw new Error(`two operations are called ${double.name}`)
  const kinds = mergeProblems([
    ...Object.values(commonProblems),
    ...Object.values(problems),
    ...Object.values(routesOf).flatMap((routes) => routes.flatMap((route) => route.problems)),
  ])
  return new Map([
    ['src/client/types.ts', writeTypes(methods, types, kinds)],
    ['src/client/operations.ts', writeOperations(methods, types, kinds)],
  ])
}

type Method = { name: string; service: ServiceName; verb: string; path: string; operation: Operation }

/** For people and probes, for pages, and the second path of a route. */
const isLeftOut = ({ operationId, tags }: Operation): boolean =>
  (tags as string[]).some((tag) => ['Service', 'Console', 'Documentation'].includes(tag)) ||
  operationId === 'getAccountBalance'

/** Where the verb of the operation is not that of the trade. */
const renamed: Record<string, string> = {
  createClient: 'registerClient',
  createAccount: 'openAccount',
  createTransfer: 'transfer',
  createDeposit: 'deposit',
  createWithdrawal: 'withdraw',
  createHold: 'placeHold',
  createBatch: 'batch',
}

/** `getBalance` is `balance`, `listBalances` is `balances`, `streamBalance` is `watchBalance`. */
function nameOf(id: string): string {
  const noun = id.replace(/^(get|list)(?=[A-Z])/, '').replace(/^stream(?=[A-Z])/, 'watch')
  return renamed[id] ?? noun.replace(/^[A-Z]/, (letter) => letter.toLowerCase())
}

const methodsOf = (service: ServiceName, { paths }: OpenApi): Method[] =>
  Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([, operation]) => !isLeftOut(operation))
      .map(([verb, operation]) => ({
        name: nameOf(operation.operationId),
        service,
        verb: verb.toUpperCase(),
        path,
        operation,
      })),
  )

type Parameter = { name: string; in: string; required: boolean; description?: string; schema: Schema }

const parametersOf = ({ operation }: Method, where: string): Parameter[] =>
  ((operation.parameters ?? []) as Parameter[]).filter((one) => one.in === where)

/** Schemas of successful responses. */
function answersOf({ operation }: Method): { mediaType: string; schema: Schema }[] {
  const answers = Object.entries(operation.responses).filter(([status]) => status.startsWith('2'))
  return answers.flatMap(([, response]) =>
    Object.entries((response.content ?? {}) as Record<string, { schema: Schema }>).map(
      ([mediaType, { schema }]) => ({ mediaType, schema: dataIn(schema) }),
    ),
  )
}

/** Of an event of a stream, its data. */
const dataIn = (schema: Schema): Schema =>
  ((schema.properties as Record<string, Schema> | undefined)?.data?.contentSchema as Schema) ?? schema

/** The answer to a preview, which needs `dry_run: true`, is another type. */
function splitPreviews(method: Method, types: Types): { answers: Schema[]; previews: Schema[] } {
  const variants = answersOf(method).flatMap(({ schema }) => (schema.anyOf as Schema[]) ?? [schema])
  const isPreview = (schema: Schema) => types.resolve(schema).properties?.dry_run?.const === true
  return {
    answers: variants.filter((one) => !isPreview(one)),
    previews: variants.filter(isPreview),
  }
}

const bodyOf = ({ operation }: Method) =>
  operation.requestBody as
    | { required: boolean; content: { 'application/json': { schema: Schema } } }
    | undefined

const isStream = (method: Method): boolean =>
  answersOf(method).some(({ mediaType }) => mediaType === 'text/event-stream')

/** Schemas as TypeScript. Those with amounts take the type of an amount. */
class Types {
  readonly components: Record<string, Schema>
  /** Names of components that the operations use, as they are met. */
  readonly used = new Set<string>()
  readonly amountNames = new Set<string>()
  /** Names of members that hold other numbers. */
  readonly numberNames = new Set<string>()

  constructor(documents: OpenApi[]) {
    this.components = Object.assign({}, ...documents.map(({ components }) => components.schemas))
    for (const { components } of documents)
      for (const [name, schema] of Object.entries(components.schemas))
        if (!Bun.deepEquals(schema, this.components[name])) throw new Error(`two schemas are called ${name}`)
  }

  of(schema: Schema): string {
    const { $ref, anyOf, allOf, type, items } = schema
    if (typeof $ref === 'string') return this.#reference($ref.replace(/.*\//, ''))
    if ('const' in schema) return literal(schema.const)
    if (Array.isArray(schema.enum)) return union(schema.enum.map(literal))
    if (Array.isArray(anyOf)) return union(anyOf.map((one) => this.of(one)))
    if (Array.isArray(allOf)) return allOf.map((one) => this.of(one)).join(' & ')
    if (Array.isArray(type)) return union(type.map((one) => this.of({ ...schema, type: one })))
    if (type === 'array') return `${parenthesized(this.of(items as Schema))}[]`
    if (type === 'object') return this.#object(schema)
    if (type === 'integer') return 'number'
    return typeof type === 'string' ? type : 'unknown'
  }

  #reference(name: string): string {
    if (name === 'Money') return 'Amount'
    this.used.add(name)
    return this.hasAmounts(name) ? `${name}<Amount>` : name
  }

  resolve({ $ref, ...schema }: Schema): { properties?: Record<string, Schema> } {
    return typeof $ref === 'string' ? (this.components[$ref.replace(/.*\//, '')] ?? {}) : schema
  }

  hasAmounts(name: string): boolean {
    return name === 'Money' || this.#referencesOf(name).some((one) => one !== name && this.hasAmounts(one))
  }

  #referencesOf(name: string): string[] {
    const text = JSON.stringify(this.components[name])
    return [...text.matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, one = '']) => one)
  }

  #object({ properties, additionalProperties, required = [] }: Schema): string {
    if (!properties || Object.keys(properties).length === 0) {
      if (additionalProperties === false) return 'Record<string, never>'
      const isTyped = typeof additionalProperties === 'object'
      return `Record<string, ${isTyped ? this.of(additionalProperties as Schema) : 'unknown'}>`
    }
    const members = Object.entries(properties as Record<string, Schema>).map(([name, one]) => {
      const optional = (required as string[]).includes(name) ? '' : '?'
      const type = this.of(one)
      if (/\bAmount\b(?!>)/.test(type) && !type.includes('{')) this.amountNames.add(name)
      else if (type === 'number' || type === 'number | null') this.numberNames.add(name)
      const member = /\W/.test(name) ? `'${name}'` : name
      return `${comment(one.description as string)}${member}${optional}: ${type}`
    })
    return `{\n${indent(members.join('\n'))}\n}`
  }
}

const literal = (value: unknown): string =>
  typeof value === 'string' ? `'${value.replaceAll("'", "\\'")}'` : String(value)
const union = (types: string[]): string => [...new Set(types)].join(' | ')
const parenthesized = (type: string): string => (/^[^{]* [|&] /.test(type) ? `(${type})` : type)
const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ')
const pascalCase = (name: string): string => name.replace(/^[a-z]/, (letter) => letter.toUpperCase())

/** A JSDoc comment before what it is about, within the columns of the source. */
function comment(text: string | undefined): string {
  if (text === undefined) return ''
  const flat = text.replaceAll(/\s+/g, ' ').replaceAll('*/', '*\\/')
  if (flat.length <= 90) return `/** ${flat} */\n`
  const lines = flat.match(/.{1,90}(?: |$)/g) ?? []
  return `/**\n${lines.map((line) => ` * ${line.trimEnd()}\n`).join('')} */\n`
}

const head = `/** Generated from the tables of routes (\`npm run docs\`): do not edit. */\n`

function writeTypes(methods: Method[], types: Types, kinds: ProblemKind[]): string {
  const queries = methods.flatMap((method) => queryType(method, types))
  const operations = methods.map((method) => signatureOf(method, types))
  types.of({ $ref: '#/components/schemas/ProblemDetails' })
  const declared = new Map<string, string>()
  const withPreviews = methods.filter((method) => splitPreviews(method, types).previews.length > 0)
  const bodies = new Set(withPreviews.flatMap((method) => bodiesOf(method, types)))
  for (const name of types.used) declared.set(name, declarationOf(name, types, bodies.has(name)))
  return [
    head,
    "import type { CallOptions, Pages, WatchOptions } from './calls.ts'\n\n",
    '/** Each method, with `Amount` as the type of an amount in a response. */\n',
    `export type Operations<Amount = number | string> = {\n${indent(operations.join('\n'))}\n}\n\n`,
    ...queries,
    ...[...declared].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, text]) => text),
    '/** Of a body: the answer is only a preview, and nothing is written. */\n',
    'export type DryRun = { dry_run: true }\n\n',
    streamTypes,
    problemTypes(kinds),
    problemsByMethod(methods),
  ].join('')
}

function declarationOf(name: string, types: Types, isPreviewed: boolean): string {
  const whole = types.components[name] as Schema
  const { dry_run: _, ...others } = (whole.properties ?? {}) as Record<string, Schema>
  const schema = isPreviewed ? { ...whole, properties: others } : whole
  const parameter = types.hasAmounts(name) ? '<Amount = number | string>' : ''
  return `${comment(schema.description as string)}export type ${name}${parameter} = ${types.of(schema)}\n\n`
}

function queryType(method: Method, types: Types): string[] {
  const parameters = parametersOf(method, 'query')
  if (parameters.length === 0 || isStream(method)) return []
  const isOpen = ({ schema }: Parameter) => schema.propertyNames !== undefined
  const named = parameters.filter((one) => !isOpen(one))
  const schema = {
    type: 'object',
    required: named.filter(({ required }) => required).map(({ name }) => name),
    properties: Object.fromEntries(
      named.map(({ name, description, schema }) => [name, { ...schema, description }]),
    ),
  }
  const open = parameters.filter(isOpen).map(({ name, description }) => {
    const member = `[name: \`${name.replace('*', '')}$\{string}\`]: string | number | boolean | undefined`
    return ` & {\n${indent(`${comment(description)}${member}`)}\n}`
  })
  return [`export type ${pascalCase(method.name)}Query = ${types.of(schema)}${open.join('')}\n\n`]
}

/** Which of several bodies has which of several answers. */
const answersByBody: Record<string, Record<string, string>> = {
  createTransfer: { NewTransfer: 'Transaction', NewPostings: 'PostingsTransaction' },
}

type Variant = { body: string; answer: string; isPreview?: boolean }

/** Body and answer of each signature: previews first, since they are the narrower ones. */
function variantsOf(method: Method, types: Types): Variant[] {
  const { answers, previews } = splitPreviews(method, types)
  const bodies = bodiesOf(method, types)
  const named = bodies.length > 1 ? answersByBody[method.operation.operationId] : undefined
  const answerTo = (body: string, schemas: Schema[], suffix = '') => {
    if (!named) return answerOf(method, union(schemas.map((schema) => types.of(schema))) || 'void')
    const { [body]: name } = named
    if (name === undefined) throw new Error(`${method.name} has no answer to ${body}`)
    return answerOf(method, types.of({ $ref: `#/components/schemas/${name}${suffix}` }))
  }
  const ofPreviews = previews.length > 0 ? bodies : []
  return [
    ...ofPreviews.map((body) => {
      const answer = answerTo(body, previews, 'Preview')
      return { body: previewed(body, types), answer, isPreview: true }
    }),
    ...(named ? bodies : [bodies.join(' | ')]).map((body) => ({ body, answer: answerTo(body, answers) })),
  ]
}

/** One, or those of a union. */
function bodiesOf(method: Method, types: Types): string[] {
  const schema = bodyOf(method)?.content['application/json'].schema
  return schema ? types.of(schema).split(' | ') : []
}

/** Without the mark, a body may have no members at all. */
function previewed(body: string, types: Types): string {
  const { dry_run: _, ...others } = types.resolve({ $ref: body }).properties ?? {}
  return Object.keys(others).length > 0 ? `${body} & DryRun` : 'DryRun'
}

function signatureOf(method: Method, types: Types): string {
  const { verb, path, operation } = method
  const about = ` * ${operation.summary}\n * \`${verb} ${path}\` (\`${operation.operationId}\`)\n`
  const signatures = variantsOf(method, types).map((variant) => variantOf(method, variant))
  return signatures.map((signature) => `/**\n${about} */\n${signature}`).join('\n')
}

function variantOf(method: Method, { body, answer, isPreview }: Variant): string {
  const { name, path } = method
  const query = parametersOf(method, 'query')
  const input = body
    ? [`body${bodyOf(method)?.required || isPreview ? '' : '?'}: ${body}`]
    : query.length > 0 && !isStream(method)
      ? [`query${query.some(({ required }) => required) ? '' : '?'}: ${pascalCase(name)}Query`]
      : []
  const ids = parametersOf(method, 'path').map((one) => `${argumentOf(one.name, path)}: string`)
  const options = `options?: ${isStream(method) ? 'WatchOptions' : 'CallOptions'}`
  const given = [...ids, ...input, options]
  const line = `${name}(${given.join(', ')}): ${answer}`
  return line.length < 100 ? line : `${name}(\n${indent(given.join(',\n'))},\n): ${answer}`
}

/** `/accounts/{id}/deposits` takes an `accountId`. */
function argumentOf(name: string, path: string): string {
  const noun = name === 'id' ? `${(/(\w+?)s\/\{id\}/.exec(path)?.[1] ?? '').replace(/^.*-/, '')}_id` : name
  return noun.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

function answerOf(method: Method, answer: string): string {
  // `BalanceEvent` has the names of the events beside these.
  if (isStream(method)) return 'AsyncGenerator<BalanceEvent<Amount>, void>'
  return isList(method) ? `Pages<${answer}>` : `Promise<${answer}>`
}

const isList = (method: Method): boolean =>
  parametersOf(method, 'query').some(({ name }) => name === 'cursor')

const streamTypes = `export type BalanceEvent<Amount = number | string> =
  /** An entry, or the balance with which a stream begins. */
  | { event: 'balance'; id: string; data: StreamedEntry<Amount> }
  /** Versions that are missing. */
  | { event: 'gap'; id: string; data: StreamedGap }
  /** Earlier events do not lead to what follows: load the balances again. */
  | { event: 'reset'; id: string; data: StreamReset }

`

/** What follows a colon or an equals sign: one of these texts, in a line each where they are many. */
function choice(texts: readonly string[]): string {
  const line = texts.map(literal).join(' | ')
  return line.length < 60 ? ` ${line}` : texts.map((text) => `\n  | ${literal(text)}`).join('')
}

function problemTypes(kinds: readonly ProblemKind[]): string {
  const members = kinds.map(
    (kind) =>
      `${comment(`${kind.title}. ${kind.remedy}`)}` +
      `'${kind.name}': {\n${indent(`status: ${kind.status}\ncode:${choice(codesOf(kind))}`)}\n}`,
  )
  return `/** Status and codes of each problem, by its name. */
export type Problems = {
${indent(members.join('\n'))}
}

type Named<Name extends keyof Problems> = { name: Name; type: \`/problems/\${Name}\` } & Problems[Name]

/** All problems, by \`name\` and \`type\`. */
export type Problem =
  | { [Name in keyof Problems]: Named<Name> }[keyof Problems]
  | { name: 'unknown'; type: string; status: number; code: string }
`
}

/** Names of problems, without those that any request may get. */
function problemsByMethod(methods: readonly Method[]): string {
  const common = Object.values(commonProblems).map(({ name }) => name as string)
  const members = methods.map(({ name, service, operation }) => {
    const route = routesOf[service].find(({ id }) => id === operation.operationId)
    const own = (route?.problems ?? []).map((kind) => kind.name).filter((one) => !common.includes(one))
    return `${name}:${own.length > 0 ? choice(own) : ' never'}`
  })
  return `
/** Of any request. */
export type CommonProblem =${choice([...common, 'unknown'])}

/** Beside those: the problems of each method. */
export type ProblemsOf = {
${indent(members.join('\n'))}
}
`
}

function writeOperations(methods: Method[], types: Types, kinds: readonly ProblemKind[]): string {
  // The client finds amounts by name.
  const ambiguous = [...types.amountNames].filter((name) => types.numberNames.has(name))
  if (ambiguous.length > 0) throw new Error(`${ambiguous} hold an amount here and a number there`)
  const rows = methods.map((method) => `${method.name}: '${[...wordsOf(method)].join(' ')}',`)
  return `${head}
/** By the name of the method: service, method, path, and what else applies. */
export const operations: Readonly<Record<string, string>> = {
${indent(rows.join('\n'))}
}

/** Members of responses that hold amounts. */
export const amountNames: readonly string[] = [
${indent(
  [...types.amountNames]
    .sort()
    .map((name) => `'${name}',`)
    .join('\n'),
)}
]

export const problemNames: readonly string[] = [
${indent(kinds.map(({ name }) => `'${name}',`).join('\n'))}
]
`
}

function* wordsOf(method: Method): Generator<string> {
  yield* [method.service, method.verb, method.path.replace(/\{(\w+)\}/g, ':$1')]
  if (bodyOf(method)) yield 'body'
  if (isStream(method)) return yield 'stream'
  if (parametersOf(method, 'query').length > 0) yield 'query'
  if (parametersOf(method, 'header').some(({ name }) => name === 'Consistency-Token')) yield 'token'
  if (isList(method)) yield 'pages'
}
