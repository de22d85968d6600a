/** What a collector gets of one transfer, from the request to the applied row, and what it never gets. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { version } from '../package.json'
import { connectKafka } from './platform/kafka/client'
import type { Log } from './platform/telemetry/log'
import { backing, log } from './testing/backing'
import { eventually } from './testing/eventually'
import { type OtlpReceiver, type ReceivedSpan, receiveOtlp, treeOf } from './testing/otlp-receiver'
import { callerOf, type Stack, serviceConfig, startStack, tracingTo } from './testing/stack'
import { eva, frank } from './testing/wallets'
import { patience, startWallet } from './wallet/service'

let collector: OtlpReceiver
let stack: Stack

beforeAll(async () => {
  collector = receiveOtlp()
  stack = await startStack({ collector: collector.url, partitions: 1 })
  // Nothing of the seed is left to be sent or applied together with what the tests do.
  const { traceId, traceparent } = nextTrace()
  await stack.wallet.post('/transactions', transfer(1), { traceparent })
  await spanOf(traceId, `process ${prefixed('balances')}`)
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  await collector[Symbol.asyncDispose]()
})

/** Digits are enough for an id. */
let last = 10n ** 20n
const nextTrace = (flags = '01') => {
  const traceId = String(++last).padStart(32, 'a')
  return { traceId, traceparent: `00-${traceId}-00f067aa0ba902b7-${flags}` }
}
const transfer = (amount: number) => ({ account_id_from: eva, account_id_to: frank, amount })

/** The only span of a trace with this name, once it is there. */
const spanOf = (traceId: string, name: string, spans = collector.spans): Promise<ReceivedSpan> =>
  eventually(() => {
    const found = spans.filter((span) => span.traceId === traceId && span.name === name)
    expect(found).toHaveLength(1)
    return found[0] as ReceivedSpan
  }, patient)
const patient = { timeoutMs: 30_000 }
const prefixed = (topic: string) => stack.config.wallet.kafka.topicPrefix + topic
const linkTo = ({ traceId, spanId }: ReceivedSpan) => ({ traceId, spanId })

test('a transfer is one trace, from the caller through both services to the row', async () => {
  const { traceId, traceparent } = nextTrace('03')
  const tracestate = 'vendor=opaque'
  const { status } = await stack.wallet.post('/transactions', transfer(1), { traceparent, tracestate })
  expect(status).toBe(201)
  const [transactions, balances] = [prefixed('transactions'), prefixed('balances')]
  const [request, batch, append, send, , process, apply] = await Promise.all([
    spanOf(traceId, 'POST /transactions'),
    spanOf(traceId, 'commit batch'),
    spanOf(traceId, 'INSERT entries'),
    spanOf(traceId, `send ${balances}`),
    spanOf(traceId, `send ${transactions}`),
    spanOf(traceId, `process ${balances}`),
    spanOf(traceId, 'INSERT balances'),
  ])
  const lines = treeOf(collector.spans, traceId).filter((line) => !line.includes('SELECT'))
  expect(lines.toSorted()).toEqual(
    [
      'wallet: POST /transactions',
      '  wallet: commit batch',
      '    wallet: INSERT entries',
      `  wallet: send ${transactions}`,
      `  wallet: send ${balances}`,
      `    balances: process ${balances}`,
      '      balances: INSERT balances',
    ].toSorted(),
  )

  expect(request).toMatchObject({
    kind: 'server',
    parentSpanId: '00f067aa0ba902b7',
    tracestate,
    isError: false,
  })
  expect(request.attributes).toEqual({
    'http.request.method': 'POST',
    'http.route': '/transactions',
    'url.scheme': 'http',
    'http.response.status_code': 201,
  })
  expect(batch).toMatchObject({ kind: 'internal', links: [], tracestate })
  expect(batch.attributes).toEqual({ 'saldo.batch.requests': 1, 'saldo.batch.commands': 1 })
  const statement = { 'db.system.name': 'postgresql', 'db.operation.name': 'INSERT' }
  expect(append).toMatchObject({ kind: 'client', isError: false })
  expect(append.attributes).toEqual({ ...statement, 'db.collection.name': 'entries' })
  expect(send).toMatchObject({ kind: 'producer', links: [] })
  const message = {
    'messaging.system': 'kafka',
    'messaging.destination.name': balances,
    'messaging.destination.partition.id': '0',
    'messaging.kafka.offset': expect.any(Number),
  }
  expect(send.attributes).toEqual({
    ...message,
    'messaging.operation.name': 'send',
    'messaging.operation.type': 'send',
  })
  // The record carries the context of its send, which is parent and link of what becomes of it.
  expect(process).toMatchObject({ kind: 'consumer', links: [linkTo(send)], isError: false })
  expect(process.attributes).toEqual({
    ...message,
    'messaging.kafka.offset': send.attributes['messaging.kafka.offset'],
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.consumer.group.name': prefixed('balances'),
  })
  expect(apply).toMatchObject({ kind: 'client', links: [] })
  expect(apply.attributes).toEqual({ ...statement, 'db.collection.name': 'balances' })
  for (const { startMs, endMs } of [request, batch, append, send, process, apply]) {
    expect(endMs).toBeGreaterThanOrEqual(startMs)
    expect(Math.abs(startMs - Date.now())).toBeLessThan(60_000)
  }
  expect(collector.resources.map((resource) => resource['service.version'])).toContain(version)
})

