/** Every program that a person may start says how, and says so when it does not understand. */
import { expect, spyOn, test } from 'bun:test'
import { join } from 'node:path'
import { loadCommands } from './commands'

const root = join(import.meta.dir, '../..')

/** A program as a process, or, at a fifth of the cost, as far as its first `process.exit` in this one. */
const spawn = async (...command: string[]) => {
  const child = Bun.spawn([process.execPath, ...command], {
    cwd: root,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { stdout, stderr, code }
}

class Exit extends Error {
  constructor(readonly code: unknown) {
    super(`exit ${code}`)
  }
}

let runs = 0

async function run(program: string, ...args: string[]) {
  const printed = { stdout: [] as string[], stderr: [] as string[] }
  const { argv } = process
  const spies = [
    spyOn(console, 'log').mockImplementation((text) => void printed.stdout.push(`${text}\n`)),
    spyOn(console, 'error').mockImplementation((text) => void printed.stderr.push(`${text}\n`)),
    spyOn(process, 'exit').mockImplementation((code) => {
      throw new Exit(code)
    }),
  ]
  process.argv = [process.execPath, program, ...args]
  try {
    // The query makes it a module that has not run yet.
    await import(`${join(root, program)}?run=${++runs}`)
    throw new Error(`${program} ${args.join(' ')} did not exit`)
  } catch (error) {
    if (!(error instanceof Exit)) throw error
    return { stdout: printed.stdout.join(''), stderr: printed.stderr.join(''), code: error.code }
  } finally {
    process.argv = argv
    for (const spy of spies) spy.mockRestore()
  }
}

const programs: [string, ...string[]][] = [
  ['src/local/start.ts'],
  ['src/main.ts'],
  ['src/cli/main.ts'],
  ...(await loadCommands()).map(([name]): [string, string] => ['src/cli/main.ts', name]),
  ['src/cli/main.ts', 'keys', 'roll'],
  ['src/local/broker/main.ts'],
  ['src/testing/bench/main.ts'],
  ['src/testing/bench/main.ts', 'ledger'],
  ['src/testing/bench/main.ts', 'relay-kill'],
  ['src/testing/clients/main.ts'],
  ['src/testing/write-docs.ts'],
  ['src/testing/write-seed-events.ts'],
]

test.each(programs.map((program) => [program]))(
  '%p explains itself and does nothing else',
  async (program) => {
    for (const args of [['--help'], ['-h'], ['--help', '--unheard-of']]) {
      const { stdout, stderr, code } = await run(...program, ...args)
      expect([code, stderr]).toEqual([0, ''])
      expect(stdout).toMatch(/^Usage: .*\n/)
      expect(stdout).toContain(program[1] ?? 'Usage')
    }
  },
)

test.each<[[string, ...string[]]]>([
  ...programs.map((program): [[string, ...string[]]] => [[...program, '--unheard-of']]),
  ...programs.map((program): [[string, ...string[]]] => [[...program, 'unheard-of']]),
  [['src/cli/main.ts']],
  [['src/testing/bench/main.ts']],
  [['src/testing/bench/main.ts', 'toString']],
  [['src/testing/bench/main.ts', 'reads', '1', '2']],
  [['src/testing/bench/main.ts', 'growth', '--rounds=x']],
  [['src/testing/bench/main.ts', 'growth', '--rounds', '0']],
  [['src/testing/bench/main.ts', 'growth', '--rounds=1', '--rounds=2']],
  [['src/testing/bench/main.ts', 'growth', '--at=100,many']],
  [['src/testing/bench/main.ts', 'path', '--quick=no']],
  [['src/testing/bench/main.ts', 'path', '--json']],
  [['src/testing/bench/main.ts', 'replicas', '10', '--calm=yes']],
  [['src/local/broker/main.ts', '--data-dir', 'unused', '--port', '70000']],
  [['src/local/broker/main.ts']],
])('%p is not understood, which is exit code 2 with the usage', async (command) => {
  const { stdout, stderr, code } = await run(...command)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(/(^|\n)Usage: /)
  expect(stderr).not.toMatch(/\n +at /)
})

test.each([
  [['src/cli/main.ts', 'rebuild', '--help'], 0],
  [['src/cli/main.ts', 'rebuild', '--unheard-of'], 2],
  [['src/main.ts', '--unheard-of'], 2],
])('%p ends its process with exit code %p', async (command, exitCode) => {
  const { stdout, stderr, code } = await spawn(...command)
  expect(code).toBe(exitCode)
  expect(exitCode === 0 ? stdout : stderr).toContain('Usage: ')
  expect(exitCode === 0 ? stderr : stdout).toBe('')
})
