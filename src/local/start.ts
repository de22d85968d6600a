/**
 * Everything on one machine, for a laptop without Docker: PostgreSQL, the local broker and both
 * services, each a child process that is restarted when it exits and never outlives this one.
 * `bun src/local/start.ts [--fresh] [--watch] [--lifeline]`, run by `npm start` and `npm run dev`.
 *
 * Exit codes: 0 after an orderly stop, 1 if the start failed, 130 if a second Ctrl-C cut the stop
 * short.
 */
import { rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { version } from '../../package.json'
import {
  ConfigError,
  localDatabaseUrl,
  readStartConfig,
  type ServiceName,
  type StartConfig,
  serviceNames,
} from '../config/config.ts'
import { eva, frank } from '../config/local.ts'
import { optionsOrExit } from '../platform/process/options.ts'
import { describeHolder, freePort, portConflictOf } from '../platform/process/ports.ts'
import { backoffMs, keepTrying, pause } from '../platform/process/retry.ts'
import { type ChildLog, openChildLog, presentLogLine } from './child-log.ts'
import { NotPossible, serveControl } from './control.ts'
import { type DirectoryLock, DirectoryTaken, explainUnusable, lockDirectory } from './directory-lock.ts'
import { startPostgres, stopPostgres } from './postgres/cluster.ts'
import { makePrivate, makeTreePrivate } from './private-files.ts'
import {
  createSwitch,
  type ProcessOptions,
  type Start,
  type Supervised,
  type Switch,
  startProcess,
  supervise,
  wasKilled,
} from './supervise.ts'

const root = resolve(import.meta.dir, '../..')
/** Everything listens on the loopback address only. */
const host = '127.0.0.1'
const backoff = { firstMs: 500, limitMs: 10_000 }
/** How long an ordered stop may take after the launcher was killed. */
const orphanStopMs = 2000
/** How long the processes of a killed run may still hold ports and files. */
const patienceMs = 5000
/** After this time a silent start reports progress. */
const progressMs = 5000
/** The same line of the same child is not shown again within this time. */
const repeatMs = 10_000
/** How long the answer of an action has to reach the console before balances is killed. */
const answerMs = 500
/** Signals closer together are one Ctrl-C, which the terminal, `bun run` and the launcher each hand on. */
const sameKeyMs = 1000

/** What the shell may have set for services elsewhere: on this machine there is no TLS and no login. */
const ofDeployments = [
  ...[
    'TLS_CERT_FILE',
    'TLS_KEY_FILE',
    'DATABASE_CA',
    'DATABASE_CA_FILE',
    'KAFKA_SSL',
    'KAFKA_SASL_MECHANISM',
  ],
  ...['KAFKA_CA', 'KAFKA_CA_FILE', 'KAFKA_CERT', 'KAFKA_CERT_FILE', 'KAFKA_KEY', 'KAFKA_KEY_FILE'],
]

/** An error that the user can fix. Shown without a stack trace. */
class StartError extends Error {}

const usage = `Usage: npm start [-- --fresh --watch]
  Runs PostgreSQL, the broker and both services until Ctrl-C. The two dashes pass the options through npm.
  --fresh deletes the data first.
  --watch restarts a service when a file that it uses changes: npm run dev.
  WALLET_PORT, BALANCES_PORT, POSTGRES_PORT, KAFKA_PORT and DATA_DIR change where: see docs/running.md.`
const flag = { type: 'boolean', default: false } as const
const options = optionsOrExit(usage, { fresh: flag, watch: flag, lifeline: flag })
// Ledgers, events and passwords are for their owner alone; the children inherit it.
process.umask(0o077)
const config = readConfigOrExit()
const { dataDir } = config
let lock: DirectoryLock | undefined
/** Those of one list at the same time, the lists one after the other. */
let stopOrder: Pick<Supervised, 'stop'>[][] = []
/** Set once a stop was requested. */
let stopped: Promise<void> | undefined
stopOnSignals()
if (options.lifeline) stopWithStdin()
await start().catch(fail)

/** Resolves once everything is ready, or a stop was requested. */
async function start(): Promise<void> {
  lock = lockDataDir()
  closeToOthers()
  if (options.fresh) await wipe()
  await claimPorts(lock.afterKill)
  say(`Saldo ${version} on Bun ${Bun.version} is starting, data in ${shown(dataDir)}`)

  const deadline = performance.now() + (lock.afterKill ? patienceMs : 0)
  const database = run(postgresPart(), deadline)
  const ofBroker = brokerPart()
  const broker = createSwitch(() => run(ofBroker, deadline))
  stopOrder = [[broker], [database]]
  await Promise.all([database.ready, broker.ready])
  if (stopped) return

  const wallet = run(servicePart('wallet'))
  const control = openControl(broker, wallet, () => balances)
  const balances: Supervised = run(servicePart('balances', controlEnvironment(control)))
  stopOrder.unshift([control], [wallet, balances])
  await Promise.all([wallet.ready, balances.ready])
  if (!stopped) console.log(presentStack())
}

/** Throws when another supervisor has the directory. */
function lockDataDir(): DirectoryLock {
  try {
    return lockDirectory(dataDir)
  } catch (error) {
    if (!(error instanceof DirectoryTaken)) throw error
    throw new StartError(
      `another npm start, process ${error.pid ?? 'unknown'}, runs on ${shown(dataDir)}: ` +
        `stop it (Ctrl-C there, or kill ${error.pid ?? 'it'}), ` +
        'or start a second one with DATA_DIR and other ports',
    )
  }
}

/** For the actions of the console. A user may turn them off. */
function controlEnvironment({ url, token }: ReturnType<typeof serveControl>) {
  const isAllowed = process.env.CONSOLE_ACTIONS || 'true'
  return { CONSOLE_ACTIONS: isAllowed, CONSOLE_CONTROL_URL: url, CONSOLE_CONTROL_TOKEN: token }
}

/** What the console may ask for: docs/console.md. `balancesOf` is asked once it can ask. */
function openControl(broker: Switch, wallet: Supervised, balancesOf: () => Supervised) {
  return serveControl({
    async 'stop-broker'() {
      await broker.off()
      say('broker stopped by the console')
      return 'the broker is stopped until it is started by hand'
    },
    async 'start-broker'() {
      await broker.on()
      return 'the broker runs'
    },
    async 'kill-wallet'() {
      if (!wallet.kill())
        throw new NotPossible('the wallet does not run at the moment: it is being restarted')
      return 'the wallet was killed (SIGKILL), and is restarted'
    },
    async 'kill-balances'() {
      setTimeout(() => balancesOf().kill(), answerMs)
      return 'balances is killed (SIGKILL) now, and is restarted'
    },
  })
}

type Part = { name: string; address: string; log: ChildLog; start: Start }

function postgresPart(): Part {
  const log = openChildLog(join(dataDir, 'logs/postgres.log'))
  // As `localDatabaseUrl` says it.
  const databases = serviceNames.map((name) => ({ name, user: name, password: name }))
  const options = { dataDir: join(dataDir, 'postgres'), port: config.postgresPort, databases, log: log.write }
  return {
    name: 'PostgreSQL',
    address: `${host}:${config.postgresPort}`,
    log,
    start: (signal) => startPostgres(options, signal),
  }
}

function brokerPart(): Part {
  const port = String(config.kafkaPort)
  const script = ['src/local/broker/main.ts', '--data-dir', join(dataDir, 'broker')]
  const command = [...script, '--host', host, '--port', port]
  return processPart('broker', `${host}:${port}`, command, {}, { line: /^ready / })
}

function servicePart(name: ServiceName, more: Record<string, string> = {}): Part {
  const owner = localDatabaseUrl(name, config.postgresPort)
  const env = {
    SERVICE: name,
    HOST: host,
    PORT: String(portOf(name)),
    // A service works as a role that it makes for itself, as the owner.
    DATABASE_URL: localDatabaseUrl(name, config.postgresPort, `${name}_service`),
    MIGRATION_DATABASE_URL: owner,
    KAFKA_BROKERS: `${host}:${config.kafkaPort}`,
    MIGRATE_ON_START: 'true',
    SEED_ON_START: 'true',
    ...publicAddresses(name),
    // A comma would separate two.
    DISK_FOLDERS: dataDir.includes(',') ? '' : resolve(dataDir),
    LOG_FORMAT: 'json',
    ...more,
    ...Object.fromEntries(ofDeployments.map((variable) => [variable, ''])),
  }
  const command = [...(options.watch ? ['--watch', '--no-clear-screen'] : []), 'src/main.ts']
  return processPart(name, urlOf(name), command, env, { url: `${urlOf(name)}/readyz` })
}

/** For the console, a page of balances that calls the wallet. Origins that the user allows stay allowed. */
function publicAddresses(name: ServiceName): Record<string, string> {
  if (name === 'balances') return { WALLET_PUBLIC_URL: urlOf('wallet') }
  const pages = [urlOf('balances'), `http://${host}:${config.balancesPort}`]
  const origins = [process.env.CORS_ORIGINS, ...pages].filter(Boolean)
  return { BALANCES_PUBLIC_URL: urlOf('balances'), CORS_ORIGINS: origins.join() }
}

function processPart(
  name: string,
  address: string,
  script: string[],
  env: Record<string, string>,
  ready: ProcessOptions['ready'],
): Part {
  const log = openChildLog(join(dataDir, 'logs', `${name}.log`))
  const command = [process.execPath, ...script, '--lifeline']
  // Settings of the user for the services, such as LOG_LEVEL, go through; ours win.
  const options = { command, cwd: root, env: { ...process.env, ...env }, log: log.write, ready }
  return { name, address, log, start: (signal) => startProcess(options, signal) }
}

function portOf(name: ServiceName): number {
  return name === 'wallet' ? config.walletPort : config.balancesPort
}

/** The service's address as a person on this machine would type it. */
function urlOf(name: ServiceName): string {
  return `http://localhost:${portOf(name)}`
}

/**
 * Keeps a part running and tells the terminal what becomes of it. `ready` rejects with what the
 * part said last. Until the deadline a start that fails is tried again at once.
 */
function run({ name, address, log, start }: Part, deadline = 0): Supervised {
  const startedAt = performance.now()
  const ticker = setInterval(
    () => say(`${name} is still starting (${seconds(performance.now() - startedAt)})`),
    progressMs,
  )
  log.onLine = showUrgent(name)

  const startPatiently = (signal: AbortSignal) =>
    keepTrying(() => start(signal), {
      backoff: { firstMs: 100, limitMs: 100 },
      signal,
      isRetryable: () => performance.now() < deadline,
      onFailure() {},
    })
  const supervised = supervise(startPatiently, {
    delayMs: (attempt) => backoffMs(backoff, attempt, () => 1),
    pause,
    onEnd(how, delayMs) {
      if (stopped) return
      // If it was killed, its last lines do not explain why.
      const tail = tailOf(log)
      const lines = wasKilled(how) ? [] : tail
      say([`${name} ${how}, starting it again in ${seconds(delayMs)}`, ...lines].join('\n'))
    },
    onReady: (tookMs) => say(`${name.padEnd('PostgreSQL'.length)}  ready on ${address} (${seconds(tookMs)})`),
  })
  const ready = supervised.ready
    .catch((error) => {
      throw new StartError([`${name} could not be started: ${error.message}`, ...tailOf(log)].join('\n'))
    })
    .finally(() => clearInterval(ticker))
  return { ...supervised, ready }
}

/**
 * Shows warnings and errors as they come, the same one not over and over, and none of those that
 * stopping brings about.
 */
function showUrgent(name: string): (line: string) => void {
  const shownAt = new Map<string, number>()
  return (line) => {
    const { urgent, text } = presentLogLine(line)
    const now = performance.now()
    if (!urgent || stopped || now - (shownAt.get(text) ?? Number.NEGATIVE_INFINITY) < repeatMs) return
    shownAt.set(text, now)
    say(`${name}: ${text}`)
  }
}

function tailOf(log: ChildLog): string[] {
  return [...log.takeTail().map((line) => `  | ${line}`), `  (all of it: ${shown(log.path)})`]
}

/** Removes only our own files from the data directory, which may hold other things. */
async function wipe(): Promise<void> {
  await stopPostgres(join(dataDir, 'postgres'))
  for (const name of ['postgres', 'broker', 'logs'])
    rmSync(join(dataDir, name), { recursive: true, force: true })
  say(`wiped the data in ${shown(dataDir)}`)
}

/**
 * What an earlier version left open. PostgreSQL sees to its own; the directory itself may be
 * somebody's with other things in it.
 */
function closeToOthers(): void {
  for (const name of ['broker', 'logs']) makeTreePrivate(join(dataDir, name))
  makePrivate(join(dataDir, 'postgres'))
}

/**
 * Throws, before anything is started, when a port is taken or given twice. After a killed run it
 * waits until that one's children are gone.
 */
async function claimPorts(afterKill: boolean): Promise<void> {
  const wanted = [
    { name: 'PostgreSQL', variable: 'POSTGRES_PORT', port: config.postgresPort },
    { name: 'broker', variable: 'KAFKA_PORT', port: config.kafkaPort },
    { name: 'wallet', variable: 'WALLET_PORT', port: config.walletPort },
    { name: 'balances', variable: 'BALANCES_PORT', port: config.balancesPort },
  ]
  for (const [index, { variable, port }] of wanted.entries()) {
    const other = wanted.slice(0, index).find((each) => each.port === port)
    if (other)
      throw new StartError(`${other.variable} and ${variable} are both ${port}: give each its own port`)
  }

  const findTaken = () => wanted.filter(({ port }) => portConflictOf(port, host))
  const deadline = performance.now() + (afterKill ? patienceMs : 0)
  let taken = findTaken()
  if (afterKill && taken.length > 0) say('the run before was killed: waiting for what it left behind to end')
  for (; taken.length > 0 && performance.now() < deadline; taken = findTaken()) await Bun.sleep(100)
  const explained = taken.map(({ name, variable, port }) => {
    const remedy = `choose another with ${variable}=${freePort()}`
    const why = portConflictOf(port, host)
    if (why === 'EADDRINUSE')
      return `port ${port}, for ${name}, is taken by ${describeHolder(port)}: stop that, or ${remedy}`
    return `port ${port}, for ${name}, cannot be used on ${host} (${why}): ${remedy}`
  })
  if (explained.length > 0) throw new StartError(explained.join('\n'))
}

/** Idempotent: the first call stops everything, the others wait for the same end. */
function stop(cause: string): Promise<void> {
  stopped ??= (async () => {
    say(`${cause}, stopping`)
    const startedAt = performance.now()
    // Shifted, since a start that is under way may still add to the list.
    for (let group = stopOrder.shift(); group; group = stopOrder.shift()) {
      await Promise.all(group.map((part) => part.stop()))
    }
    lock?.release()
    say(`stopped (${seconds(performance.now() - startedAt)}), data stays in ${shown(dataDir)}`)
  })()
  return stopped
}

/**
 * SIGHUP is left as it comes: it ends us at once, as the terminal is gone, and the end of our pipes
 * stops the children.
 */
function stopOnSignals(): void {
  let firstAt: number | undefined
  const causes = { SIGINT: 'Ctrl-C', SIGTERM: 'SIGTERM' }
  for (const [signal, cause] of Object.entries(causes)) {
    process.on(signal, () => {
      const now = performance.now()
      firstAt ??= now
      // Nothing is left behind: the children exit when our pipes close.
      if (signal === 'SIGINT' && now - firstAt > sameKeyMs) process.exit(130)
      end(cause)
    })
  }
  // A terminal that is gone takes no more lines, which is no reason to leave everything running.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}

/** The launcher holds the other end of stdin: stop everything when it dies. */
function stopWithStdin(): void {
  process.stdin.on('end', () => {
    setTimeout(() => process.exit(1), orphanStopMs)
    end('launcher gone')
  })
  process.stdin.resume()
}

function end(cause: string): void {
  stop(cause).then(
    () => process.exit(0),
    (error) => {
      console.error(error)
      process.exit(1)
    },
  )
}

async function fail(error: Error): Promise<void> {
  // Failures during a stop are caused by it.
  if (stopped) return
  const unusable = explainUnusable(error)
  if (unusable)
    console.error(
      `DATA_DIR ${shown(dataDir)} cannot be used: ${unusable}. Or set DATA_DIR to another directory.`,
    )
  else console.error(error instanceof StartError ? error.message : error)
  if (stopOrder.length > 0) await stop('could not start')
  else lock?.release()
  process.exit(1)
}

function readConfigOrExit(): StartConfig {
  try {
    const config = readStartConfig(process.env)
    const port = (wanted: number) => wanted || freePort()
    return {
      dataDir: resolve(config.dataDir),
      walletPort: port(config.walletPort),
      balancesPort: port(config.balancesPort),
      postgresPort: port(config.postgresPort),
      kafkaPort: port(config.kafkaPort),
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    console.error(error.message)
    process.exit(1)
  }
}

function presentStack(): string {
  const { kafkaPort, postgresPort } = config
  const [wallet, balances] = [urlOf('wallet'), urlOf('balances')]
  const transfer = JSON.stringify({ account_id_from: eva, account_id_to: frank, amount: 100 })
  return `
Saldo runs.

  console     ${balances} in a browser
  wallet      ${wallet}
  balances    ${balances}
  broker      127.0.0.1:${kafkaPort} (Kafka protocol)
  databases   psql ${localDatabaseUrl('wallet', postgresPort)}
              psql ${localDatabaseUrl('balances', postgresPort)}
  logs        ${shown(join(dataDir, 'logs'))}
  off         TLS, and API keys until the first is made: for this machine only (docs/security.md)

In a second terminal, Eva pays Frank 100:

  curl ${wallet}/transactions -H 'content-type: application/json' -d '${transfer}'

A moment later both balances show it (README.md has the way to wait for it):

  curl ${balances}/balances/${eva}
  curl ${balances}/balances/${frank}

Ctrl-C stops everything; data stays in ${shown(dataDir)} (npm start -- --fresh wipes it).
`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

/** As short as it can be typed from where we are. */
function shown(path: string): string {
  const short = relative(process.cwd(), path)
  return short.startsWith('..') ? path : short || '.'
}

function say(text: string): void {
  console.log(text)
}
