/** Every program that a person may start says how, and says so when it does not understand. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'

const root = join(import.meta.dir, '../..')

async function run(...command: string[]) {
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

const programs = [
  ['src/local/start.ts'],
  ['src/main.ts'],
  ['src/cli/main.ts'],
  ['src/cli/main.ts', 'reconcile'],
  ['src/cli/main.ts', 'republish'],
  ['src/cli/main.ts', 'rebuild'],
  ['src/local/broker/main.ts'],
  ['src/testing/bench/main.ts'],
  ['src/testing/bench/main.ts', 'ledger'],
  ['src/testing/bench/main.ts', 'relay-kill'],
  ['src/testing/clients/main.ts'],
  ['src/testing/event-docs.ts'],
  ['src/testing/write-seed-events.ts'],
]

test.each(programs.map((program) => [program]))(
  '%p explains itself and does nothing else',
  async (program) => {
    const asked = [['--help'], ['-h'], ['--help', '--unheard-of']]
    for (const { stdout, stderr, code } of await Promise.all(asked.map((args) => run(...program, ...args)))) {
      expect([code, stderr]).toEqual([0, ''])
      expect(stdout).toMatch(/^Usage: .*\n/)
      expect(stdout).toContain(program[1] ?? 'Usage')
    }
  },
  60_000,
)

test.each([
  ...programs.map((program) => [[...program, '--unheard-of']]),
  ...programs.map((program) => [[...program, 'unheard-of']]),
  [['src/cli/main.ts']],
  [['src/testing/bench/main.ts']],
  [['src/testing/bench/main.ts', 'toString']],
  [['src/testing/bench/main.ts', 'reads', '1', '2']],
  [['src/local/broker/main.ts', '--data-dir', 'unused', '--port', '70000']],
  [['src/local/broker/main.ts']],
])(
  '%p is not understood, which is exit code 2 with the usage',
  async (command) => {
    const { stdout, stderr, code } = await run(...command)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/(^|\n)Usage: /)
    expect(stderr).not.toMatch(/\n +at /)
  },
  60_000,
)
