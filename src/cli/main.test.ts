import { expect, test } from 'bun:test'
import { join } from 'node:path'

// Concurrent, since a process takes a while to be there.
test.concurrent.each([
  [['nonsense'], 2, /^There is no command nonsense\.\nUsage: .*COMMAND is\n {2}reconcile \[.*\n {6}compares/],
  [
    ['republish', '--account', 'eva'],
    2,
    /^--account must be a UUID, but is "eva"\nUsage: bun src\/cli\/main.ts repub/,
  ],
  [['republish'], 1, /^The environment has a fault:\n {2}- DATABASE_URL must be a URL[^\n]*\n$/],
])('%p ends with %p and says why', async (args, code, words) => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'main.ts'), ...args], {
    env: { DATABASE_URL: 'mysql://root:hunter2@localhost/wallet' },
    stderr: 'pipe',
  })
  expect(await new Response(child.stderr).text()).toMatch(words)
  expect(await child.exited).toBe(code)
})
