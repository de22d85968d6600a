/** Checks each response against the route table, so that no test accepts an undocumented one. */
import { FormatRegistry, type TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler, type ValueError } from '@sinclair/typebox/compiler'
import { balancesRoutes } from '../balances/http/app'
import type { ServiceName } from '../config/config'
import { isUuid } from '../contract/id'
import { parseInstant } from '../contract/time'
import { type HeaderField, header, isHeader, responseHeaders } from '../platform/http/headers'
import { codesOf, commonProblems, headersOf, ProblemResponse } from '../platform/http/problem'
import { type Content, type FindRoute, limited, type Route, routerOf } from '../platform/http/route'
import { securityHeaders } from '../platform/http/security-headers'
import { walletRoutes } from '../wallet/http/app'

FormatRegistry.Set('date-time', (text) => parseInstant(text) !== undefined)
FormatRegistry.Set('uuid', (text) => isUuid(text) && text === text.toLowerCase())
FormatRegistry.Set('uri-reference', (text) => URL.canParse(text, 'http://host'))

export const routesOf: Record<ServiceName, readonly Route[]> = {
  wallet: walletRoutes({} as never),
  balances: balancesRoutes({} as never),
}

export type Exchange = {
  method: string
  /** With or without a query. */
  path: string
  status: number
  headers: Headers
  /** Empty for a stream. */
  text: string
}

/** Throws for an undocumented response, naming route, status and the first fault. */
export function expectDocumented(service: ServiceName, exchange: Exchange): void {
  const fault = undocumented(routesOf[service], exchange)
  if (fault) throw new Error(`${service}: ${fault}`)
}

/** Throws for an answer without the header fields of every answer. */
export function expectSecured(headers: Headers): void {
  const missing = Object.keys(securityHeaders).filter((name) => !headers.has(name))
  if (missing.length > 0) throw new Error(`an answer without ${missing.join(', ')}`)
}

/** The first undocumented part of a response, if any. */
export function undocumented(routes: readonly Route[], exchange: Exchange): string | undefined {
  const { method, path, status } = exchange
  const route = routerFor(routes)(method, path.replace(/[?#].*/s, ''))
  const fault =
    route && Object.hasOwn(route.answers, status)
      ? faultOfResponse(route, exchange)
      : faultOfProblem(route, exchange)
  return fault && `${method} ${route?.path ?? path} answers ${status}: ${fault}`
}

function faultOfResponse(route: Route, { status, headers, text }: Exchange): string | undefined {
  const answer = route.answers[status]
  const { content = null, headers: documented = [] } =
    (answer?.preview && isPreview(text) ? answer.preview : answer) ?? {}
  const fault = faultOfBody(content, { headers, text })
  return fault ?? faultOfHeaders(headers, [...documented, ...route.responseHeaders])
}

const isPreview = (text: string) => (JSON.parse(text) as { dry_run?: boolean }).dry_run === true

function faultOfBody(
  content: Content | null,
  { headers, text }: Pick<Exchange, 'headers' | 'text'>,
): string | undefined {
  if (!content) return text === '' ? undefined : 'a body, and none is documented'
  const mediaType = mediaTypeOf(headers)
  if (mediaType !== content.mediaType && !content.alternatives?.includes(mediaType ?? ''))
    return `${mediaType} instead of ${content.mediaType}`
  return content.schema && mediaType !== eventStream ? faultOfJson(content.schema, text) : undefined
}

const eventStream = 'text/event-stream'

/** Throws for a stream event that does not match its schema. Other paths are ignored. */
export function expectDocumentedEvent(path: string, data: string): void {
  const route = routerFor(routesOf.balances)('GET', path.replace(/[?#].*/s, ''))
  const content = route?.answers[200]?.content
  const fault = content?.mediaType === eventStream && content.schema && faultOfJson(content.schema, data)
  if (fault) throw new Error(`balances: GET ${route?.path} sends an event: ${fault}`)
}

function faultOfProblem(route: Route | undefined, { status, headers, text }: Exchange): string | undefined {
  const mediaType = mediaTypeOf(headers)
  if (mediaType !== 'application/problem+json') return `${mediaType}, and the status is not documented`
  const fault = faultOfJson(ProblemResponse, text)
  if (fault) return fault
  const { type, status: member, code } = JSON.parse(text) as { type: string; status: number; code: string }
  // Without a route, that is what is wrong, or something that precedes all routes.
  const kinds = route?.problems ?? Object.values(commonProblems)
  const kind = kinds.find((one) => type === `/problems/${one.name}`)
  if (!kind) return `${type} is not among the problems of the route`
  if (kind.status !== status || member !== status) return `${type} is ${kind.status}`
  if (!codesOf(kind).includes(code)) return `${code} is not among the codes of ${type}`
  const allowed = type === '/problems/method-not-allowed' ? [allow] : []
  const ofKind = [noStore, ...headersOf(kind), ...allowed]
  return faultOfHeaders(headers, [...ofKind, ...(route ?? limited).responseHeaders])
}

const noStore = responseHeaders.cacheControl('no-store')
const allow = header('Allow', 'The methods of the path.')

/** Of the protocol and of the server around the routes. */
const transport =
  /^(content-type|content-length|date|connection|keep-alive|transfer-encoding|vary|access-control-.+)$/

/** As answers of all routes have it. */
const isSecurity = (name: string, sent: Headers): boolean =>
  sent.get(name) === (securityHeaders as Record<string, string>)[name]

function faultOfHeaders(sent: Headers, documented: readonly HeaderField[]): string | undefined {
  for (const name of sent.keys())
    if (
      !transport.test(name) &&
      !isSecurity(name, sent) &&
      !documented.some((field) => isHeader(field, name))
    )
      return `header ${name}, which is not documented`
  for (const { name, schema, isRequired } of documented) {
    const value = sent.get(name)
    if (value === null && isRequired) return `no header ${name}`
    const fault = value === null ? undefined : faultOf(schema, value)
    if (fault) return `header ${name}${fault}`
  }
  return undefined
}

const mediaTypeOf = (headers: Headers) => headers.get('content-type')?.replace(/;.*/, '')

const routers = new WeakMap<readonly Route[], FindRoute<Route>>()
const routerFor = (routes: readonly Route[]): FindRoute<Route> => {
  const router = routers.get(routes) ?? routerOf(routes)
  routers.set(routes, router)
  return router
}

const compiled = new Map<TSchema, TypeCheck<TSchema>>()

const faultOfJson = (schema: TSchema, text: string) => faultOf(schema, JSON.parse(text))

function faultOf(schema: TSchema, body: unknown): string | undefined {
  const check = compiled.get(schema) ?? TypeCompiler.Compile(schema)
  compiled.set(schema, check)
  if (check.Check(body)) return undefined
  const [first] = check.Errors(body)
  if (!first) return 'does not match its schema'
  const { path, message, value } = innermost(first)
  return `#${path}: ${message}: ${JSON.stringify(value)?.slice(0, 500)}`
}

/** For a union, the first fault of the variant with the fewest. */
function innermost(error: ValueError): ValueError {
  const variants = error.errors.map((faults) => [...faults]).sort((a, b) => a.length - b.length)
  const [first] = variants[0] ?? []
  return first ? innermost(first) : error
}
