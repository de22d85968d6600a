import { expect, test } from 'bun:test'
import type { Log } from '../telemetry/log'
import { createHttp } from './app'
import { setPrincipal } from './principal'
import { listen } from './server'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

test('each write, refused or not, is one line: who did what, and how it ended', async () => {
  const lines: unknown[][] = []
  const log: Log = { ...silent, info: (...line: unknown[]) => void lines.push(line) }
  const app = createHttp({
    log,
    parseJson: JSON.parse,
    api: { title: 'Things', version: '1', description: 'Things.', servers: [], url: 'http://localhost' },
    documents: {},
    health: async () => ({}),
    metrics: async () => ({ text: '', contentType: 'text/plain' }),
    isReady: () => true,
  })
    .get('/things/:id', () => 'read')
    .patch('/things/:id', ({ request }) => {
      setPrincipal(request, { keyId: 'k', name: 'shop' })
      return Response.json({}, { status: 201 })
    })
    .delete('/things/:id', () => {
      throw new Error('broken')
    })
  const server = listen(app, { host: '127.0.0.1', port: 0, allowedHosts: [], corsOrigins: [] }, log)
  const secret = 'hunter2'
  const headers = {
    Authorization: `Bearer ${secret}`,
    traceparent: `00-${'ab'.repeat(16)}-00f067aa0ba902b7-01`,
  }
  const send = (
    method: string,
    path: string,
    more: { body?: string; headers?: Record<string, string> } = {},
  ) =>
    fetch(`http://127.0.0.1:${server.port}${path}`, {
      method,
      ...more,
      headers: { ...headers, 'Content-Type': 'application/json', ...more.headers },
    })
  await send('PATCH', `/things/${secret}`, { body: `"${secret}"` })
  await send('DELETE', '/things/7')
  await send('POST', `/${secret}?q=${secret}`, { body: `"${secret}"` })
  await send('PATCH', '/things/7', { headers: { Origin: 'https://evil.example' } })
  for (const read of ['GET', 'HEAD', 'OPTIONS']) await send(read, '/things/7')
  await server.close(0)

  const ids = { trace_id: 'ab'.repeat(16), span_id: expect.stringMatching(/^[0-9a-f]{16}$/) }
  const shared = { ...ids, duration_ms: expect.any(Number) }
  const route = '/things/:id'
  expect(lines).toEqual([
    [{ ...shared, actor: 'shop', method: 'PATCH', route, status: 201 }, 'access'],
    [{ ...shared, actor: undefined, method: 'DELETE', route, status: 500 }, 'access'],
    [{ ...shared, actor: undefined, method: 'POST', route: undefined, status: 404 }, 'access'],
    [{ ...shared, actor: undefined, method: 'PATCH', route, status: 403 }, 'access'],
  ])
  expect(JSON.stringify(lines)).not.toContain(secret)
})
