/** The audit as a gate: what fails it, what does not, and that silence is no success. */
import { afterAll, expect, test } from 'bun:test'
import type { Accepted } from './accepted'
import { type Advisory, audit, judge } from './audit'

const advisory = (id: string, severity: Advisory['severity']): Advisory => ({
  url: `https://github.com/advisories/${id}`,
  title: 'a hole',
  severity,
  vulnerable_versions: '<9',
})
const today = '2030-06-15'
const until = (day: string): Accepted[] => [{ id: 'GHSA-1', reason: 'not reached', until: day }]

test.each<[string, Advisory['severity'], 'production' | 'development', Accepted[], boolean]>([
  ['critical', 'critical', 'production', [], false],
  ['high', 'high', 'production', [], false],
  ['moderate', 'moderate', 'production', [], false],
  ['low', 'low', 'production', [], true],
  ['critical, development only', 'critical', 'development', [], true],
  ['accepted, on the last day', 'high', 'production', until(today), true],
  ['accepted until yesterday', 'high', 'production', until('2030-06-14'), false],
  ['another one accepted', 'high', 'production', [{ id: 'GHSA-2', reason: '', until: today }], false],
])('%s', (_, severity, scope, exceptions, expected) => {
  const all = { kafkajs: [advisory('GHSA-1', severity)] }
  const { lines, passes } = judge({ all, production: scope === 'production' ? all : {} }, exceptions, today)
  expect(passes).toBe(expected)
  expect(lines[0]).toStartWith(`${expected ? 'note' : 'FAIL'}  kafkajs <9  ${severity}: a hole`)
})

test('an advisory for a version that only development has does not fail', () => {
  const production = { esbuild: [advisory('GHSA-1', 'low')] }
  const all = { esbuild: [advisory('GHSA-1', 'low'), advisory('GHSA-2', 'high')] }
  expect(judge({ production, all }, [], today).passes).toBe(true)
})

test('an accepted advisory that is not reported any more is named', () => {
  expect(judge({ production: {}, all: {} }, until(today), today)).toEqual({
    lines: ['note  GHSA-1 is no longer reported: remove it from accepted.ts'],
    passes: true,
  })
})

/** Stands in for the registry: the path says how it answers. */
const registry = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch: ({ url }) => {
    if (url.includes('/clean/')) return Response.json({})
    if (url.includes('/finds/')) return Response.json({ kafkajs: [advisory('GHSA-1', 'high')] })
    if (url.includes('/page/')) return new Response('<html>sign in</html>')
    return new Response(null, { status: 405 })
  },
})
afterAll(() => registry.stop(true))

const auditAt = async (address: string): Promise<{ code: number; output: string }> => {
  const lines: string[] = []
  const env = { ...process.env, NPM_CONFIG_REGISTRY: address, BUN_CONFIG_REGISTRY: address }
  const code = await audit(env, (line) => lines.push(line))
  return { code, output: lines.join('\n') }
}

test.each([
  ['no finding', 'clean', 0, '0 known vulnerabilities, 0 of them in production packages'],
  ['a finding', 'finds', 1, 'FAIL  kafkajs <9  high: a hole  https://github.com/advisories/GHSA-1'],
  ['no audits at this registry', 'none', 75, 'NOT CHECKED'],
  ['a proxy answers with its page', 'page', 75, 'NOT CHECKED'],
])('bun audit, %s', async (_, path, code, text) => {
  const answer = await auditAt(`${registry.url}${path}/`)
  expect(answer).toEqual({ code, output: expect.stringContaining(text) })
})

test('bun audit, nothing listens there', async () => {
  const closed = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
  await closed.stop(true)
  const answer = await auditAt(closed.url.href)
  expect(answer).toEqual({ code: 75, output: expect.stringContaining('ConnectionRefused') })
})
