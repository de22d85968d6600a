import { expect, test } from 'bun:test'
import type { OpenApi } from '../platform/http/docs/openapi'
import { apiBreaks } from './api-breaks'
import { brokenReleases, documentOf } from './api-docs'

test('no released document is broken', async () => {
  expect(await brokenReleases()).toEqual([])
})

const document = {
  openapi: '3.1.2',
  info: {},
  paths: {
    '/parcels/{id}': {
      post: {
        operationId: 'sendParcel',
        'x-idempotency': 'key',
        parameters: [
          { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
          {
            name: 'limit',
            in: 'query',
            required: false,
            schema: { type: 'integer', minimum: 1, maximum: 200 },
          },
          { name: 'Prefer', in: 'header', required: false, schema: { type: 'string' } },
        ],
        requestBody: {
          required: true,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/NewParcel' } } },
        },
        responses: {
          201: {
            headers: { Location: { required: true }, Link: { required: false } },
            content: { 'application/json': { schema: { $ref: '#/components/schemas/Parcel' } } },
          },
          409: { $ref: '#/components/responses/Sent' },
        },
      },
    },
  },
  components: {
    responses: { Sent: { 'x-problems': ['already-sent', 'lost'], content: {} } },
    schemas: {
      NewParcel: {
        type: 'object',
        additionalProperties: false,
        required: ['weight'],
        properties: {
          weight: { type: 'number', minimum: 0 },
          kind: { type: 'string', enum: ['letter', 'box'] },
          note: { type: 'string', maxLength: 80 },
        },
      },
      Parcel: {
        type: 'object',
        required: ['id', 'items'],
        properties: {
          id: { type: 'string', format: 'uuid' },
          note: { type: ['string', 'null'] },
          items: { type: 'array', items: { $ref: '#/components/schemas/Item' } },
          sender: { anyOf: [{ $ref: '#/components/schemas/Item' }, { type: 'null' }] },
        },
      },
      Item: { type: 'object', required: ['size'], properties: { size: { type: 'integer', maximum: 9 } } },
    },
  },
}
type Document = typeof document

/** A copy with one change. */
function changed(change: (copy: Document, parts: ReturnType<typeof partsOf>) => void): OpenApi {
  const copy = structuredClone(document)
  change(copy, partsOf(copy))
  return copy as never
}
const partsOf = ({ paths, components }: Document) => {
  const { post } = paths['/parcels/{id}']
  const { NewParcel, Parcel, Item } = components.schemas
  return { post, request: NewParcel, response: Parcel, item: Item, sent: components.responses.Sent }
}
const released = changed(() => {})

/** A form of the response without its header, for requests that ask for it. */
function addPreviews({ components, paths }: Document): void {
  const preview = { type: 'object', properties: { dry_run: { const: true } } }
  Object.assign(components.schemas, { ParcelPreview: preview })
  const { headers, content } = paths['/parcels/{id}'].post.responses[201]
  Object.assign(headers.Location, { required: false, 'x-unless': 'dry_run' })
  const { schema } = content['application/json']
  const anyOf = [schema, { $ref: '#/components/schemas/ParcelPreview' }]
  Object.assign(content['application/json'], { schema: { anyOf } })
}

test.each<[string, Parameters<typeof changed>[0]]>([
  ['nothing', () => {}],
  ['a route', (copy) => Object.assign(copy.paths, { '/new': { get: { responses: {} } } })],
  [
    'an optional parameter',
    (_, { post }) => post.parameters.push({ ...post.parameters[1], name: 'color' } as never),
  ],
  ['an optional member of a request', (_, { request }) => Object.assign(request.properties, { color: {} })],
  ['a member of a response', (_, { response }) => Object.assign(response.properties, { color: {} })],
  ['a value of a request', (_, { request }) => request.properties.kind.enum.push('barrel')],
  [
    'a looser bound of a request',
    (_, { request }) => Object.assign(request.properties.note, { maxLength: 90 }),
  ],
  [
    'a wider type of a request',
    (_, { request }) => Object.assign(request.properties.kind, { type: ['string', 'null'] }),
  ],
  ['a tighter bound of a response', (_, { item }) => Object.assign(item.properties.size, { maximum: 8 })],
  [
    'a narrower type of a response',
    (_, { response }) => Object.assign(response.properties.note, { type: 'string' }),
  ],
  ['a member that is always sent', (_, { response }) => response.required.push('note')],
  ['a status', (_, { post }) => Object.assign(post.responses, { 422: { content: {} } })],
  ['a problem', (_, { sent }) => sent['x-problems'].push('too-heavy')],
  ['a header', (_, { post }) => Object.assign(post.responses[201].headers, { ETag: { required: true } })],
  ['a member that need not be sent', (_, { request }) => request.required.pop()],
  ['previews', addPreviews],
])('a released document may gain %s', (_, change) => {
  expect(apiBreaks(released, changed(change))).toEqual([])
})

const at = 'POST /parcels/{id}'
test.each<[string, Parameters<typeof changed>[0]]>([
  [`${at}: the route is gone`, (copy) => Object.assign(copy.paths['/parcels/{id}'], { post: undefined })],
  [
    `${at}: the operation was sendParcel and is send`,
    (_, { post }) => Object.assign(post, { operationId: 'send' }),
  ],
  [`${at}: query limit is gone`, (_, { post }) => post.parameters.splice(1, 1)],
  [`${at}: header Prefer is gone`, (_, { post }) => post.parameters.pop()],
  [
    `${at}: query limit is required now`,
    (_, { post }) => Object.assign(post.parameters[1] as object, { required: true }),
  ],
  [
    `${at}: query color is new and required`,
    (_, { post }) => post.parameters.push({ ...post.parameters[1], name: 'color', required: true } as never),
  ],
  [
    `${at}: query limit: maximum was 200 and is 100`,
    (_, { post }) => Object.assign(post.parameters[1]?.schema as object, { maximum: 100 }),
  ],
  [`${at}: body.kind is gone`, (_, { request }) => Reflect.deleteProperty(request.properties, 'kind')],
  [`${at}: body.kind is required now`, (_, { request }) => request.required.push('kind')],
  [`${at}: body.color is required now`, (_, { request }) => request.required.push('color')],
  [`${at}: body.kind: value "box" is gone`, (_, { request }) => request.properties.kind.enum.pop()],
  [
    `${at}: body: minProperties was undefined and is 2`,
    (_, { request }) => Object.assign(request, { minProperties: 2 }),
  ],
  [
    `${at}: body.note: enum was undefined and is ["a"]`,
    (_, { request }) => Object.assign(request.properties.note, { enum: ['a'] }),
  ],
  [
    `${at}: body.note: maxLength was 80 and is 40`,
    (_, { request }) => Object.assign(request.properties.note, { maxLength: 40 }),
  ],
  [
    `${at}: body.note: pattern was undefined and is "^a"`,
    (_, { request }) => Object.assign(request.properties.note, { pattern: '^a' }),
  ],
  [
    `${at}: body.weight: type was number and is integer`,
    (_, { request }) => Object.assign(request.properties.weight, { type: 'integer' }),
  ],
  [`${at}: 201.note is gone`, (_, { response }) => Reflect.deleteProperty(response.properties, 'note')],
  [`${at}: 201.id is not always sent`, (_, { response }) => response.required.shift()],
  [
    `${at}: 201.id: type was string and is string or null`,
    (_, { response }) => Object.assign(response.properties.id, { type: ['string', 'null'] }),
  ],
  [
    `${at}: 201.id: format was "uuid" and is undefined`,
    (_, { response }) => Object.assign(response.properties.id, { format: undefined }),
  ],
  [
    `${at}: 201.items[].size: maximum was 9 and is 10`,
    (_, { item }) => Object.assign(item.properties.size, { maximum: 10 }),
  ],
  [
    `${at}: 201.items[].size: type was integer and is number`,
    (_, { item }) => Object.assign(item.properties.size, { type: 'number' }),
  ],
  [
    `${at}: 201.sender may be string now`,
    (_, { response }) => response.properties.sender.anyOf.push({ type: 'string' }),
  ],
  [`${at}: 201.sender: Item is gone`, (_, { response }) => response.properties.sender.anyOf.shift()],
  [
    `${at}: 201: header Location is gone`,
    (_, { post }) => Reflect.deleteProperty(post.responses[201].headers, 'Location'),
  ],
  [
    `${at}: 201: header Location is not always sent`,
    (_, { post }) => Object.assign(post.responses[201].headers.Location, { required: false }),
  ],
  [
    `${at}: 201: application/json is gone`,
    (_, { post }) => Object.assign(post.responses[201], { content: { 'text/plain': {} } }),
  ],
  [`${at}: status 409 is gone`, (_, { post }) => Reflect.deleteProperty(post.responses, '409')],
  [`${at}: 409: problem lost is gone`, (_, { sent }) => sent['x-problems'].pop()],
])('detects %s', (complaint, change) => {
  expect(apiBreaks(released, changed(change))).toContain(complaint)
})

test('a real document without a field is caught, with route and field', async () => {
  const broken = await brokenReleases((service) => {
    const copy = structuredClone(documentOf(service))
    const { Transaction } = copy.components.schemas as Record<string, { properties: Record<string, unknown> }>
    if (Transaction) delete Transaction.properties.reference
    return copy
  })
  expect(broken).toContain('0.1.0/wallet.json: POST /transactions: 201.reference is gone')
})

test('once there are previews, they keep their form', () => {
  const withPreviews = changed(addPreviews)
  expect(apiBreaks(withPreviews, released)).toEqual([`${at}: 201: ParcelPreview is gone`])
  const other = changed((copy) => {
    addPreviews(copy)
    const { headers, content } = copy.paths['/parcels/{id}'].post.responses[201]
    Object.assign(headers.Location, { 'x-unless': undefined })
    Object.assign(copy.components.schemas, {
      Rehearsal: { type: 'object', properties: { dry_run: { const: true } } },
    })
    const { anyOf } = content['application/json'].schema as never as { anyOf: object[] }
    anyOf.push({ $ref: '#/components/schemas/Rehearsal' })
  })
  expect(apiBreaks(withPreviews, other)).toEqual([
    `${at}: 201: header Location is not always sent`,
    `${at}: 201 may be Rehearsal now`,
  ])
})
