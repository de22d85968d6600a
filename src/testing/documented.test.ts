import { expect, test } from 'bun:test'
import { Type } from '@sinclair/typebox'
import { problems } from '../contract/problems'
import { responseHeaders, sometimes } from '../platform/http/headers'
import { commonProblems, type ProblemKind, problemResponse } from '../platform/http/problem'
import { answer, route } from '../platform/http/route'
import { closedObject } from '../platform/http/schemas'
import { type Exchange, routesOf, undocumented } from './documented'

const tag = { name: 'Things', description: 'Any.' }
const id = Type.String({ description: 'Of the thing.' })
const routes = [
  route({
    method: 'GET',
    path: '/things/:id',
    id: 'getThing',
    scope: 'open',
    tag,
    summary: 'A thing.',
    params: { id },
    responses: {
      200: answer(closedObject('Thing', { id: Type.String(), size: Type.Integer() }), {
        headers: [sometimes(responseHeaders.link)],
      }),
      304: answer(null, { headers: [responseHeaders.etag] }),
    },
    problems: [problems.accountNotFound],
    examples: {},
    handle: () => new Response(),
  }),
  route({
    method: 'GET',
    path: '/things/:id/stream',
    id: 'streamThing',
    scope: 'open',
    tag,
    summary: 'Its changes.',
    params: { id },
    responses: { 200: answer({ mediaType: 'text/event-stream' }) },
    examples: {},
    handle: () => new Response(),
  }),
]

const time = '2024-01-27T17:13:55.000Z'

const json = (status: number, body: unknown): Partial<Exchange> => ({
  status,
  headers: new Headers({ 'content-type': 'application/json' }),
  text: JSON.stringify(body),
})
const refused = async (kind: ProblemKind): Promise<Partial<Exchange>> => {
  const answer = problemResponse(kind, { detail: 'no' }, '/things/1', 'a'.repeat(32))
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

const faultOf = (part: Partial<Exchange>): string | undefined =>
  undocumented(routes, {
    method: 'GET',
    path: '/things/1?x=1',
    status: 200,
    headers: new Headers(),
    text: '',
    ...part,
  })

test.each([
  [{ id: '1' }, '#/size'],
  [{ id: '1', size: 1.5 }, '#/size'],
  [{ id: '1', size: 1, color: 'red' }, '#/color'],
  [[], '#'],
])('a body %j that does not match its schema is a fault at %s', (body, pointer) => {
  expect(faultOf(json(200, body))).toStartWith(`GET /things/:id answers 200: ${pointer}: `)
})

test('the fault of a union is that of the closest variant', () => {
  const balance = {
    id: 'a',
    account_id: 'a',
    balance: 1,
    held: 0,
    available: 1,
    status: 'open',
    overdraft_limit: 0,
    currency: 'BRL',
    version: 1.5,
  }
  const owner = { client_id: null, owner_name: null, created_at: time, updated_at: time }
  const exchange = { method: 'GET', path: '/balances/a', ...json(200, { ...balance, ...owner }) } as Exchange
  expect(undocumented(routesOf.balances, exchange)).toContain('#/version')
})

test('a documented response has no fault', async () => {
  expect(faultOf(json(200, { id: '1', size: 1 }))).toBeUndefined()
  expect(faultOf({ status: 304, headers: new Headers({ etag: '"1"' }) })).toBeUndefined()
  expect(faultOf(await refused(problems.accountNotFound))).toBeUndefined()
  expect(faultOf(await refused(commonProblems.validation))).toBeUndefined()
  const headers = new Headers({ 'content-type': 'text/event-stream' })
  expect(faultOf({ path: '/things/1/stream', headers })).toBeUndefined()
  expect(faultOf({ ...(await refused(commonProblems.notFound)), path: '/nowhere' })).toBeUndefined()
})

test('an undocumented status, problem, body or media type is a fault', async () => {
  expect(faultOf(json(201, { id: '1', size: 1 }))).toContain(
    'application/json, and the status is not documented',
  )
  expect(faultOf(await refused(problems.holdNotFound))).toContain('/problems/hold-not-found is not among')
  expect(faultOf({ ...(await refused(problems.accountNotFound)), path: '/nowhere' })).toContain(
    'is not among',
  )
  expect(faultOf({ ...(await refused(problems.accountNotFound)), status: 422 })).toContain('is 404')
  expect(faultOf({ ...json(304, {}) })).toContain('a body, and none is documented')
  expect(faultOf({ ...json(200, {}), path: '/things/1/stream' })).toContain('instead of text/event-stream')
})

test('an undocumented header, a missing one and one of another form are faults', async () => {
  const headersOf = (status: number, fields: Record<string, string>) =>
    faultOf({ status, headers: new Headers(fields), text: '' })
  expect(headersOf(304, {})).toContain('no header ETag')
  expect(headersOf(304, { etag: '"1"', 'x-color': 'red' })).toContain(
    'header x-color, which is not documented',
  )
  const { headers, ...rest } = await refused(commonProblems.overloaded)
  headers?.set('retry-after', 'soon')
  expect(faultOf({ headers: headers as Headers, ...rest })).toContain('header Retry-After')
})

test('a code that its problem does not list is a fault', async () => {
  const answer = problemResponse(
    problems.accountNotFound,
    { detail: 'no', code: 'ACCOUNT_LOST' },
    '/things/1',
    'a'.repeat(32),
  )
  expect(faultOf({ status: 404, headers: answer.headers, text: await answer.text() })).toContain(
    'ACCOUNT_LOST is not among the codes',
  )
})

test('routes are unique and have a sentence as summary, and their objects are closed', () => {
  for (const table of Object.values(routesOf)) {
    const names = table.map(({ method, path }) => `${method} ${path}`)
    expect(new Set(names).size).toBe(names.length)
    for (const { path, summary, answers } of table) {
      expect([path, summary]).toEqual([path, expect.stringMatching(/^[A-Z].*\.$/)])
      if (!isDocument(path)) expect([path, openObjectsIn(answers)]).toEqual([path, []])
    }
  }
})

const isDocument = (path: string) => /^\/(asyncapi|openapi)/.test(path)

/** Paths of objects with properties that still accept additional ones. */
function openObjectsIn(schema: unknown, at = ''): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { properties, additionalProperties } = schema as Record<string, unknown>
  const found = properties && additionalProperties !== false ? [at] : []
  return [
    ...found,
    ...Object.entries(schema).flatMap(([name, inner]) => openObjectsIn(inner, `${at}/${name}`)),
  ]
}
