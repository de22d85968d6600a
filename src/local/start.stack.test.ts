import { afterAll, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { findPortHolder, listenErrorOf } from '../platform/process/ports.ts'
import { eventually } from '../testing/eventually.ts'
import { findPostmaster } from './postgres/postmaster-pid.ts'

// One data directory for the whole file: the tests cover what one run leaves to the next, and a new
// cluster takes time.
const dataDir = mkdtempSync(join(tmpdir(), 'saldo-start-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'

/** Runs src/local/start.ts as the launcher does, on free ports, and collects its output. */
function spawnStart({ args = [] as string[], env = {} as Record<string, string> } = {}) {
  const child = Bun.spawn([process.execPath, 'src/local/start.ts', ...args, '--lifeline'], {
    cwd: join(import.meta.dir, '../..'),
    env: {
      ...process.env,
      DATA_DIR: dataDir,
      WALLET_PORT: '0',
      BALANCES_PORT: '0',
      POSTGRES_PORT: '0',
      KAFKA_PORT: '0',
      ...env,
    },
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  let printed = ''
  const reading = Promise.all(
    [child.stdout, child.stderr].map(async (stream) => {
      for await (const chunk of stream) printed += new TextDecoder().decode(chunk)
    }),
  )
  const says = (text: string | RegExp) => eventually(() => expect(printed).toMatch(text))
  const portOf = (title: string) => Number(new RegExp(`${title} +ready on \\S*:(\\d+)`).exec(printed)?.[1])
  const ports = () => ['PostgreSQL', 'broker', 'wallet', 'balances'].map(portOf)
  return {
    child,
    says,
    portOf,
    printed: () => printed,
    runs: () => says('Saldo runs.'),
    async ended() {
      const code = await child.exited
      await reading
      return code
    },
    /** Waits until everything it started has ended. */
    leavesNothing: () =>
      eventually(
        () => {
          expect(ports().map((port) => listenErrorOf(port))).toEqual([null, null, null, null])
          expect(findPostmaster(join(dataDir, 'postgres/cluster'))).toBeNull()
        },
        { timeoutMs: 3000 },
      ),
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await child.exited
    },
  }
}

type Start = ReturnType<typeof spawnStart>

async function balanceOfEva(start: Start): Promise<{ balance: number }> {
  const answer = await fetch(`http://127.0.0.1:${start.portOf('balances')}/balances/${eva}`)
  return (await answer.json()) as { balance: number }
}

test('--fresh wipes our data and nothing else', async () => {
  // A cluster that no current PostgreSQL can start.
  mkdirSync(join(dataDir, 'postgres/cluster'), { recursive: true })
  writeFileSync(join(dataDir, 'postgres/cluster/PG_VERSION'), '9\n')
  writeFileSync(join(dataDir, 'unrelated-file'), '')

  await using start = spawnStart({ args: ['--fresh'] })
  await start.says(/^PostgreSQL +ready on /m)
  expect(existsSync(join(dataDir, 'unrelated-file'))).toBe(true)
  // A stop during the start has to end well, too.
  start.child.kill('SIGTERM')
  expect(await start.ended()).toBe(0)
})

test('a first start seeds, its printed calls work, and repeated Ctrl-C stops everything', async () => {
  await using start = spawnStart()
  await start.runs()
  expect(start.printed()).not.toMatch(/FATAL|ERROR|failed/)
  expect(await balanceOfEva(start)).toMatchObject({ balance: 800 })

  const [transfer, balance] = [...start.printed().matchAll(/^ {2}curl (.*)$/gm)].map(
    ([, words]) => words ?? '',
  )
  const [, url, body] = /^(\S+) -H 'content-type: application\/json' -d '(.*)'$/.exec(transfer ?? '') ?? []
  const answer = await fetch(url ?? '', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: body ?? '',
  })
  expect(answer.status).toBe(201)
  // The console is a page of balances, which calls the wallet.
  for (const host of ['localhost', '127.0.0.1']) {
    const origin = `http://${host}:${start.portOf('balances')}`
    const { headers } = await fetch(url ?? '', { headers: { origin } })
    expect(headers.get('access-control-allow-origin')).toBe(origin)
  }
  await eventually(async () => {
    const read = await fetch(balance ?? '')
    expect(await read.json()).toMatchObject({ account_id: eva, balance: 700 })
  })

  for (let times = 0; times < 3; times++) start.child.kill('SIGINT')
  expect(await start.ended()).toBe(0)
  expect(start.printed()).toMatch(/\nCtrl-C, stopping\nstopped \(.*\), data stays in .*\n$/)
  await start.leavesNothing()
})

test('a second start keeps the data, refuses a rival and restarts killed children', async () => {
  await using start = spawnStart()
  await start.runs()
  expect(await balanceOfEva(start)).toMatchObject({ balance: 700 })

  await using rival = spawnStart()
  expect(await rival.ended()).toBe(1)
  expect(rival.printed()).toMatch(`another npm start, process ${start.child.pid}, runs on`)

  for (const titles of [['balances', 'broker'], ['PostgreSQL']]) {
    for (const title of titles)
      process.kill(findPortHolder(start.portOf(title))?.pid ?? Number.NaN, 'SIGKILL')
    for (const title of titles) {
      await start.says(
        // Without lines of its log, which did not cause this.
        new RegExp(
          `^${title} killed by signal 9 \\(SIGKILL\\), starting it again in 0.5 s\\n(?!  \\|)` +
            `[^]*^${title} +ready on `,
          'm',
        ),
      )
    }
  }
  await eventually(async () => expect(await balanceOfEva(start)).toMatchObject({ balance: 700 }))

  start.child.stdin.end()
  await start.ended()
  expect(start.printed()).toContain('launcher gone, stopping')
  await start.leavesNothing()
})

test('the console stops the broker until it is started, and kills services, which restart', async () => {
  await using start = spawnStart()
  await start.runs()
  const balances = `http://127.0.0.1:${start.portOf('balances')}`
  const pidAt = (title: string) => findPortHolder(start.portOf(title))?.pid
  const act = async (name: string) => {
    const answer = await fetch(`${balances}/console/actions/${name}`, { method: 'POST' })
    expect([name, answer.status]).toEqual([name, 200])
  }
  expect(await (await fetch(`${balances}/console/settings`)).json()).toMatchObject({
    actions: true,
    local: true,
  })

  for (let times = 0; times < 2; times++) await act('stop-broker')
  expect(listenErrorOf(start.portOf('broker'))).toBeNull()
  // Longer than supervision takes to restart what has ended by itself.
  await Bun.sleep(1500)
  expect(listenErrorOf(start.portOf('broker'))).toBeNull()
  expect(start.printed()).toContain('broker stopped by the console')
  expect(start.printed()).not.toContain('broker ended')
  for (let times = 0; times < 2; times++) await act('start-broker')
  expect(listenErrorOf(start.portOf('broker'))).toBe('EADDRINUSE')

  for (const name of ['wallet', 'balances']) {
    const pid = pidAt(name)
    await act(`kill-${name}`)
    await start.says(new RegExp(`^${name} killed by signal 9 \\(SIGKILL\\), starting it again`, 'm'))
    await eventually(async () => {
      expect(pidAt(name)).not.toBe(pid)
      const url = `http://127.0.0.1:${start.portOf(name)}/readyz`
      expect((await fetch(url)).status).toBe(200)
    })
  }
  await act('stop-broker')
  start.child.kill('SIGINT')
  expect(await start.ended()).toBe(0)
  await start.leavesNothing()
}, 120_000)

test('nothing outlives a killed supervisor, and the next start recovers', async () => {
  await using killed = spawnStart()
  await killed.runs()
  const ports = { POSTGRES_PORT: `${killed.portOf('PostgreSQL')}`, KAFKA_PORT: `${killed.portOf('broker')}` }
  killed.child.kill('SIGKILL')

  // At once and on the same ports: the start waits for the processes of the killed one to end.
  await using next = spawnStart({ env: ports })
  await next.runs()
  expect([killed.portOf('wallet'), killed.portOf('balances')].map((port) => listenErrorOf(port))).toEqual([
    null,
    null,
  ])
  expect(await balanceOfEva(next)).toMatchObject({ balance: 700 })

  next.child.kill('SIGKILL')
  await next.leavesNothing()
})

// The last of those with data: from then on its services want keys.
test('drills find what they cause by its alert, and undo it, also on Ctrl-C', async () => {
  await using start = spawnStart()
  await start.runs()
  const [postgres, broker, wallet, balances] = ['PostgreSQL', 'broker', 'wallet', 'balances'].map(
    start.portOf,
  )
  const env = {
    ...{ PATH: process.env.PATH, DATA_DIR: dataDir, POSTGRES_PORT: `${postgres}`, KAFKA_PORT: `${broker}` },
    ...{ WALLET_PORT: `${wallet}`, BALANCES_PORT: `${balances}` },
  }
  const drill = (name: string, more = {}) =>
    Bun.spawn([process.execPath, 'src/cli/main.ts', 'drill', name, '--json'], {
      ...{ cwd: join(import.meta.dir, '../..'), env: { ...env, ...more }, stdout: 'pipe', stderr: 'pipe' },
    })
  for (const name of ['relay-without-leader', 'outbox-full']) {
    const run = drill(name)
    const [result, said] = [await new Response(run.stdout).json(), await new Response(run.stderr).text()]
    expect(result).toMatchObject({ drill: name, fault: null })
    expect(Math.max(result.found_seconds, result.clear_seconds)).toBeLessThan(60)
    expect([await run.exited, said]).toEqual([0, expect.stringContaining('Waiting for Saldo')])
  }

  const pid = findPortHolder(broker ?? 0)?.pid
  const state = () => Bun.spawnSync(['ps', '-o', 'state=', '-p', String(pid)]).stdout.toString()
  const interrupted = drill('broker-stopped')
  await eventually(() => expect(state()).toStartWith('T'))
  interrupted.kill('SIGINT')
  expect(await interrupted.exited).toBe(130)
  expect(await new Response(interrupted.stderr).text()).toEndWith('What a drill caused is undone.\n')
  expect(state()).not.toStartWith('T')

  const keyOf = (service: string, scopes: string) => {
    const args = ['keys', 'create', '--service', service, '--name', 'drill', '--scopes', scopes]
    const command = [process.execPath, 'src/cli/main.ts', ...args]
    return Bun.spawnSync(command, { cwd: join(import.meta.dir, '../..'), env }).stdout.toString()
  }
  const keyFile = join(dataDir, 'wallet.key')
  writeFileSync(keyFile, keyOf('wallet', 'metrics,write'))
  const keys = { WALLET_API_KEY_FILE: keyFile, BALANCES_API_KEY: keyOf('balances', 'metrics,admin').trim() }
  await eventually(async () => {
    for (const port of [wallet, balances])
      expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(401)
  })
  const refused = drill('poison-record')
  expect(await refused.exited).toBe(1)
  expect(await new Response(refused.stderr).text()).toContain('wants an API key (401): set ')
  const allowed = drill('poison-record', keys)
  expect(await new Response(allowed.stdout).json()).toMatchObject({ drill: 'poison-record', fault: null })
  expect(await allowed.exited).toBe(0)

  using other = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  const elsewhere = drill('broker-stopped', { KAFKA_PORT: `${other.port}` })
  expect(await elsewhere.exited).toBe(1)
  expect(await new Response(elsewhere.stderr).text()).toStartWith(
    `Port ${other.port} is not that of the broker`,
  )
}, 120_000)

test('taken ports are named before anything starts, with their holder and the remedy', async () => {
  using listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  const port = String(listener.port)
  await using start = spawnStart({ env: { WALLET_PORT: port, DATA_DIR: join(dataDir, 'unused') } })

  expect(await start.ended()).toBe(1)
  expect(start.printed()).toMatch(`port ${port}, for wallet, is taken by process ${process.pid} (`)
  expect(start.printed()).toMatch(/choose another with WALLET_PORT=\d+\n$/)
  expect(start.printed()).not.toContain('starting')
})

test('two parts on one port are refused', async () => {
  await using start = spawnStart({ env: { WALLET_PORT: '18080', BALANCES_PORT: '18080' } })

  expect(await start.ended()).toBe(1)
  expect(start.printed()).toBe('WALLET_PORT and BALANCES_PORT are both 18080: give each its own port\n')
})

test.each([
  ['a file', () => writeFileSync(join(dataDir, 'file'), ''), 'file', 'it is a file'],
  [
    'below a file',
    () => writeFileSync(join(dataDir, 'file'), ''),
    'file/below',
    'it is a file, or lies below one',
  ],
  [
    'where nothing can be made',
    () => {},
    process.platform === 'linux' ? '/proc/saldo' : '/dev/null/saldo',
    'cannot be made',
  ],
])('a DATA_DIR that is %s is refused in one sentence', async (_, prepare, path, words) => {
  prepare()
  await using start = spawnStart({ env: { DATA_DIR: resolve(dataDir, path) } })

  expect(await start.ended()).toBe(1)
  expect(start.printed()).toMatch(/^DATA_DIR \S+ cannot be used: [^\n]+\n$/)
  expect(start.printed()).toMatch(process.platform === 'linux' ? words : 'DATA_DIR')
})
