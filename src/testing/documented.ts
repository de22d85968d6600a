/** Checks each response against the route table, so that no test accepts an undocumented one. */
import { FormatRegistry, type TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler, type ValueError } from '@sinclair/typebox/compiler'
import { balancesRoutes } from '../balances/http/app'
import type { ServiceName } from '../config/config'
import { isUuid } from '../contract/id'
import { parseInstant } from '../contract/time'
import { commonProblems, ProblemResponse } from '../platform/http/problem'
import { contentOf, findRoute, type Route } from '../platform/http/route'
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

/** The first undocumented part of a response, if any. */
export function undocumented(routes: readonly Route[], exchange: Exchange): string | undefined {
  const { method, path, status } = exchange
  const route = findRoute(routes, method, path.replace(/[?#].*/s, ''))
  const fault =
    route && Object.hasOwn(route.responses, status)
      ? faultOfResponse(route, exchange)
      : faultOfProblem(route, exchange)
  return fault && `${method} ${route?.path ?? path} answers ${status}: ${fault}`
}

function faultOfResponse(route: Route, { status, headers, text }: Exchange): string | undefined {
  const content = contentOf(route.responses[status] ?? null)
  if (!content) return text === '' ? undefined : 'a body, and none is documented'
  const mediaType = mediaTypeOf(headers)
  if (mediaType !== content.mediaType) return `${mediaType} instead of ${content.mediaType}`
  return content.schema && mediaType !== eventStream ? faultOfJson(content.schema, text) : undefined
}

const eventStream = 'text/event-stream'

/** Throws for a stream event that does not match its schema. Other paths are ignored. */
export function expectDocumentedEvent(path: string, data: string): void {
  const route = findRoute(routesOf.balances, 'GET', path.replace(/[?#].*/s, ''))
  const content = contentOf(route?.responses[200] ?? null)
  const fault = content?.mediaType === eventStream && content.schema && faultOfJson(content.schema, data)
  if (fault) throw new Error(`balances: GET ${route?.path} sends an event: ${fault}`)
}

function faultOfProblem(route: Route | undefined, { status, headers, text }: Exchange): string | undefined {
  const mediaType = mediaTypeOf(headers)
  if (mediaType !== 'application/problem+json') return `${mediaType}, and the status is not documented`
  const fault = faultOfJson(ProblemResponse, text)
  if (fault) return fault
  const { type, status: member } = JSON.parse(text) as { type: string; status: number }
  const kinds = [...Object.values(commonProblems), ...(route?.problems ?? [])]
  const kind = kinds.find((one) => type === `/problems/${one.name}`)
  if (!kind) return `${type} is not among the problems of the route`
  return kind.status === status && member === status ? undefined : `${type} is ${kind.status}`
}

const mediaTypeOf = (headers: Headers) => headers.get('content-type')?.replace(/;.*/, '')

const compiled = new Map<TSchema, TypeCheck<TSchema>>()

function faultOfJson(schema: TSchema, text: string): string | undefined {
  const check = compiled.get(schema) ?? TypeCompiler.Compile(schema)
  compiled.set(schema, check)
  const body = JSON.parse(text)
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
