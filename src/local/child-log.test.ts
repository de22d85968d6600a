import { expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openChildLog, presentLogLine } from './child-log.ts'

const turn = () => new Promise(setImmediate)

test.each([
  ['{"level":"info","msg":"wallet ready"}', false, 'wallet ready'],
  ['{"level":"warn","msg":"slow"}', true, 'slow'],
  ['{"level":"error","msg":"broke","error":{"message":"no route"}}', true, 'broke: no route'],
  ['{"level":"error","message":"cannot write","error":"disk full"}', true, 'cannot write: disk full'],
  ['{"level":"error"}', true, '{"level":"error"}'],
  ['{torn', false, '{torn'],
  [
    '2026-01-01 00:00:00.000 UTC [12] LOG:  ready to accept connections',
    false,
    'LOG: ready to accept connections',
  ],
  ['2026-01-01 00:00:00.000 UTC [12] ERROR:  duplicate key', false, 'ERROR: duplicate key'],
  ['2026-01-01 00:00:00.000 UTC [12] PANIC:  could not write', true, 'PANIC: could not write'],
  ['      at start (src/main.ts:1:1)', false, '      at start (src/main.ts:1:1)'],
])('%s', (line, urgent, text) => {
  expect(presentLogLine(line)).toEqual({ urgent, text })
})

test('a log starts empty, keeps the previous one, and has a tail without accesses', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'saldo-log-'))
  const path = join(dir, 'logs/part.log')
  openChildLog(path).write('of the run before')
  await turn()

  const log = openChildLog(path)
  const seen: string[] = []
  log.onLine = (line) => seen.push(line)
  for (let n = 1; n <= 10; n++) log.write(`line ${n}`)
  log.write('{"level":"info","service":"wallet","method":"POST","status":201,"msg":"access"}')
  await turn()

  expect(readFileSync(`${path}.1`, 'utf8')).toBe('of the run before\n')
  expect(readFileSync(path, 'utf8')).toStartWith('line 1\nline 2\n')
  expect(readFileSync(path, 'utf8')).toEndWith('"msg":"access"}\n')
  expect(seen).toHaveLength(10)
  expect(log.takeTail()).toEqual([
    'line 3',
    'line 4',
    'line 5',
    'line 6',
    'line 7',
    'line 8',
    'line 9',
    'line 10',
  ])
  expect(log.takeTail()).toEqual([])
  rmSync(dir, { recursive: true })
})

test('a log that grows too large is rotated', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'saldo-log-'))
  const path = join(dir, 'part.log')
  const log = openChildLog(path)
  const long = 'x'.repeat(4_000_000)
  for (const line of [long, long]) log.write(line)
  expect(existsSync(`${path}.1`)).toBe(false)

  log.write(long)
  await turn()
  expect(readFileSync(`${path}.1`, 'utf8')).toHaveLength(8_000_002)
  expect(readFileSync(path, 'utf8')).toHaveLength(4_000_001)
  rmSync(dir, { recursive: true })
})