test('a rejected transfer ends at the decision', async () => {
  const { traceId, traceparent } = nextTrace()
  const { status } = await stack.wallet.post('/transactions', transfer(1e9), { traceparent })
  expect(status).toBe(422)
  const request = await spanOf(traceId, 'POST /transactions')
  expect(request.isError).toBe(false)
  expect(request.attributes).toMatchObject({
    'http.response.status_code': 422,
    'saldo.problem': 'insufficient-funds',
  })
  expect(treeOf(collector.spans, traceId)).toEqual([
    'wallet: POST /transactions',
    '  wallet: commit batch',
    '    wallet: SELECT accounts',
  ])
})

test('requests of one batch have it in common, and a whole trace each', async () => {
  const traces = Array.from({ length: 12 }, () => nextTrace())
  const isOurs = ({ traceId }: { traceId: string }) => traces.some((trace) => trace.traceId === traceId)
  await Promise.all(
    traces.map(({ traceparent }) => stack.wallet.post('/transactions', transfer(1), { traceparent })),
  )
  for (const { traceId } of traces) await spanOf(traceId, `process ${prefixed('balances')}`)
  await eventually(() => {
    const ours = collector.spans.filter(isOurs)
    for (const [name, above] of [
      ['commit batch', 'POST /transactions'],
      ['INSERT balances', `process ${prefixed('balances')}`],
    ]) {
      const shared = ours.filter((span) => span.name === name)
      const members = ours.filter((span) => span.name === above)
      expect(members).toHaveLength(traces.length)
      for (const member of members) {
        const has = shared.filter((one) => one.parentSpanId === member.spanId)
        const linked = shared.filter((one) => one.links.some(({ spanId }) => spanId === member.spanId))
        expect(has.length + linked.length).toBe(1)
        for (const one of linked) expect(member.links).toContainEqual(linkTo(one))
      }
    }
    const batches = ours.filter(({ name }) => name === 'commit batch')
    expect(batches.length).toBeLessThan(traces.length)
  })
})

test('a record that cannot be used is an error, of its own trace', async () => {
  const { traceId, traceparent } = nextTrace()
  const kafka = connectKafka(stack.config.balances.kafka, log)
  const publisher = kafka.publisher()
  const record = { topic: prefixed('balances'), key: null, headers: { traceparent } }
  await publisher.send([{ ...record, value: 'nonsense' }])
  const process = await spanOf(traceId, `process ${prefixed('balances')}`)
  await publisher.close()
  await kafka.close()
  expect(process).toMatchObject({ isError: true, parentSpanId: '00f067aa0ba902b7' })
  expect(process.attributes).toMatchObject({ 'error.type': 'not_json' })
})

