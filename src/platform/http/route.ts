/**
 * Routes as data. Each service has one table of routes: Elysia's routes are made from it, and so is
 * every document and test that must not drift from what is served.
 */
import type { Static, TObject, TSchema } from '@sinclair/typebox'
import { type BodySchema, bodyOf } from './body-schema'
import type { Guard, Guarded } from './guard'
import { type HeaderField, requestHeaders, responseHeaders, shared, sometimes } from './headers'
import { requireValidIdempotencyKey } from './idempotency-key'
import { commonProblems, keyProblems, mergeProblems, type ProblemKind } from './problem'

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

/** A group of routes in the documents. */
export type Tag = { name: string; description: string }

/** The schema of an event stream is that of the data of each event. */
export type Content = {
  mediaType: string
  schema?: TSchema
  /** Other media types of the same, by `Accept`. */
  alternatives?: readonly string[]
}

export type Answer = {
  /** Null: without a body. */
  content: Content | null
  headers: readonly HeaderField[]
  description?: string
  /** Instead of it, where the body asks for a preview. */
  preview?: Answer
}

/** What several routes have in common: headers that they read and send, and the problems that follow. */
export type Trait = {
  requestHeaders: readonly HeaderField[]
  /** With any answer of the handler, refusals included, each where it applies. */
  responseHeaders: readonly HeaderField[]
  problems: readonly ProblemKind[]
}

/** As `as const` types it. */
type Constant<T> = T extends readonly (infer Item)[]
  ? readonly Constant<Item>[]
  : T extends object
    ? { readonly [Name in keyof T]: Constant<T[Name]> }
    : T

/**
 * A request and its answer, with real values. A test sends all of a service in the order of its table.
 * The id of something that an earlier example created stands for the id that it got.
 */
export type Example<Params = Record<string, string>, Body = unknown> = {
  /** Where a route has several: what is special about this one. */
  summary?: string
  query?: Readonly<Record<string, string>>
  headers?: Readonly<Record<string, string>>
  body?: Constant<Body>
  status: number
  /**
   * Its members, in the order in which they are sent. A refusal has only those that differ; a stream shows
   * one event, `{ event, id, data }`.
   */
  response?: unknown
} & (keyof Params extends never ? { params?: undefined } : { params: Params })

export type Route = Guarded<RouteContext<never, never, never>> & {
  method: Method
  path: string
  /** Stable: clients name their methods after it. */
  id: string
  tag: Tag
  /** One line: what it does. */
  summary: string
  /** What else a caller has to know, in Markdown. */
  description?: string
  params: Readonly<Record<string, TSchema>>
  query?: TSchema
  body?: BodySchema
  requestHeaders: readonly HeaderField[]
  /** By status. A status that is not listed is that of a problem. */
  answers: Readonly<Record<number, Answer>>
  /** With any answer of the handler, refusals included, each where it applies. */
  responseHeaders: readonly HeaderField[]
  /** All that it answers, each once. */
  problems: readonly ProblemKind[]
  examples: Readonly<Record<string, Example>>
  handle(context: RouteContext<never, never, never>): Response | Promise<Response>
}

/** The part of a definition that has nothing to do with its body. */
export type RouteHead<Path extends string> = Pick<
  Route,
  'method' | 'id' | 'scope' | 'isUnlimited' | 'tag' | 'summary' | 'description'
> & {
  path: Path
  /** By status. A schema is that of a JSON body; null for no body. */
  responses: Readonly<Record<number, TSchema | Answer | null>>
  traits?: readonly Trait[]
  /** Beside those of its traits and those that every route of its form has. */
  problems?: readonly ProblemKind[]
} & (keyof ParamsOf<Path> extends never
    ? { params?: undefined }
    : { params: Readonly<Record<keyof ParamsOf<Path>, TSchema>> })

type Definition<Path extends string, Query extends TSchema, Body extends BodySchema> = RouteHead<Path> &
  RouteBody<Path, Query, Body>

/** The rest of it. */
export type RouteBody<Path extends string, Query extends TSchema, Body extends BodySchema> = {
  query?: Query
  body?: Body
  /** Instead of those that every route of its form has. */
  common?: readonly ProblemKind[]
  examples: Readonly<Record<string, Example<ParamsOf<Path>, Static<Body>>>>
  handle(context: RouteContext<ParamsOf<Path>, Static<Query>, Static<Body>>): Response | Promise<Response>
} & Pick<Guarded<RouteContext<ParamsOf<Path>, Static<Query>, Static<Body>>>, 'subjects'>

/** A route whose handler is typed by its path and its schemas. */
export function route<
  const Path extends string,
  Query extends TSchema = TSchema,
  Body extends BodySchema = TObject,
>(definition: Definition<Path, Query, Body>): Route {
  const { responses, problems = [], common, ...rest } = definition
  const traits = [
    ...(definition.isUnlimited ? [] : [limited]),
    ...(isRead(definition.method) ? [] : [keyed]),
    ...(definition.traits ?? []),
  ]
  const asked = traits.flatMap((trait) => trait.requestHeaders)
  return {
    params: {},
    ...rest,
    requestHeaders: isRead(definition.method) ? asked : [...asked, requestHeaders.traceparent],
    answers: Object.fromEntries(Object.entries(responses).map(([status, one]) => [status, asAnswer(one)])),
    responseHeaders: traits.flatMap((trait) => trait.responseHeaders),
    problems: mergeProblems([
      ...problems,
      ...traits.flatMap((trait) => trait.problems),
      ...(common ?? commonProblemsOf(definition)),
      ...keyProblemsOf(definition),
    ]),
  } as Route
}

const isRead = (method: Method) => method === 'GET'

