/**
 * The examples of the OpenAPI documents are sent to running services, in the order of the tables: each
 * answers as documented.
 */
import { expect, test } from 'bun:test'
import { reconciliationExamples } from '../balances/http/examples/reconciliations'
import { addReconciliation } from '../balances/reconciliations/reconciliations-store'
import type { ServiceName } from '../config/config'
import { isUuid } from '../contract/id'
import { parseInstant } from '../contract/time'
import type { Example, Route } from '../platform/http/route'
import { connectKafka } from '../platform/kafka/client'
import { openDatabase } from '../platform/postgres/database'
import { createLog } from '../platform/telemetry/log'
import { routesOf } from './documented'
import { eventually } from './eventually'
import { type Answer, type Caller, type Stack, startStack } from './stack'

/** Documented ids, and those that stand for them here. */
type Ids = Map<string, string>

const withIds = <T>(value: T, ids: Ids): T =>
  value === undefined
    ? value
    : JSON.parse(
        JSON.stringify(value).replace(
          /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g,
          (id) => ids.get(id) ?? id,
        ),
      )

/** When the documented requests were sent. What they name of the future is as far from now. */
const documentedAt = Date.parse('2024-11-23T14:00:00Z')

const withFuture = <T>(value: T): T =>
  JSON.parse(
    JSON.stringify(value).replace(/(?<="expires_at":")[^"]+/g, (time) =>
      new Date(Date.now() + Date.parse(time) - documentedAt).toISOString(),
    ),
  )

function send(caller: Caller, route: Route, { query, headers, params, body }: Example): Promise<Answer> {
  const path = route.path.replace(/:(\w+)/g, (_, name) => (params as Record<string, string>)[name] ?? '')
  const target = query ? `${path}?${new URLSearchParams(query)}` : path
  if (route.method === 'GET') return caller.get(target, headers)
  if (route.method === 'DELETE') return caller.delete(target, headers)
  return caller[route.method === 'POST' ? 'post' : 'patch'](target, body, headers)
}

/** Differs from run to run, or with what examples before it did. */
const volatile =
  /^(version.*|topic|partition|offset|.*_offset|output|next_cursor|waiting_seconds|attempts|detail|.*_at)$/

/** Throws where an answer differs from the documented one. Learns the ids of what was created. */
function expectSame(actual: unknown, documented: unknown, { at, ids }: { at: string; ids: Ids }): void {
  const name = at.split('.').at(-1) ?? ''
  if (typeof documented === 'object' && documented !== null && actual !== null) {
    expect([at, Object.keys(actual as object)]).toEqual([at, Object.keys(documented)])
    for (const [key, value] of Object.entries(documented))
      expectSame((actual as Record<string, unknown>)[key], value, { at: `${at}.${key}`, ids })
    return
  }
  if (typeof documented === 'string' && isUuid(documented)) {
    expect([at, isUuid(String(actual))]).toEqual([at, true])
    const known = ids.get(documented)
    if (known === undefined) ids.set(documented, String(actual))
    else expect([at, actual]).toEqual([at, known])
    return
  }
  if (volatile.test(name) || (typeof documented === 'string' && parseInstant(documented))) {
    if (actual !== null && documented !== null) expect([at, typeof actual]).toEqual([at, typeof documented])
    return
  }
  expect([at, actual]).toEqual([at, documented])
}

/** What is sent again under its key, and answered alike. */
const hasEffect = ({ method }: Route, { status, body }: Example): boolean =>
  method !== 'GET' && status < 400 && !(body as { dry_run?: boolean } | undefined)?.dry_run

test('every route that may write has an example of its effect, which is sent again under its key', () => {
  const writing = Object.values(routesOf).flatMap((routes) => routes.filter(({ method }) => method !== 'GET'))
  expect(new Set(writing.map(({ method }) => method))).toEqual(new Set(['POST', 'PATCH', 'DELETE']))
  for (const route of writing)
    expect([route.id, Object.values(route.examples).some((one) => hasEffect(route, one))]).toEqual([
      route.id,
      true,
    ])
})

async function expectExamples(stack: Stack, service: ServiceName): Promise<void> {
  const ids: Ids = new Map()
  for (const route of routesOf[service])
    for (const [name, example] of Object.entries(route.examples)) {
      const attempt = () => expectExample(stack[service], { route, example, at: `${route.id}.${name}`, ids })
      // What is read may take a moment to be so, such as the delivery of an event.
      await (route.method === 'GET' ? eventually(attempt) : attempt())
    }
}

async function expectExample(
  caller: Caller,
  { route, example, at, ids }: { route: Route; example: Example; at: string; ids: Ids },
): Promise<void> {
  const { response } = example
  const headers = { 'idempotency-key': at, ...Object.fromEntries(new Headers(example.headers)) }
  const request = withFuture(withIds({ ...example, headers }, ids))
  const answer = await send(caller, route, request)
  const { status, body } = answer
  expect([at, status, status === example.status ? '' : body]).toEqual([at, example.status, ''])
  if (hasEffect(route, example)) {
    const again = await send(caller, route, request)
    const isReplayed = again.headers.get('idempotency-replayed')
    expect([at, again.status, isReplayed, again.body]).toEqual([at, status, 'true', body])
  }
  if (response === undefined || 'text' in body) return
  if (status in route.answers) expectSame(body, response, { at, ids })
  // A refusal documents only what differs from the others.
  else expect([at, body]).toEqual([at, expect.objectContaining(withIds(response, ids) as object)])
}

test('the examples of the wallet', async () => {
  await using stack = await startStack({ start: ['wallet'] })
  await expectExamples(stack, 'wallet')
})

test('the examples of balances', async () => {
  // Names of owners come from the wallet.
  await using stack = await startStack()
  await sendUnreadable(stack)
  await keepReport(stack)
  await expectExamples(stack, 'balances')
})

/** For the examples of reconciliations: the report of the documents. */
async function keepReport({ databases }: Stack): Promise<void> {
  const { report, ...listed } = reconciliationExamples.getReconciliation.unsigned.response
  const { result, watermark, differences_total: differencesTotal } = listed
  const { serviceUrl: url } = databases.balances
  const database = openDatabase({ url, poolMax: 1, prepare: true, applicationName: 'test' })
  const text = JSON.stringify(report)
  await addReconciliation(database.sql, {
    watermark,
    result,
    differencesTotal,
    report: text,
    keyId: null,
    jws: null,
  })
  await database.close()
}

/** For the examples of dead letters. */
async function sendUnreadable({ config, balances }: Stack): Promise<void> {
  const kafka = connectKafka(
    config.balances.kafka,
    createLog({ service: 'test', level: 'fatal', format: 'json' }),
  )
  const publisher = kafka.publisher()
  await publisher.send([
    { topic: `${config.balances.kafka.topicPrefix}balances`, key: null, value: 'hello', headers: {} },
  ])
  await publisher.close()
  await kafka.close()
  await eventually(async () => expect((await balances.get('/dead-letters/1')).body.sent_at).toBeString())
}
