/**
 * Balance streams end to end: readers that are disconnected at random and resume on any replica,
 * under load.
 */
import { expect, test } from 'bun:test'
import { createLog } from '../../platform/telemetry/log'
import { readEvents, type StreamEvent } from '../../testing/event-source'
import { seeded } from '../../testing/random'
import { type Stack, startStack } from '../../testing/stack'
import { startBalances } from '../service'

const log = createLog({ service: 'test', level: 'fatal', format: 'json' })
const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'

/** A second replica on the same database, without a broker: it depends on notifications from the first. */
async function startReader(stack: Stack) {
  const { kafka, ...config } = stack.config.balances
  const service = await startBalances({ ...config, kafka: { ...kafka, brokers: ['127.0.0.1:1'] } }, log)
  return { ...service, [Symbol.asyncDispose]: service.stop }
}

/** Less than the time after which a stream polls without a notification. */
const waitMaxMs = 14_000

/** Reads `count` events after `last`, and disconnects after every few. Throws when one is long in coming. */
async function readInPieces(
  path: string,
  ports: number[],
  last: string,
  { count, random }: { count: number; random: () => number },
) {
  const events: StreamEvent[] = []
  while (events.length < count) {
    const port = ports[Math.floor(random() * ports.length)] as number
    const leaveAt = Math.min(count, events.length + 1 + Math.floor(random() * 30))
    let sinceMs = performance.now()
    for await (const one of readEvents(port, path, events.at(-1)?.id ?? last)) {
      expect(performance.now() - sinceMs).toBeLessThan(waitMaxMs)
      sinceMs = performance.now()
      if (events.push(one) === leaveAt) break
    }
  }
  return events
}

const first = async (port: number, path: string, lastEventId?: string): Promise<StreamEvent> => {
  for await (const one of readEvents(port, path, lastEventId)) return one
  throw new Error(`${path} ended`)
}

test(
  'disconnected readers receive every version of every account once and soon, on any replica',
  seeded(async (random) => {
    await using stack = await startStack()
    await using reader = await startReader(stack)
    const ports = [stack.balances.port, reader.port]
    const moved = 200
    const whole = Array.from({ length: moved }, (_, index) => 5 + index)
    const begun = await first(reader.port, '/balances/stream')
    expect(begun).toMatchObject({ event: 'reset', data: { load: '/balances' } })
    const ofEva = [1, 2].map(() =>
      readInPieces(`/balances/${eva}/stream`, ports, '4', { count: moved, random }),
    )
    const ofAll = [1, 2].map(() =>
      readInPieces('/balances/stream', ports, begun.id, { count: 2 * moved, random }),
    )
    // Both pay, so the versions of each come through two partitions.
    for (let sent = 0; sent < moved; sent += 10)
      await Promise.all(
        Array.from({ length: 10 }, async (_, index) => {
          const [from, to] = index % 2 ? [eva, frank] : [frank, eva]
          const body = { account_id_from: from, account_id_to: to, amount: 1 }
          expect((await stack.wallet.post('/transactions', body)).status).toBe(201)
        }),
      )

    for (const events of await Promise.all(ofEva)) {
      expect(events.map(({ event, id }) => [event, Number(id)])).toEqual(
        whole.map((version) => ['balance', version]),
      )
      expect(events.map(({ data }) => data.version)).toEqual(whole)
    }
    for (const events of await Promise.all(ofAll)) {
      expect(events.filter(({ event }) => event !== 'balance')).toEqual([])
      for (const account of [eva, frank]) {
        const versions = events
          .filter(({ data }) => data.account_id === account)
          .map(({ data }) => Number(data.version))
        expect(versions.toSorted((one, other) => one - other)).toEqual(whole)
      }
    }
  }),
)

test('a stream begins with the balance or after its last event id, and ends with the service', async () => {
  const stack = await startStack({ start: ['balances'] })
  const { port } = stack.balances
  const path = `/balances/${eva}/stream`
  const snapshot = {
    account_id: eva,
    currency: 'BRL',
    version: 4,
    balance: 800,
    held: 0,
    available: 800,
    amount: null,
  }
  expect(await first(port, path)).toMatchObject({ event: 'balance', id: '4', data: snapshot })
  expect(await first(port, `${path}?last_event_id=2`)).toMatchObject({
    id: '3',
    data: { version: 3, amount: -50 },
  })
  // The header, which a reconnecting client sends, takes precedence.
  expect(await first(port, `${path}?last_event_id=2`, '3')).toMatchObject({
    id: '4',
    data: { balance: 800, amount: -50 },
  })

  const begun = await first(port, '/balances/stream')
  for (const ahead of ['17:1', '18446744073709551615:9', '99999999999999999999:0'])
    expect(await first(port, '/balances/stream', ahead)).toEqual(begun)
  for (const ahead of ['5', '999999999999999999999999'])
    expect(await first(port, path, ahead)).toEqual({
      event: 'reset',
      id: '4',
      data: { load: `/balances/${eva}` },
    })
  expect(await first(port, `${path}?last_event_id=`)).toMatchObject({ event: 'balance', id: '4' })
  for (const one of ['/balances/stream', path])
    expect((await stack.balances.get(one, { 'last-event-id': 'made up' })).body.code).toBe('MALFORMED')
  expect((await stack.balances.get('/balances/stream?client_id=x')).body.code).toBe('VALIDATION')
  expect((await stack.balances.get('/balances/unknown/stream')).body.code).toBe('ACCOUNT_NOT_FOUND')

  const open = await Promise.all(
    ['/balances/stream', `${path}?last_event_id=4`].map((one) => fetch(`http://127.0.0.1:${port}${one}`)),
  )
  for (const { headers } of open)
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
  const stopping = performance.now()
  await stack[Symbol.asyncDispose]()
  for (const response of open) expect(await response.text()).toStartWith('retry: 2000\n\n')
  // Ended by the service, not cut off by the shutdown timeout.
  expect(performance.now() - stopping).toBeLessThan(stack.config.balances.shutdownTimeoutMs)
})
