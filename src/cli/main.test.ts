import { expect, test } from 'bun:test'
import { join } from 'node:path'

// Concurrent, because a process takes a while to start.
test.concurrent.each([
  [['nonsense'], 2, /^Unknown command nonsense\.\nUsage: saldo COMMAND .*\n\nCommands:\n {2}status {5}shows/],
  [['rebiuld'], 2, /^Unknown command rebiuld\. Did you mean rebuild\?\n/],
  [
    ['republish', '--account', 'eva'],
    2,
    /^--account must be a UUID, but is "eva"\.\nUsage: saldo republish \[/,
  ],
  [
    ['status', '--wait', '5'],
    2,
    /^Unknown option --wait\. There are .* --wait belongs to reconcile and migrate\.\nUsage: saldo sta/,
  ],
  [
    ['keys', 'lst'],
    2,
    /^keys has no lst\. Did you mean list\? Say one of create, .*\nUsage: saldo keys create/,
  ],
  [['drill', 'broker-stoped'], 2, /^There is no drill broker-stoped\. Did you mean broker-stopped\?\n/],
  [['drill', 'all', '--minutes', '5'], 2, /^--minutes is for drill none: leave it out\.\n/],
  [
    ['drill', 'all'],
    1,
    /^Invalid configuration:\n {2}- DATABASE_URL is set: drills are for npm start on this machine/,
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

const listen = () =>
  // Accepts connections, and never answers: what a command waits for.
  Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })

test.concurrent('Ctrl-C ends with 130, and the last line says how things were left', async () => {
  using server = listen()
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'main.ts'), 'republish'], {
    env: { DATABASE_URL: `postgres://a:b@127.0.0.1:${server.port}/wallet` },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  // It connects after it has set up its signals.
  await new Promise<void>((resolve) => server.reload({ socket: { open: () => resolve(), data() {} } }))
  child.kill('SIGINT')
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect([await child.exited, out]).toEqual([130, ''])
  expect(err).toMatch(/^Interrupted\. What was enqueued is published\. Running it again is safe[^\n]+\n$/)
})
