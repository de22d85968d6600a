/** Both services agree: the same name means the same, and the same fault is refused alike. */
import { expect, test } from 'bun:test'
import type { ServiceName } from '../config/config'
import type { Example, Route } from '../platform/http/route'
import { documentOf, services } from './api-docs'
import { routesOf } from './documented'
import { startStack } from './stack'
import { eva } from './wallets'

type Schema = { [keyword: string]: unknown }

/**
 * What a value is, apart from where it may be missing. Events may bring balances ids that are no UUIDs,
 * and currencies that it does not know, so its documents promise less of both.
 */
function shapeOf(schema: Schema): unknown {
  const { description, examples, example, default: _, ...rest } = schema
  if (Array.isArray(rest.anyOf)) {
    const variants = (rest.anyOf as Schema[]).filter(({ type }) => type !== 'null').map(shapeOf)
    return variants.length === 1 ? variants[0] : { anyOf: variants }
  }
  const type = Array.isArray(rest.type) ? rest.type.find((one) => one !== 'null') : rest.type
  const isCurrency = rest.pattern === '^[A-Z]{3}$'
  const { format, pattern, enum: values, ...others } = rest
  return {
    ...others,
    ...(type !== undefined && { type }),
    ...(format !== 'uuid' && format !== undefined && { format }),
    ...(!isCurrency && pattern !== undefined && { pattern }),
    ...(Array.isArray(values) && { enum: values.filter((value) => value !== null) }),
  }
}

type Shapes = Map<string, Set<string>>
const add = (shapes: Shapes, name: string, schema: Schema) =>
  shapes.set(name, (shapes.get(name) ?? new Set()).add(JSON.stringify(shapeOf(schema))))

function parametersOf(service: ServiceName): Shapes {
  const shapes: Shapes = new Map()
  for (const methods of Object.values(documentOf(service).paths))
    for (const { parameters = [] } of Object.values(methods) as { parameters?: Schema[] }[])
      for (const one of parameters) add(shapes, `${one.in} ${one.name}`, one.schema as Schema)
  return shapes
}

/** Of responses. Requests have rules of their own, such as defaults. */
function membersOf(service: ServiceName): Shapes {
  const shapes: Shapes = new Map()
  const { schemas } = documentOf(service).components as { schemas: Record<string, Schema> }
  for (const [title, { properties = {} }] of Object.entries(schemas))
    if (!title.startsWith('New'))
      for (const [name, schema] of Object.entries(properties as Record<string, Schema>))
        add(shapes, name, schema)
  return shapes
}

const sharedOf = (of: (service: ServiceName) => Shapes) => {
  const [wallet, balances] = [of('wallet'), of('balances')]
  return [...wallet].flatMap(([name, ofWallet]) => {
    const ofBalances = balances.get(name)
    return ofBalances ? [{ name, ofWallet, ofBalances }] : []
  })
}

test('a parameter of both services has one form', () => {
  const shared = sharedOf(parametersOf)
  expect(shared.map(({ name }) => name)).toContain('query account_id')
  for (const { name, ofWallet, ofBalances } of shared)
    expect([name, ...ofWallet.union(ofBalances)]).toHaveLength(2)
})

/**
 * The rows of each list; what was asked for, since a rehearsal of redrive is of another kind; and causes: of
 * a dead letter any, of a wait one of three.
 */
const own = ['data', 'dry_run', 'cause']

test('a member of responses of both services has the forms that it has in one of them', () => {
  const shared = sharedOf(membersOf).filter(({ name }) => !own.includes(name))
  expect(shared.map(({ name }) => name)).toContain('available')
  const different = shared.filter(
    ({ ofWallet, ofBalances }) => !ofWallet.isSubsetOf(ofBalances) && !ofBalances.isSubsetOf(ofWallet),
  )
  expect(different).toEqual([])
})

test('both services have the same meaning, status and codes for a problem', () => {
  const kinds = services.flatMap((service) => routesOf[service].flatMap(({ problems }) => problems))
  for (const [name, same] of Map.groupBy(kinds, (kind) => kind.name))
    expect([
      name,
      new Set(same.map(({ status, title, cause }) => `${status} ${title} ${cause}`)).size,
    ]).toEqual([name, 1])
})

/** By parameter: a value that none accepts. */
const invalid: Record<string, string[]> = {
  limit: ['0', '201', '-1', '1.5', 'ten', ''],
  since: ['yesterday', '2024-02-30T00:00:00Z', ''],
  until: ['2024-01-01', '2024-01-01T24:00:00Z'],
  effective_since: ['yesterday'],
  effective_until: ['yesterday'],
  at: ['yesterday'],
  currency: ['ZZZ', 'brl', ''],
  kind: ['theft'],
  status: ['ended'],
  time: ['booked'],
}

const pathOf = ({ path }: Route, query: Record<string, string>): string =>
  `${path.replace(/:\w+/g, eva)}?${new URLSearchParams(query)}`

const isList = ({ method, query }: Route): boolean => method === 'GET' && 'limit' in (query?.properties ?? {})

test.each(services)('every list of %s refuses the same values in the same way', async (service) => {
  await using stack = await startStack()
  const caller = stack[service]
  const lists = routesOf[service].filter(isList)
  expect(lists.length).toBeGreaterThan(3)
  for (const route of lists) {
    const accepted = Object.values(route.examples).find(({ status }: Example) => status === 200)
    const { limit, ...query } = accepted?.query ?? {}
    expect([route.path, (await caller.get(pathOf(route, query))).status]).toEqual([route.path, 200])
    const malformed = await caller.get(pathOf(route, { ...query, cursor: 'nonsense' }))
    expect([route.path, malformed.status, malformed.body.code]).toEqual([route.path, 400, 'MALFORMED'])
    for (const name of Object.keys(route.query?.properties ?? {}))
      for (const value of invalid[name] ?? []) {
        const { status, body } = await caller.get(pathOf(route, { ...query, [name]: value }))
        const pointers = (body.errors as { pointer: string }[] | undefined)?.map(({ pointer }) => pointer)
        expect([route.path, name, value, status, pointers]).toEqual([
          route.path,
          name,
          value,
          422,
          [`#/${name}`],
        ])
      }
  }
})

test('an account that does not exist is refused alike', async () => {
  await using stack = await startStack()
  for (const id of ['00000000-0000-4000-8000-000000000000', 'nothing']) {
    const [wallet, balances] = await Promise.all([
      stack.wallet.get(`/accounts/${id}`),
      stack.balances.get(`/accounts/${id}`),
    ])
    const withoutOccurrence = ({ detail, trace_id, ...rest }: Record<string, unknown>) => rest
    expect(withoutOccurrence(wallet.body)).toEqual(withoutOccurrence(balances.body))
    expect(wallet.body.code).toBe('ACCOUNT_NOT_FOUND')
  }
})
