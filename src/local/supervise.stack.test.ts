import { expect, test } from 'bun:test'
import { startProcess } from './supervise.ts'

const signal = () => new AbortController().signal

/** A program that lives as long as its stdin, after doing this. */
const program = (before: string) => ({
  command: [process.execPath, '-e', `${before}; process.stdin.on('end', () => process.exit(0)).resume()`],
  cwd: import.meta.dir,
  env: process.env,
})

test('a process serves once it has printed its line, and stops with SIGTERM', async () => {
  const lines: string[] = []
  const running = await startProcess(
    {
      ...program(`console.log('warming up\\nready here')`),
      log: (line) => lines.push(line),
      ready: { line: /^ready / },
    },
    signal(),
  )

  expect(lines).toEqual(['warming up', 'ready here'])
  await running.stop()
  expect(await running.exited).toBe('killed by signal 15 (SIGTERM)')
})

test('a process serves once its URL answers with success', async () => {
  let asked = 0
  using server = Bun.serve({ port: 0, fetch: () => new Response(null, { status: ++asked < 3 ? 503 : 200 }) })

  const running = await startProcess({ ...program(''), log() {}, ready: { url: server.url.href } }, signal())
  expect(asked).toBe(3)
  await running.stop()
})

test('a process that ends before it serves is told with its exit code', async () => {
  const lines: string[] = []
  const starting = startProcess(
    {
      ...program(`console.error('no room'); process.exit(3)`),
      log: (line) => lines.push(line),
      ready: { line: /ready/ },
    },
    signal(),
  )

  await expect(starting).rejects.toThrow('ended with exit code 3 before it was ready')
  expect(lines).toEqual(['no room'])
})

test('a process that never serves is stopped', async () => {
  const options = { ...program(''), log() {}, ready: { line: /ready/ } }

  await expect(startProcess({ ...options, readyTimeoutMs: 100 }, signal())).rejects.toThrow(
    'not ready after 0.1 s',
  )
  await expect(startProcess(options, AbortSignal.abort())).rejects.toThrow('was stopped')
})

test('a process that does not heed SIGTERM is killed', async () => {
  const running = await startProcess(
    {
      ...program(`process.on('SIGTERM', () => {}); console.log('ready')`),
      log() {},
      ready: { line: /ready/ },
      stopTimeoutMs: 100,
    },
    signal(),
  )

  await running.stop()
  expect(await running.exited).toBe('killed by signal 9 (SIGKILL)')
})
