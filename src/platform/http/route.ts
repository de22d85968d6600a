/**
 * Routes as data. Each service has one table of routes: Elysia's routes are made from it, and so is
 * every document and test that must not drift from what is served.
 */
import type { Static, TObject, TSchema } from '@sinclair/typebox'
import { bodyOf } from './body-schema'
import { rejectIdempotencyKey, requireValidIdempotencyKey } from './idempotency-key'
import type { ProblemKind } from './problem'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** `/holds/:id/capture` has the parameter `id`. */
export type ParamsOf<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Record<Name, string> & ParamsOf<`/${Rest}`>
  : Path extends `${string}:${infer Name}`
    ? Record<Name, string>
    : Record<never, string>

/** `route` is the path as the table has it, with its parameters by name. */
export type RouteContext<Params, Query, Body> = {
  request: Request
  route: string
  params: Params
  query: Query
  body: Body
}

/**
 * A JSON body by its schema, any other media type by its name, null for no body. The schema of an event
 * stream is that of the data of each event.
 */
export type ResponseBody = TSchema | { mediaType: string; schema?: TSchema } | null

export type Route = {
  method: Method
  path: string
  /** One line: what it does. */
  summary: string
  query?: TSchema
  body?: TObject
  /** By status. A status that is not listed is that of a problem. */
  responses: Readonly<Record<number, ResponseBody>>
  /** Beside those that every route has (`commonProblems`). */
  problems: readonly ProblemKind[]
  /** Whether `Idempotency-Key` is honoured. */
  isKeyed: boolean
  handle(context: RouteContext<never, never, never>): Response | Promise<Response>
}

type Definition<Path extends string, Query extends TSchema, Body extends TObject> = Omit<
  Route,
  'path' | 'query' | 'body' | 'problems' | 'isKeyed' | 'handle'
> & {
  path: Path
  query?: Query
  body?: Body
  problems?: readonly ProblemKind[]
  isKeyed?: boolean
  handle(context: RouteContext<ParamsOf<Path>, Static<Query>, Static<Body>>): Response | Promise<Response>
}

/** A route whose handler is typed by its path and its schemas. */
export const route = <
  const Path extends string,
  Query extends TSchema = TSchema,
  Body extends TObject = TObject,
>(
  definition: Definition<Path, Query, Body>,
): Route => ({ problems: [], isKeyed: false, ...definition }) as Route

/** Media type and schema of a response; undefined without a body. */
export function contentOf(body: ResponseBody): { mediaType: string; schema?: TSchema } | undefined {
  if (body === null) return undefined
  return 'mediaType' in body
    ? (body as { mediaType: string })
    : { mediaType: 'application/json', schema: body }
}

/** An Elysia app. Its own type grows with every route, and nothing here needs that. */
type Router = {
  route(method: string, path: string, handler: (context: Context) => unknown, hooks: object): unknown
}
type Context = RouteContext<unknown, unknown, unknown>

/** Adds the routes to an Elysia app. */
export function mount<App>(app: App, routes: readonly Route[]): App {
  for (const { method, path, query, body, isKeyed, handle } of routes) {
    const hooks = {
      ...(query && { query }),
      ...(body && { body: bodyOf(body) }),
      ...(method === 'POST' && { transform: isKeyed ? requireValidIdempotencyKey : rejectIdempotencyKey }),
    }
    const handler = handlerOf(path, handle as (context: Context) => unknown, { query, body })
    ;(app as Router).route(method, path, handler, hooks)
  }
  return app
}

/**
 * Elysia reads from the text of a handler what it has to parse for it. Hence one handler for each need,
 * and no context that is passed on whole.
 */
function handlerOf(path: string, handle: (context: Context) => unknown, { query, body }: Partial<Route>) {
  if (body)
    return ({ request, params, body }: Context) =>
      handle({ request, route: path, params, query: undefined, body })
  if (query)
    return ({ request, params, query }: Context) =>
      handle({ request, route: path, params, query, body: undefined })
  return ({ request, params }: Context) =>
    handle({ request, route: path, params, query: undefined, body: undefined })
}

/** The route that serves a path, as the router chooses: a literal segment before a parameter. */
export function findRoute(routes: readonly Route[], method: string, path: string): Route | undefined {
  const actual = segmentsOf(path)
  const matching = routes.filter((one) => {
    const expected = segmentsOf(one.path)
    if (one.method !== method || expected.length !== actual.length) return false
    return expected.every((part, index) =>
      part.startsWith(':') ? actual[index] !== '' : part === actual[index],
    )
  })
  const literals = (one: Route) => segmentsOf(one.path).filter((part) => !part.startsWith(':')).length
  return matching.sort((a, b) => literals(b) - literals(a))[0]
}

const segmentsOf = (path: string): string[] => path.replace(/(?<=.)\/$/, '').split('/')