/** Of every write: its handler answers the same request under the same key alike. */
const keyed: Trait = {
  requestHeaders: [requestHeaders.idempotencyKey],
  responseHeaders: [sometimes(responseHeaders.idempotencyReplayed)],
  problems: [keyProblems.reused, keyProblems.inProgress],
}

/** Of every route that has a rate limit. */
export const limited: Trait = {
  requestHeaders: [],
  responseHeaders: [responseHeaders.rateLimit, responseHeaders.rateLimitPolicy].map((field) =>
    shared(sometimes(field)),
  ),
  problems: [commonProblems.quotaExceeded],
}

/** A schema is that of a JSON body. */
export const asAnswer = (one: TSchema | Answer | null): Answer =>
  one !== null && 'content' in one ? (one as Answer) : answer(one)

/** An answer with a JSON body of this schema, content of another type, or null. */
export function answer(
  body: TSchema | Content | null,
  { headers = [], ...rest }: Partial<Pick<Answer, 'headers' | 'description' | 'preview'>> = {},
): Answer {
  const content =
    body === null || 'mediaType' in body
      ? (body as Content | null)
      : { mediaType: 'application/json', schema: body as TSchema }
  return { content, headers, ...rest }
}

/** Those that precede any handler, and those of a failed dependency. */
function commonProblemsOf({
  method,
  scope,
  body,
}: Pick<Route, 'method' | 'scope'> & { body?: BodySchema | undefined }): ProblemKind[] {
  const { hostNotAllowed, originNotAllowed, bodyTooLarge, bodyTimeout, unsupportedMediaType } = commonProblems
  const { malformed, validation, unavailable, overloaded, internal } = commonProblems
  return [
    malformed,
    ...(isRead(method) && scope === 'open' ? [] : [hostNotAllowed]),
    ...(isRead(method) ? [] : [originNotAllowed]),
    ...(body ? [bodyTimeout, bodyTooLarge, unsupportedMediaType] : []),
    validation,
    internal,
    unavailable,
    overloaded,
  ]
}

/** A key that a request has is checked everywhere. */
const keyProblemsOf = ({ scope }: Pick<Route, 'scope'>): ProblemKind[] =>
  scope === 'open'
    ? [commonProblems.unauthenticated]
    : [commonProblems.unauthenticated, commonProblems.insufficientScope]

/** An Elysia app. Its own type grows with every route, and nothing here needs that. */
type Router = {
  route(method: string, path: string, handler: (context: Context) => unknown, hooks: object): unknown
}
type Context = RouteContext<unknown, unknown, unknown>

/** Adds the routes to an Elysia app, each behind the guard. */
export function mount<App>(app: App, routes: readonly Route[], guard?: Guard): App {
  for (const route of routes) {
    const { method, path, query, body } = route
    const hooks = {
      ...(query && { query }),
      ...(body && { body: bodyOf(body) }),
      ...(!isRead(method) && { transform: requireValidIdempotencyKey }),
    }
    const handler = handlerOf(path, guard ? behind(guard, route) : handleOf(route), { query, body })
    ;(app as Router).route(method, path, handler, hooks)
  }
  return app
}

const handleOf = (route: Route) => route.handle as (context: Context) => Response | Promise<Response>

/** Here and not only before, so that no path leads to a handler unseen, however it is spelled. */
function behind(guard: Guard, route: Route): (context: Context) => unknown {
  const handle = handleOf(route)
  return (context) => {
    const refusal = guard.permit(route, context)
    if (refusal instanceof Promise) return refusal.then((refused) => refused ?? handle(context))
    return refusal ?? handle(context)
  }
}

/**
 * Elysia reads from the text of a handler what it has to parse for it. Hence one handler for each need,
 * and no context that is passed on whole.
 */
function handlerOf(
  path: string,
  handle: (context: Context) => unknown,
  { query, body }: { query?: TSchema | undefined; body?: BodySchema | undefined },
) {
  if (body)
    return ({ request, params, body }: Context) =>
      handle({ request, route: path, params, query: undefined, body })
  if (query)
    return ({ request, params, query }: Context) =>
      handle({ request, route: path, params, query, body: undefined })
  return ({ request, params }: Context) =>
    handle({ request, route: path, params, query: undefined, body: undefined })
}

/** What finds the route of a path. */
export type FindRoute<R> = (method: string, path: string) => R | undefined

type Node<R> = { literals: Map<string, Node<R>>; parameter?: Node<R>; byMethod: Map<string, R> }
const emptyNode = <R>(): Node<R> => ({ literals: new Map(), byMethod: new Map() })

/** Finds routes as Elysia does: a literal segment before a parameter. */
export function routerOf<R extends Pick<Route, 'method' | 'path'>>(routes: readonly R[]): FindRoute<R> {
  const root = emptyNode<R>()
  for (const route of routes) {
    let node = root
    for (const part of segmentsOf(route.path)) {
      const next = (part.startsWith(':') ? node.parameter : node.literals.get(part)) ?? emptyNode()
      if (part.startsWith(':')) node.parameter = next
      else node.literals.set(part, next)
      node = next
    }
    node.byMethod.set(route.method, route)
  }
  return (method, path) => find(root, method, segmentsOf(path))
}

function find<R>(node: Node<R>, method: string, segments: readonly string[], at = 0): R | undefined {
  const segment = segments[at]
  if (segment === undefined) return node.byMethod.get(method)
  const literal = node.literals.get(segment)
  const found = literal && find(literal, method, segments, at + 1)
  if (found || segment === '' || !node.parameter) return found
  return find(node.parameter, method, segments, at + 1)
}

const segmentsOf = (path: string): string[] =>
  (path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path).split('/')