test('a large movement has a span of its reaction, and what is not large has none', async () => {
  const [large, small] = [nextTrace(), nextTrace()]
  const deposit = (amount: number, { traceparent }: typeof large) =>
    stack.wallet.post(`/accounts/${eva}/deposits`, { amount }, { traceparent })
  expect((await deposit(9999.99, small)).status).toBe(201)
  expect((await deposit(10_000, large)).status).toBe(201)
  const transactions = prefixed('transactions')
  const [send, process, insert] = await Promise.all([
    spanOf(large.traceId, `send ${transactions}`),
    spanOf(large.traceId, `process ${transactions}`),
    spanOf(large.traceId, 'INSERT large_movements'),
  ])
  expect(process).toMatchObject({
    ...{ service: 'balances', kind: 'consumer', parentSpanId: send.spanId, links: [linkTo(send)] },
    ...{ isError: false },
  })
  expect(process.attributes).toMatchObject({
    'messaging.destination.name': transactions,
    'messaging.consumer.group.name': prefixed('balances-large-movements'),
  })
  expect(insert).toMatchObject({ kind: 'client', parentSpanId: process.spanId })
  expect(insert.attributes).toMatchObject({ 'db.collection.name': 'large_movements' })
  await spanOf(small.traceId, `process ${prefixed('balances')}`)
  const names = collector.spans.filter(({ traceId }) => traceId === small.traceId).map(({ name }) => name)
  expect(names).not.toContain(`process ${transactions}`)
})

test('a rebuild is a trace of its own, with its steps', async () => {
  expect((await stack.balances.post('/rebuild', {})).status).toBe(202)
  await eventually(async () => expect((await stack.balances.get('/rebuild')).body.state).toBe('swapped'))
  const rebuild = await eventually(() => {
    const found = collector.spans.filter(({ name }) => name === 'rebuild')
    expect(found).toHaveLength(1)
    return found[0] as ReceivedSpan
  }, patient)
  expect(rebuild).toMatchObject({ service: 'balances', kind: 'internal', parentSpanId: '', isError: false })
  expect(rebuild.attributes).toEqual({ 'saldo.rebuild.state': 'swapped' })
  const steps = collector.spans.filter(
    ({ traceId, name }) => traceId === rebuild.traceId && name !== 'rebuild',
  )
  const inOrder = steps.toSorted((a, b) => a.startMs - b.startMs || a.endMs - b.endMs)
  const names = ['apply records', 'index tables', 'compare tables', 'swap tables']
  expect(inOrder.map(({ name }) => name)).toEqual(names)
  for (const { startMs, endMs, parentSpanId } of steps) {
    expect(parentSpanId).toBe(rebuild.spanId)
    expect(endMs).toBeGreaterThanOrEqual(startMs)
    expect(Math.abs(startMs - Date.now())).toBeLessThan(60_000)
  }
})

test('what the caller does not sample is not recorded; reads and refusals are', async () => {
  const [unsampled, invalid] = [nextTrace('00'), nextTrace()]
  await stack.wallet.post('/transactions', transfer(1), { traceparent: unsampled.traceparent })
  const [read, refused] = [nextTrace(), nextTrace()]
  await stack.balances.get(`/balances/${eva}`, { traceparent: read.traceparent })
  const [early, future] = [nextTrace(), { 'consistency-token': `${eva}:999999`, prefer: 'wait=1' }]
  await stack.balances.get(`/balances/${eva}`, { traceparent: early.traceparent, ...future })
  await stack.balances.get('/nothing/of/the/kind', { traceparent: refused.traceparent })
  await stack.balances.get('/livez', { traceparent: invalid.traceparent })
  await stack.balances.get('/problems/validation', { traceparent: `${invalid.traceparent}, again` })
  const later = nextTrace()
  await stack.wallet.post('/transactions', transfer(1), { traceparent: later.traceparent })
  await spanOf(later.traceId, `process ${prefixed('balances')}`)

  const request = await spanOf(read.traceId, 'GET /balances/:account_id')
  expect(request).toMatchObject({ service: 'balances', kind: 'server' })
  expect(request.attributes).not.toHaveProperty('saldo.consistency.wait_ms')
  // How much of a read was the wait for what it has to include.
  const { attributes } = await spanOf(early.traceId, 'GET /balances/:account_id')
  expect(attributes).toMatchObject({
    'http.response.status_code': 503,
    'saldo.problem': 'not-yet-consistent',
  })
  expect(attributes['saldo.consistency.wait_ms']).toBeGreaterThan(900)
  expect((await spanOf(refused.traceId, 'GET')).attributes).toMatchObject({ 'saldo.problem': 'not-found' })
  const fresh = await eventually(() => {
    const found = collector.spans.find(({ name }) => name === 'GET /problems/:name')
    expect(found).toMatchObject({ parentSpanId: '' })
    return found
  })
  expect(fresh?.traceId).not.toBe(invalid.traceId)
  const ids = new Set(collector.spans.map(({ traceId }) => traceId))
  expect([unsampled, invalid].filter(({ traceId }) => ids.has(traceId))).toEqual([])
})

