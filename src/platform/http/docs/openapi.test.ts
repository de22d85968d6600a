import { expect, test } from 'bun:test'
import { Type } from '@sinclair/typebox'
import { responseHeaders } from '../headers'
import type { ProblemKind } from '../problem'
import { answer, route, type Trait } from '../route'
import { closedObject } from '../schemas'
import { describeErrors } from './errors'
import { openApi } from './openapi'

const lost: ProblemKind = {
  name: 'lost',
  status: 410,
  title: 'Lost',
  cause: 'It fell off.',
  remedy: 'Send another.',
  retry: 'same',
  codes: ['LOST', 'STOLEN'],
}
const burnt: Trait = {
  requestHeaders: [],
  responseHeaders: [],
  problems: [{ ...lost, codes: ['BURNT'] }],
}
const tag = { name: 'Parcels', description: 'Boxes.' }
const routes = [
  route({
    method: 'POST',
    path: '/parcels/:id/send',
    id: 'sendParcel',
    scope: 'open',
    tag,
    summary: 'Sends a parcel.',
    params: { id: Type.String({ description: 'The parcel.' }) },
    body: closedObject('NewSending', { to: Type.String({ description: 'Where.' }) }),
    responses: {
      201: answer(closedObject('Sending', { to: Type.String() }), { headers: [responseHeaders.location] }),
    },
    traits: [burnt],
    problems: [lost],
    examples: {
      home: { params: { id: '7' }, body: { to: 'home' }, status: 201, response: { to: 'home' } },
      gone: {
        params: { id: '8' },
        body: { to: 'home' },
        status: 410,
        response: { type: '/problems/lost', code: 'STOLEN' },
      },
    },
    handle: () => new Response(),
  }),
  route({
    method: 'GET',
    path: '/parcels',
    id: 'listParcels',
    scope: 'open',
    tag,
    summary: 'All.',
    query: Type.Object({ limit: Type.Optional(Type.String({ description: 'Rows.' })) }),
    responses: { 200: answer({ mediaType: 'text/event-stream', schema: Type.Integer() }) },
    examples: { two: { query: { limit: '2' }, status: 200, response: { event: 'n', id: '1', data: 5 } } },
    handle: () => new Response(),
  }),
]
const document = openApi(routes, { title: 'Parcels', version: '1', description: 'Boxes.', servers: [] })
const send = document.paths['/parcels/{id}/send']?.post
const list = document.paths['/parcels']?.get

test('an operation has its parameters, its body and what they mean', () => {
  expect(send).toMatchObject({ operationId: 'sendParcel', tags: ['Parcels'], 'x-idempotency': 'key' })
  expect(send?.parameters?.map((one) => [one.in, one.name, one.required])).toEqual([
    ['path', 'id', true],
    ['header', 'Idempotency-Key', false],
    ['header', 'traceparent', false],
  ])
  expect(send?.requestBody).toMatchObject({ required: true })
  expect(list?.parameters).toMatchObject([{ in: 'query', name: 'limit', examples: { two: { value: '2' } } }])
  expect(list).toMatchObject({ 'x-idempotency': 'safe' })
})

test('an answer has its header fields, and those of its traits, where they apply', () => {
  expect(send?.responses[201]).toMatchObject({
    headers: { Location: { required: true }, 'Idempotency-Replayed': { required: false } },
    content: { 'application/json': { examples: { home: { value: { to: 'home' } } } } },
  })
})

test('a problem is answered once, with all of its codes and its own examples', () => {
  expect(send?.responses[410]).toMatchObject({
    'x-problems': ['lost'],
    headers: { 'Retry-After': { required: true }, 'Idempotency-Replayed': { required: false } },
    content: {
      'application/problem+json': {
        schema: { allOf: [{}, { properties: { code: { enum: ['LOST', 'STOLEN', 'BURNT'] } } }] },
        examples: { gone: { value: { status: 410, code: 'STOLEN', instance: '/parcels/8/send' } } },
      },
    },
  })
})

test('what only common problems answer is shared', () => {
  expect(send?.responses[413]).toEqual({ $ref: '#/components/responses/BodyTooLarge' })
  expect(Object.keys(document.components.responses)).toContain('HostNotAllowedOrOriginNotAllowed')
  expect(list?.responses).not.toHaveProperty('413')
})

test('an event of a stream has its data as text', () => {
  expect(list?.responses[200]).toMatchObject({
    content: {
      'text/event-stream': {
        schema: { properties: { data: { type: 'string', contentSchema: { type: 'integer' } } } },
        examples: { two: { value: { event: 'n', id: '1', data: '5' } } },
      },
    },
  })
})

test('the page of errors names for each problem what answers it', () => {
  const page = describeErrors({ post: routes })
  expect(page).toContain('| [lost](#lost) | 410 | `LOST`, `STOLEN`, `BURNT` | same |')
  expect(page).toMatch(/## lost\n\nLost: 410[^#]+It fell off\.[^#]+Send another\.[^#]+- post: every write/)
  expect(page).toMatch(/## malformed[^#]+- post: every route/)
  expect(page).toMatch(/## method-not-allowed[^#]+Answered outside of any route\./)
})
