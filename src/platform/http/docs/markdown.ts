/** The routes of a service as Markdown, for people: the page at `/openapi`. */
import type { HeaderField } from '../headers'
import { codesOf, mergeProblems, type ProblemKind, retries } from '../problem'
import type { Example, Route } from '../route'
import type { JsonSchema } from './json-schema'
import {
  type ApiInfo,
  accessOf,
  idempotencyOf,
  type OpenApi,
  type Operation,
  openApi,
  pathOf,
} from './openapi'

export function describeApi(routes: readonly Route[], info: ApiInfo): string {
  const document = openApi(routes, info)
  const byTag = Map.groupBy(routes, ({ tag }) => tag)
  const sections = [
    `# ${info.title}`,
    info.description.trim(),
    'For tools: [`/openapi.json`](/openapi.json).',
    ...[...byTag].map(([tag, ofTag]) => `**${tag.name}.** ${tag.description}\n\n${overview(ofTag)}`),
    ...[...byTag].map(([{ name }, ofTag]) =>
      [`## ${name}`, ...ofTag.map((route) => describeRoute(route, document, info.url))].join('\n\n'),
    ),
    '## Problems',
    describeProblems(mergeProblems(routes.flatMap(({ problems }) => problems))),
    '## Schemas',
    ...Object.entries(document.components.schemas).map(([name, schema]) => describeSchema(name, schema)),
  ]
  return `${sections.join('\n\n')}\n`
}

const headingOf = (route: Route): string => `${route.method} ${pathOf(route)}`

/** As the page names headings. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, '')
    .trim()
    .replaceAll(' ', '-')

const linkTo = (heading: string): string => `[${heading}](#${anchorOf(heading)})`

const overview = (routes: readonly Route[]): string =>
  table(
    ['Route', 'What it does'],
    routes.map((route) => [linkTo(headingOf(route)), route.summary]),
  )

function describeRoute(route: Route, document: OpenApi, url: string): string {
  const operation = document.paths[pathOf(route)]?.[route.method.toLowerCase()] as Operation
  const { summary, description } = route
  return [
    `### ${headingOf(route)}`,
    [summary, description, idempotencyOf(route).text, accessOf(route)]
      .filter((text) => text !== undefined)
      .join(' '),
    describeParameters(operation),
    describeBody(operation),
    describeAnswers(route, operation),
    ...Object.values(route.examples)
      .slice(0, 1)
      .map((example) => showExample(route, example, url)),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

function describeParameters({ parameters = [] }: Operation): string {
  if (parameters.length === 0) return ''
  const rows = parameters.map((one) => [
    code(String(one.name)),
    String(one.in),
    typeOf(one.schema as JsonSchema),
    String(one.description ?? ''),
  ])
  return table(['Parameter', 'In', 'Type', 'Meaning'], rows)
}

function describeBody({ requestBody }: Operation): string {
  if (!requestBody) return ''
  const schema = schemaIn(requestBody)
  return schema ? `Body: ${typeOf(schema)}` : ''
}

/** Of the one media type. */
function schemaIn({ content }: JsonSchema): JsonSchema | undefined {
  const [only] = Object.values((content ?? {}) as Record<string, { schema?: JsonSchema }>)
  return only?.schema
}

function describeAnswers(route: Route, { responses }: Operation): string {
  const answers = Object.entries(route.answers).map(([status, { content, headers, description }]) => {
    const schema = schemaIn(responses[status] ?? {})
    const body = content ? (schema && '$ref' in schema ? typeOf(schema) : code(content.mediaType)) : ''
    return [status, body || (description ?? ''), namesOf([...headers, ...route.responseHeaders])]
  })
  const refusals = [...Map.groupBy(route.problems, ({ status }) => status)]
    .sort(([one], [other]) => one - other)
    .map(([status, kinds]) => [
      String(status),
      kinds.map(({ name }) => linkTo(name)).join(', '),
      namesOf(kinds.flatMap(({ headers = [] }) => headers)),
    ])
  return table(['Status', 'Answer', 'Headers'], [...answers, ...refusals])
}

const namesOf = (headers: readonly HeaderField[]): string =>
  [...new Set(headers.map(({ name }) => code(name)))].join(', ')

function showExample(
  route: Route,
  { params, query, headers = {}, body, response, status }: Example,
  url: string,
): string {
  const values = (params ?? {}) as Record<string, string>
  const path = route.path.replace(/:(\w+)/g, (_, name) => values[name] ?? '')
  const search = query ? `?${new URLSearchParams(query)}` : ''
  const fields = { ...(body !== undefined && { 'Content-Type': 'application/json' }), ...headers }
  const curl = [
    `curl ${route.method === 'GET' ? '' : `-X ${route.method} `}'${url}${path}${search}'`,
    ...Object.entries(fields).map(([name, value]) => `-H '${name}: ${value}'`),
    ...(body === undefined ? [] : [`-d '${JSON.stringify(body)}'`]),
  ].join(' \\\n  ')
  const shown = response === undefined ? '' : `\n\n${fenced('json', JSON.stringify(response, null, 2))}`
  return `${fenced('sh', curl)}\n\nAnswers ${status}.${shown}`
}

const fenced = (language: string, text: string): string => `\`\`\`${language}\n${text}\n\`\`\``

/** Each explained once. */
const describeProblems = (problems: readonly ProblemKind[]): string =>
  problems.map((kind) => `### ${kind.name}\n\n${explainProblem(kind)}`).join('\n\n')

export const explainProblem = (kind: ProblemKind): string =>
  `${kind.status}, ${codesOf(kind).map(code).join(', ')}. ${kind.cause} ${kind.remedy} ` +
  `*Retry: ${retries[kind.retry]}.*`

/** A group of routes may have the same name. */
const headingOfSchema = (name: string): string => `${name} schema`

function describeSchema(name: string, schema: JsonSchema): string {
  const { description = '', properties, required = [] } = schema
  const heading = `### ${headingOfSchema(name)}\n\n${description}`
  if (!properties) return `${heading}\n\nType: ${typeOf(schema)}`
  const rows = Object.entries(properties as Record<string, JsonSchema>).map(([member, one]) => [
    code(member),
    typeOf(one),
    (required as string[]).includes(member) ? 'yes' : '',
    String(one.description ?? ''),
  ])
  return `${heading}\n\n${table(['Member', 'Type', 'Required', 'Meaning'], rows)}`
}

/** The type of a value in words. */
function typeOf(schema: JsonSchema): string {
  const { $ref, anyOf, allOf, items, type, format } = schema
  if (typeof $ref === 'string') {
    const name = $ref.slice($ref.lastIndexOf('/') + 1)
    return `[${name}](#${anchorOf(headingOfSchema(name))})`
  }
  if (Array.isArray(anyOf)) return anyOf.map(typeOf).join(' or ')
  if (Array.isArray(allOf)) return allOf.map(typeOf).join(' and ')
  if ('const' in schema) return code(JSON.stringify(schema.const))
  if (Array.isArray(schema.enum)) return schema.enum.map((one) => code(String(one))).join(' or ')
  if (items) return `list of ${typeOf(items as JsonSchema)}`
  const types = (Array.isArray(type) ? type : [type ?? 'any']).join(' or ')
  return format ? `${types} (${format})` : types
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
  return [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map(cell).join(' | ')} |`)
    .join('\n')
}

export const code = (text: string): string => `\`${text}\``
