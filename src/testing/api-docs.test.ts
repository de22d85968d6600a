/** The OpenAPI documents match the tables of routes, and are complete. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { type Schema, Validator } from '@cfworker/json-schema'
import { apis } from '../contract/docs/api'
import { describeApi } from '../platform/http/docs/markdown'
import { type OpenApi, pathOf, shownAnswer } from '../platform/http/docs/openapi'
import { markdownPage } from '../platform/http/page'
import { mergeProblems } from '../platform/http/problem'
import type { Route } from '../platform/http/route'
import { documentOf, services, writeApiDocs } from './api-docs'
import { routesOf } from './documented'

test.each([...writeApiDocs()])('%s is up to date (npm run docs)', async (path, text) => {
  expect(await Bun.file(join(import.meta.dir, '../..', path)).text()).toBe(text)
})

const all = services.flatMap((service) => routesOf[service].map((route) => [service, route] as const))

test('ids of operations are unique in each service, and stable names of methods', () => {
  for (const service of services) {
    const ids = routesOf[service].map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.filter((id) => !/^[a-z][a-zA-Z]+$/.test(id))).toEqual([])
  }
  // A client of both has each method once; what both services have means the same.
  const own = all.filter(([, { tag }]) => tag.name !== 'Service').map(([, { id }]) => id)
  expect(new Set(own).size).toBe(own.length)
})

test.each(services)('%s: every operation has an example of a success and of its headers', (service) => {
  for (const { method, path, answers, examples } of routesOf[service]) {
    const statuses = Object.values(examples).map(({ status }) => String(status))
    expect([method, path, Object.keys(answers).some((status) => statuses.includes(status))]).toEqual([
      method,
      path,
      true,
    ])
  }
})

test.each(services)('%s: every parameter, header and member says what it means', (service) => {
  const silent: string[] = []
  const look = (value: unknown, at: string) => {
    if (typeof value !== 'object' || value === null) return
    const { properties, parameters, headers } = value as Record<string, Record<string, Described>>
    // Of a problem, what narrows the members that are described with it.
    if (!at.endsWith('/allOf/1'))
      for (const [name, schema] of Object.entries(properties ?? {}))
        if (!schema.description && !schema.$ref && !hasRef(schema)) silent.push(`${at}.${name}`)
    for (const one of Object.values(parameters ?? {})) if (!one.description) silent.push(`${at} ${one.name}`)
    const fields = at.endsWith('/properties') ? {} : headers
    for (const [name, one] of Object.entries(fields ?? {}))
      if (typeof one === 'object' && !one.description && !one.$ref) silent.push(`${at} ${name}`)
    for (const [name, inner] of Object.entries(value)) if (name !== 'examples') look(inner, `${at}/${name}`)
  }
  look(documentOf(service), '')
  expect(silent).toEqual([])
})
type Described = { description?: string; name?: string; $ref?: string; anyOf?: object[] }
const hasRef = ({ anyOf = [] }: Described): boolean => anyOf.some((one) => '$ref' in one)

test.each(services)('%s: no keyword of ours and no literal union is in the document', (service) => {
  const text = JSON.stringify(documentOf(service))
  expect(text).not.toContain('"expected"')
  expect(text).not.toContain('RegExp')
  expect(text).not.toMatch(/"anyOf":\[\{"const":"[^"]*","type":"string"\},\{"const"/)
})

test.each(services)(
  '%s: problems of a route are answered once, under the status of their kind',
  (service) => {
    for (const route of routesOf[service]) {
      const names = route.problems.map(({ name }) => name)
      expect(new Set(names).size).toBe(names.length)
      expect(mergeProblems(route.problems)).toEqual([...route.problems])
      expect(names.filter((name) => name === 'method-not-allowed')).toEqual([])
    }
  },
)

/** What the media type of an answer may hold, by the document. */
const schemaOf = (document: OpenApi, route: Route, status: number): Schema | undefined => {
  const response = document.paths[pathOf(route)]?.[route.method.toLowerCase()]?.responses[status]
  const [content] = Object.values((response?.content ?? {}) as Record<string, { schema: Schema }>)
  return content && { ...content.schema, components: document.components }
}

test.each(services)('%s: examples match the schemas of the document', (service) => {
  const document = documentOf(service)
  const faults: string[] = []
  for (const route of routesOf[service])
    for (const [name, { status, response }] of Object.entries(route.examples)) {
      const schema = schemaOf(document, route, status)
      const answer = route.answers[status]
      if (response === undefined || !schema || !answer) continue
      const { errors } = new Validator(schema, '2020-12', false).validate(shownAnswer(answer, response))
      faults.push(...errors.map(({ instanceLocation, error }) => `${name} ${instanceLocation}: ${error}`))
    }
  expect(faults).toEqual([])
})

test.each(services)('%s: the page leads everywhere it says, without a script or a request', (service) => {
  const { text: html } = markdownPage(describeApi(routesOf[service], apis[service]))
  const targets = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
  expect(new Set(targets).size).toBe(targets.length)
  const links = [...html.matchAll(/ href="#([^"]+)"/g)].map(([, id]) => id)
  expect(links.filter((link) => !targets.includes(link))).toEqual([])
  expect(links.length).toBeGreaterThan(100)
  expect(html).not.toMatch(/<script|<link|<img|@import|url\(|src=/)
})
