/**
 * Schemathesis against both services: `npm run fuzz`. Requests that are made from the OpenAPI documents,
 * valid and not, have to be answered as documented. Starts a stack of its own, with the seed. Says so
 * and passes where there is no Python. Exits 1 when a service fails.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { localDatabaseUrl, type ServiceName, serviceNames } from '../../config/config.ts'
import { optionsOrExit } from '../../platform/process/options.ts'
import { freePort } from '../../platform/process/ports.ts'
import { openKeys } from '../api-keys.ts'
import { eventually } from '../eventually.ts'
import { pythonWith } from '../installed.ts'

const usage = `Usage: npm run fuzz [-- --seconds N] [--seed N]
  --seconds  for each service, both at once (default 40); more where they do not suffice for 200 requests
  --seed     to repeat a run`
const options = optionsOrExit(usage, {
  seconds: { type: 'string', default: '40' },
  seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
})
const here = import.meta.dir

/** Fewer are no test of a service: on a busy machine it takes longer, or fails. */
const requestsMin = 200
const secondsMax = 600

async function fuzz(program: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-fuzz-'))
  const ports = { wallet: freePort(), balances: freePort() }
  const postgresPort = freePort()
  const stack = startStack(folder, { ...ports, postgres: postgresPort })
  try {
    const outcomes = await Promise.all(
      serviceNames.map(async (service) => {
        const port = ports[service]
        await waitUntilReady(stack, port)
        await using keys = openKeys({ url: localDatabaseUrl(service, postgresPort) })
        const headers = await keys.create()
        // A key that is not known would have all requests refused, which is documented as well.
        const { status } = await fetch(`http://127.0.0.1:${port}${anyRead[service]}`, { headers })
        if (status !== 200) throw new Error(`${service} refuses its key: ${status}`)
        return attack(program, { service, port, folder, ...headers })
      }),
    )
    const failed = outcomes.filter((passed) => !passed).length
    console.log(`\n ${outcomes.length - failed} pass\n ${failed} fail`)
    return failed > 0 ? 1 : 0
  } finally {
    stack.kill('SIGTERM')
    await stack.exited
    rmSync(folder, { recursive: true, force: true })
  }
}

const anyRead = { wallet: '/accounts', balances: '/balances' }

type Stack = ReturnType<typeof startStack>

type Ports = Record<ServiceName | 'postgres', number>

const startStack = (folder: string, { wallet, balances, postgres }: Ports) =>
  Bun.spawn([process.execPath, join(here, '../../local/start.ts')], {
    env: {
      ...{ PATH: process.env.PATH, HOME: process.env.HOME },
      ...{ WALLET_PORT: String(wallet), BALANCES_PORT: String(balances) },
      ...{ POSTGRES_PORT: String(postgres), KAFKA_PORT: String(freePort()) },
      // With keys, as the documents say, and without an end to what one caller may send.
      ...{ AUTH: 'keys', RATE_LIMIT_KEY: '0', RATE_LIMIT_ADDRESS: '0' },
      // Any of them may be asked for in any order, and one stops the broker.
      CONSOLE_ACTIONS: 'false',
      DATA_DIR: join(folder, 'data'),
    },
    stdin: 'ignore',
    stdout: Bun.file(join(folder, 'log')),
    stderr: Bun.file(join(folder, 'log')),
  })

const waitUntilReady = (stack: Stack, port: number): Promise<void> =>
  eventually(
    async () => {
      if (stack.exitCode !== null) throw new Error(`the stack ended with ${stack.exitCode}`)
      const { status } = await fetch(`http://127.0.0.1:${port}/readyz`)
      if (status !== 200) throw new Error(`port ${port} is not ready: ${status}`)
    },
    { timeoutMs: 120_000 },
  )

type Target = { service: string; port: number; folder: string; authorization: string }

/** Prints what it found, or one line. */
async function attack(program: string, target: Target): Promise<boolean> {
  for (let seconds = Number(options.seconds); ; seconds *= 2) {
    const { code, report, requests } = await send(program, target, seconds)
    const isEnough = requests >= requestsMin
    if (code === 0 && !isEnough && seconds * 2 <= secondsMax) continue
    const verdict = code === 0 && isEnough ? 'pass' : 'fail'
    const need = isEnough ? '' : `, of ${requestsMin} at least`
    console.log(`(${verdict}) ${target.service}: ${requests} requests${need}, seed ${options.seed}`)
    if (code !== 0) console.log(report)
    return verdict === 'pass'
  }
}

/** Sends requests for so long. */
async function send(program: string, { port, folder, authorization }: Target, seconds: number) {
  const command = [
    ...[program, '--config-file', join(here, 'schemathesis.toml'), 'run'],
    ...[`http://127.0.0.1:${port}/openapi.json`, '--no-color', '--header', `Authorization: ${authorization}`],
    ...['--max-time', String(seconds), '--seed', options.seed],
  ]
  const child = Bun.spawn(command, {
    cwd: mkdtempSync(join(folder, 'run-')),
    env: { PATH: process.env.PATH, HOME: folder, PYTHONPATH: here, PYTHONDONTWRITEBYTECODE: '1' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, complaints, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  const requests = Number(/(\d+) generated/.exec(output)?.[1] ?? 0)
  return { code, report: `${output}${complaints}`, requests }
}

const installed = await pythonWith(['schemathesis==4.32.5'])
if (installed.ok) process.exitCode = await fuzz(join(installed.bin, 'schemathesis'))
else console.log(`Schemathesis is skipped: ${installed.reason}`)
