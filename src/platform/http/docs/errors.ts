/** Every problem of all services on one page, as Markdown: `docs/errors.md`. */
import { codesOf, commonProblems, mergeProblems, type ProblemKind, retries } from '../problem'
import type { Route } from '../route'
import { code, table } from './markdown'
import { pathOf } from './openapi'

export function describeErrors(tables: Readonly<Record<string, readonly Route[]>>): string {
  const services = Object.entries(tables)
  const answered = services.flatMap(([, routes]) => routes.flatMap(({ problems }) => problems))
  const kinds = mergeProblems([...Object.values(commonProblems), ...answered])
  kinds.sort((a, b) => a.status - b.status || (a.name < b.name ? -1 : 1))
  const overview = kinds.map((kind) => [
    `[${kind.name}](#${kind.name})`,
    String(kind.status),
    codesOf(kind).map(code).join(', '),
    kind.retry,
  ])
  return `${[
    introduction,
    table(['Type', 'Status', 'Codes', 'Retry'], overview),
    ...kinds.map((kind) => section(kind, services)),
  ].join('\n\n')}\n`
}

const introduction = `# Errors

Every refusal is [Problem Details](https://www.rfc-editor.org/rfc/rfc9457) as \`application/problem+json\`.
Its \`type\` is \`/problems/\` and a name below; \`code\` is the exact reason. Switch on these two, and on the
status for those you do not know. \`detail\` is for people, \`errors\` names the values at fault by JSON
Pointer, and the logs have the cause under \`trace_id\`.

A path without a route answers 404 \`not-found\`, a method that a path does not have 405
\`method-not-allowed\`; its header \`Allow\` lists the methods.

${table(
  ['Retry', 'Meaning'],
  Object.entries(retries).map(([name, text]) => [name, `${text}.`]),
)}

\`Retry-After\` comes with every problem that is worth the same request again. With an \`Idempotency-Key\`
a repeated request never takes effect twice, whether its first answer was lost or not.`

function section(kind: ProblemKind, services: [string, readonly Route[]][]): string {
  const { name, status, title, cause, remedy, retry } = kind
  const answered = services.flatMap(([service, routes]) => {
    const those = routes.filter(({ problems }) => problems.some((one) => one.name === name))
    if (those.length === 0) return []
    return [`- ${service}: ${listOf(those, routes)}`]
  })
  return `## ${name}

${title}: ${status}, code ${codesOf(kind).map(code).join(' or ')}.

**Cause.** ${cause}

**Remedy.** ${remedy}

**Retry.** ${retries[retry]}.

${answered.length > 0 ? `Answered by\n\n${answered.join('\n')}` : 'Answered outside of any route.'}`
}

/** In words where there are many. */
function listOf(those: readonly Route[], all: readonly Route[]): string {
  if (those.length === all.length) return 'every route'
  const writes = all.filter(({ method }) => method !== 'GET')
  if (those.length === writes.length && those.every((one) => writes.includes(one))) return 'every write'
  if (those.length < 12) return those.map(nameOf).join(', ')
  const others = all.filter((one) => !those.includes(one))
  return `every route but ${others.map(nameOf).join(', ')}`
}

const nameOf = (route: Route): string => code(`${route.method} ${pathOf(route)}`)
