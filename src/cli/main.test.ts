import { expect, test } from 'bun:test'
import { join } from 'node:path'

// Concurrent, because a process takes a while to start.
test.concurrent.each([
  [['nonsense'], 2, /^Unknown command nonsense\.\nUsage: .* COMMAND\n\nCommands:\n {2}status\n {6}shows/],
  [
    ['republish', '--account', 'eva'],
    2,
    /^--account must be a UUID, but is "eva"\nUsage: bun src\/cli\/main.ts repub/,
  ],
  [['republish'], 1, /^Invalid configuration:\n {2}- DATABASE_URL must be a URL[^\n]*\n$/],
])('%p exits with %p and the reason', async (args, code, words) => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'main.ts'), ...args], {
    env: { DATABASE_URL: 'mysql://root:hunter2@localhost/wallet' },
    stderr: 'pipe',
  })
  expect(await new Response(child.stderr).text()).toMatch(words)
  expect(await child.exited).toBe(code)
})
