import { expect, test } from 'bun:test'
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { answer, type Method, mount, route, routerOf } from './route'

const tag = { name: 'Things', description: 'Any.' }
const id = Type.String({ description: 'Of the thing.' })

const routeTo = (method: Method, path: string) =>
  route({
    method,
    path,
    id: 'anything',
    scope: 'open',
    tag,
    summary: 'A route.',

    responses: { 200: Type.Object({}) },
    examples: {},
    handle: ({ route, params }) => Response.json({ route, params }),
  })
const routes = [
  routeTo('GET', '/things/:id'),
  routeTo('GET', '/things/newest'),
  routeTo('GET', '/things/:id/parts/:part'),
  routeTo('POST', '/things'),
  routeTo('POST', '/things/batch'),
  routeTo('GET', '/things/newest/:part'),
]

const cases = [
  ['GET', '/things/1', '/things/:id'],
  ['GET', '/things/newest', '/things/newest'],
  ['GET', '/things/newest/', '/things/newest'],
  ['GET', '/things/1/parts/2', '/things/:id/parts/:part'],
  ['POST', '/things', '/things'],
  ['POST', '/things/1', undefined],
  ['GET', '/things/batch', '/things/:id'],
  ['POST', '/things/batch', '/things/batch'],
  ['GET', '/things/newest/parts/1', '/things/:id/parts/:part'],
  ['GET', '/things/newest/parts', '/things/newest/:part'],
  ['GET', '/things/%6eewest', '/things/:id'],
  ['GET', '/thing%73/1', undefined],
  ['GET', '//things/1', undefined],
  ['GET', '/Things/1', undefined],
  ['GET', '/things', undefined],
  ['GET', '/things//parts/2', undefined],
  ['GET', '/nowhere', undefined],
] as const

test.each(cases)('%s %s is served by %p', async (method, path, expected) => {
  expect(routerOf(routes)(method, path)?.path).toBe(expected)
  // As Elysia sees it.
  const response = await mount(new Elysia(), routes).handle(new Request(`http://host${path}`, { method }))
  expect(response.status).toBe(expected ? 200 : 404)
  if (expected) expect(await response.json()).toMatchObject({ route: expected })
})

test('a route that does not say who may use it does not compile', () => {
  const unguarded = { method: 'GET', path: '/things', id: 'getThings', tag, summary: 'Things.' } as const
  const rest = { responses: { 200: Type.Object({}) }, examples: {}, handle: () => new Response() }
  // @ts-expect-error: the scope is missing.
  route({ ...unguarded, ...rest })
  // @ts-expect-error: no such scope.
  route({ ...unguarded, ...rest, scope: 'any' })
  expect(route({ ...unguarded, ...rest, scope: 'admin' }).scope).toBe('admin')
})

test('a handler gets what its schemas name', async () => {
  const app = mount(new Elysia(), [
    route({
      method: 'POST',
      path: '/things/:id',
      id: 'postThing',
      scope: 'open',
      tag,
      summary: 'A body.',
      params: { id },
      examples: {},
      body: Type.Object({ size: Type.Number() }),
      responses: { 200: Type.Object({}) },
      handle: ({ body, params }) => Response.json({ size: body.size, id: params.id }),
    }),
    route({
      method: 'GET',
      path: '/things/:id',
      id: 'getThing',
      scope: 'open',
      tag,
      summary: 'A query.',
      params: { id },
      examples: {},
      query: Type.Object({ color: Type.String() }),
      responses: { 200: Type.Object({}) },
      handle: ({ query, params }) => Response.json({ color: query.color, id: params.id }),
    }),
  ])
  const headers = { 'content-type': 'application/json' }
  const post = { method: 'POST', headers, body: '{"size":1}' }
  expect(await (await app.handle(new Request('http://host/things/1', post))).json()).toEqual({
    size: 1,
    id: '1',
  })
  const get = await app.handle(new Request('http://host/things/1?color=red'))
  expect(await get.json()).toEqual({ color: 'red', id: '1' })
})

test('a schema alone is that of JSON', () => {
  const schema = Type.Object({ mediaType: Type.String() })
  expect(answer(schema).content).toEqual({ mediaType: 'application/json', schema })
  expect(answer({ mediaType: 'text/html' }).content).toEqual({ mediaType: 'text/html' })
  expect(answer(null).content).toBeNull()
})