test('nothing that is exported names an account, and names are few', () => {
  const texts = collector.spans.flatMap(({ name, attributes }) => [name, ...Object.values(attributes)])
  expect(texts.length).toBeGreaterThan(100)
  expect(texts.filter((text) => /[0-9a-f]{8}-[0-9a-f]{4}-/.test(String(text)))).toEqual([])
  expect(new Set(collector.spans.map(({ name }) => name)).size).toBeLessThan(35)
})

test('after a restart the relay goes on with the trace of the request', async () => {
  const shared = await backing()
  const database = await shared.createDatabase('traces', 'wallet')
  const settings = { database, topicPrefix: shared.topicPrefix(), seed: true }
  const at = (brokers: string[], delayMs: number) => {
    const config = serviceConfig('wallet', { ...settings, brokers })
    const tracing = { ...tracingTo(collector.url, 'wallet'), delayMs }
    return startWallet({ ...config, tracing, shutdownTimeoutMs: 300 }, log)
  }
  // What it has is exported when it stops.
  const first = await at(['127.0.0.1:1'], 600_000)
  const { traceId, traceparent } = nextTrace()
  const { status } = await callerOf('wallet', first.port).post('/transactions', transfer(1), { traceparent })
  expect(status).toBe(201)
  // Its outbox is left behind.
  await first.stop().catch(() => {})
  const request = await spanOf(traceId, 'POST /transactions')
  const second = await at(shared.brokers, 20)
  const send = await spanOf(traceId, `send ${settings.topicPrefix}balances`)
  await second.stop()
  expect(send).toMatchObject({ parentSpanId: request.spanId, isError: false })
})

test('a collector that is away holds up nothing, and is one line in the log', async () => {
  const silent = receiveOtlp(() => new Promise<Response>(() => {}))
  const shared = await backing()
  const database = await shared.createDatabase('traces', 'wallet')
  const { brokers } = shared
  const settings = { database, brokers, topicPrefix: shared.topicPrefix(), seed: true }
  const lines: unknown[][] = []
  const watched: Log = Object.create(log, {
    warn: { value: (...line: unknown[]) => line[1]?.toString().includes('traces') && lines.push(line) },
  })
  const tracing = { ...tracingTo(silent.url, 'wallet'), timeoutMs: 300, queueMax: 64, batchMax: 32 }
  const wallet = await startWallet({ ...serviceConfig('wallet', settings), tracing }, watched, patience)
  const caller = callerOf('wallet', wallet.port)
  const answers = await Promise.all(
    Array.from({ length: 200 }, () => caller.post('/transactions', transfer(1))),
  )
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]))
  await eventually(() => expect(lines).toHaveLength(1))
  const stoppingMs = performance.now()
  await wallet.stop()
  expect(performance.now() - stoppingMs).toBeLessThan(5000)
  expect(lines).toEqual([
    [{ queueMax: 64 }, expect.stringMatching(/^traces are being dropped: /)],
    [{ dropped: expect.any(Number) }, 'traces were dropped'],
  ])
  // A request and two sends of each transfer.
  const [, [counted] = []] = lines
  expect((counted as { dropped: number }).dropped).toBeGreaterThan(300)
  await silent[Symbol.asyncDispose]()
})
