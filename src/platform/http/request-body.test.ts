import { expect, test } from 'bun:test'
import { bodyLimits, readBody } from './request-body'

const limits = { ...bodyLimits, bytesMax: 1000, smallMax: 10, drainMax: 100_000, heldMax: 2000, readMs: 5000 }

/** A body whose first bytes have arrived. */
function unfinished(bytes: number, declared?: number) {
  let finish = () => {}
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      if (bytes > 0) controller.enqueue(new Uint8Array(bytes))
      finish = () => controller.close()
    },
  })
  const headers: Record<string, string> = declared === undefined ? {} : { 'content-length': String(declared) }
  return {
    request: new Request('http://localhost', { method: 'POST', body, headers }),
    finish: () => finish(),
  }
}
const whole = (bytes: number) => {
  const { request, finish } = unfinished(bytes)
  finish()
  return request
}

test('bytes that are declared and never sent do not count', async () => {
  const idle = Array.from({ length: 10 }, () => unfinished(0, 1000))
  const reads = idle.map(({ request }) => readBody(request, { limits }))
  expect(await readBody(whole(900), { limits })).toMatchObject({ ok: true })
  for (const { finish } of idle) finish()
  for (const read of await Promise.all(reads)) expect(read).toMatchObject({ ok: true })
})

test('the memory of all bodies is bounded, and released afterwards', async () => {
  const held = [unfinished(900), unfinished(900)]
  const reads = held.map(({ request }) => readBody(request, { limits }))
  expect(await readBody(whole(900), { limits })).toEqual({ ok: false, fault: 'overloaded' })
  expect(await readBody(whole(100), { limits })).toMatchObject({ ok: true })
  for (const { finish } of held) finish()
  for (const read of await Promise.all(reads)) expect(read).toMatchObject({ ok: true })
  expect(await readBody(whole(900), { limits })).toMatchObject({ ok: true })
})

test.each([
  ['that is too large', true],
  ['that is dropped', false],
])('nothing of a body %s is retained while the rest arrives', async (_, keep) => {
  const sent: WeakRef<Uint8Array>[] = []
  const { promise: end, resolve: finish } = Promise.withResolvers<void>()
  const { promise: isSent, resolve: sentAll } = Promise.withResolvers<void>()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (sent.length === 64) {
        sentAll()
        await end
        return controller.close()
      }
      const chunk = new Uint8Array(1001)
      sent.push(new WeakRef(chunk))
      controller.enqueue(chunk)
    },
  })
  const read = readBody(new Request('http://localhost', { method: 'POST', body }), { keep, limits })
  await isSent
  // A weak reference keeps its target until the turn is over.
  await Bun.sleep(0)
  Bun.gc(true)
  expect(sent.filter((chunk) => chunk.deref()).length).toBeLessThan(16)
  finish()
  expect(await read).toEqual({ ok: false, fault: 'too_large' })
})

test.each([
  ['a small one', 5],
  ['a larger one', 1000],
  ['one of unknown length', undefined],
])('a body that does not arrive in time is given up: %s', async (_, declared) => {
  const { request } = unfinished(1, declared)
  expect(await readBody(request, { limits: { ...limits, readMs: 20 } })).toEqual({
    ok: false,
    fault: 'too_slow',
  })
})

test('a body of very many chunks does not block others, and is read in full', async () => {
  const size = 20_000
  let sent = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent === size) return controller.close()
      controller.enqueue(new Uint8Array([sent++ % 251]))
    },
  })
  let [turns, isRead] = [0, false]
  const takeTurns = () => {
    turns++
    if (!isRead) setImmediate(takeTurns)
  }
  setImmediate(takeTurns)
  const read = await readBody(new Request('http://localhost', { method: 'POST', body }), {
    limits: { ...limits, bytesMax: size, heldMax: size },
  })
  isRead = true
  expect(turns).toBeGreaterThan(50)
  expect(read).toEqual({ ok: true, bytes: Buffer.from(Array.from({ length: size }, (_, at) => at % 251)) })
})
