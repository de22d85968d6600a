import { afterAll, expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseEvents, readEvents, type StreamEvent } from '../../testing/event-source'
import { eventually } from '../../testing/eventually'
import { Fault } from '../fault'
import {
  type Chunks,
  createEventStreams,
  type EventStreams,
  encodeServerEvent,
  ping,
  retryAfter,
} from './event-stream'
import { refusedByLimit } from './limits'

test('events are parsed as they were sent, wherever the bytes are split', async () => {
  const event = fc.record({
    event: fc.constantFrom('balance', 'gap', 'reset'),
    id: fc.stringMatching(/^\d{1,5}:\d{1,3}$/),
    data: fc.dictionary(
      fc.string(),
      fc.oneof(fc.string({ unit: 'grapheme' }), fc.integer(), fc.constant(null)),
    ),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(event), fc.integer({ min: 1, max: 40 }), async (events, size) => {
      const text = [retryAfter(2000), ...events.flatMap((one) => [encodeServerEvent(one), ping])].join('')
      const bytes = Buffer.from(text)
      async function* pieces() {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
      }
      const received: StreamEvent[] = []
      for await (const one of parseEvents(pieces())) received.push(one)
      expect(received).toEqual(JSON.parse(JSON.stringify(events)))
    }),
  )
})

const servers: Bun.Server<undefined>[] = []
afterAll(() => Promise.all(servers.map((server) => server.stop(true))))

/** Serves streams on a port of its own; a fault is a 503, as with the services. */
function serve(streams: EventStreams, chunks: (request: Request) => Chunks): number {
  const server = Bun.serve({
    port: 0,
    fetch(request) {
      try {
        return streams.open(chunks(request))
      } catch (error) {
        if (error instanceof Fault) return new Response(error.message, { status: 503 })
        throw error
      }
    },
  })
  servers.push(server)
  return server.port as number
}

/** Sends one event, then nothing until it is aborted. */
const silence = (ended: () => void): Chunks =>
  async function* (signal) {
    try {
      yield encodeServerEvent({ event: 'reset', id: '1', data: {} })
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    } finally {
      ended()
    }
  }

test('streams end when the client disconnects and on stop; too many are refused', async () => {
  let ended = 0
  const streams = createEventStreams({ openMax: 2, ofKeyMax: 2, stalledMs: 60_000 })
  const port = serve(streams, () => silence(() => ended++))
  const [one, other] = [readEvents(port, '/'), readEvents(port, '/')]
  await Promise.all([one.next(), other.next()])
  expect(readEvents(port, '/').next()).rejects.toThrow('answered 503')
  await one.return()
  await eventually(() => expect(ended).toBe(1))

  const third = readEvents(port, '/')
  expect((await third.next()).value).toMatchObject({ event: 'reset', id: '1' })
  streams.stop()
  expect(await Promise.all([other.next(), third.next()])).toEqual([
    { done: true, value: undefined },
    { done: true, value: undefined },
  ])
  expect(ended).toBe(3)
})

test('a stopped stream ends in order, after a hint when to come back; so does one opened later', async () => {
  const streams = createEventStreams({ openMax: 2, ofKeyMax: 2, stalledMs: 60_000 })
  const port = serve(streams, () => silence(() => {}))
  const before = await fetch(`http://127.0.0.1:${port}/`)
  streams.stop()
  expect(await before.text()).toMatch(/^event: reset\nid: 1\ndata: {}\n\nretry: [1-4]\d{3}\n\n$/)
  const after = await fetch(`http://127.0.0.1:${port}/`)
  expect(await after.text()).toMatch(/^retry: [1-4]\d{3}\n\n$/)
})

test('one key cannot take all streams', () => {
  const streams = createEventStreams({ openMax: 4, ofKeyMax: 2, stalledMs: 60_000 })
  const open = (keyId?: string) =>
    streams.open(
      silence(() => {}),
      keyId ? { keyId } : undefined,
    )
  const before = refusedByLimit.streams
  for (const keyId of ['a', 'a', 'b']) open(keyId)
  expect(() => open('a')).toThrow('3 streams are open, 2 of this key')
  open()
  expect(() => open('b')).toThrow('4 streams are open, 1 of this key')
  expect(refusedByLimit.streams - before).toBe(2)
  streams.stop()
  open('a')
})

test('nothing is produced for a client that does not read; it is disconnected, and can resume', async () => {
  const [count, size] = [500, 50_000]
  let produced = 0
  const streams = createEventStreams({ openMax: 1, ofKeyMax: 1, stalledMs: 100 })
  const port = serve(streams, (request) => {
    const after = Number(request.headers.get('last-event-id') ?? 0)
    return async function* () {
      for (let id = after + 1; id <= count; id++, produced++)
        yield encodeServerEvent({ event: 'e', id: `${id}`, data: { text: 'x'.repeat(size) } })
    }
  })
  const { promise: wholeAnswer, resolve } = Promise.withResolvers<string>()
  let response = ''
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      open(socket) {
        socket.pause()
        socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
      },
      data(_, chunk) {
        response += chunk.toString('latin1')
        if (response.endsWith('\r\n0\r\n\r\n')) resolve(response)
      },
    },
  })
  // The single slot is free again: the stream was ended before its client read a byte.
  const ids = await eventually(async () => {
    const ids: number[] = []
    for await (const { id } of readEvents(port, '/', `${count - 1}`)) ids.push(Number(id))
    return ids
  })
  expect(ids).toEqual([count])
  expect(produced).toBeLessThan(count / 2)

  socket.resume()
  const received = [...(await wholeAnswer).matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
  // On a busy machine this reader may be disconnected as well.
  while (received.at(-1) !== count)
    for await (const { id } of readEvents(port, '/', String(received.at(-1)))) received.push(Number(id))
  expect(received).toEqual(Array.from({ length: count }, (_, index) => index + 1))
  socket.end()
})
