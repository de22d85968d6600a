import { expect, test } from 'bun:test'
import { startProcess } from './supervise.ts'

const signal = () => new AbortController().signal

/** A program that runs this code, then lives until its stdin ends. */
const program = (before: string) => ({
  command: [process.execPath, '-e', `${before}; process.stdin.on('end', () => process.exit(0)).resume()`],
  cwd: import.meta.dir,
  env: process.env,
})

test('a process is ready once it prints its ready line, and stops on SIGTERM', async () => {
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

test('a process is ready once its URL responds with success', async () => {
  let requests = 0
  using server = Bun.serve({
    port: 0,
    fetch: () => new Response(null, { status: ++requests < 3 ? 503 : 200 }),
  })

  const running = await startProcess({ ...program(''), log() {}, ready: { url: server.url.href } }, signal())
  expect(requests).toBe(3)
  await running.stop()
})

test('a process that exits before it is ready is reported with its exit code', async () => {
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

test('a process that never becomes ready is stopped', async () => {
  const options = { ...program(''), log() {}, ready: { line: /ready/ } }

  await expect(startProcess({ ...options, readyTimeoutMs: 100 }, signal())).rejects.toThrow(
    'not ready after 0.1 s',
  )
  await expect(startProcess(options, AbortSignal.abort())).rejects.toThrow('was stopped')
})

test('a process that ignores SIGTERM is killed', async () => {
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
