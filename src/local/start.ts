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
import {
  ConfigError,
  localDatabaseUrl,
  readStartConfig,
  type ServiceName,
  type StartConfig,
} from '../config/config.ts'
import { optionsOrExit } from '../platform/process/options.ts'
import { describeHolder, freePort, listenErrorOf } from '../platform/process/ports.ts'
import { backoffMs, pause } from '../platform/process/retry.ts'
import { type ChildLog, openChildLog, presentLogLine } from './child-log.ts'
import { type DirectoryLock, DirectoryTaken, explainUnusable, lockDirectory } from './directory-lock.ts'
import { type Database, startPostgres, stopPostgres } from './postgres/cluster.ts'
import { makePrivate, makeTreePrivate } from './private-files.ts'
import {
  type Part,
  type ProcessOptions,
  type Supervised,
  startProcess,
  supervise,
  wasKilled,
} from './supervise.ts'

const root = resolve(import.meta.dir, '../..')
/** Everything listens on the loopback address only. */
const host = '127.0.0.1'
const backoff = { firstMs: 500, limitMs: 10_000 }
/** How long an ordered stop may take after the launcher was killed, in milliseconds. */
const orphanStopMs = 2000
/** How long the processes of a killed run may still hold ports and files, in milliseconds. */
const patienceMs = 5000
/** After this time a silent start reports progress, in milliseconds. */
const progressMs = 5000
/** The same line of the same child is not shown again within this time, in milliseconds. */
const repeatMs = 10_000
/**
 * Signals closer together than this are one Ctrl-C, which the terminal, `bun run` and the launcher
 * each hand on, in milliseconds.
 */
const sameKeyMs = 1000

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'

/** An error that the user can fix. Shown without a stack trace. */
class StartError extends Error {}

type Stack = {
  config: StartConfig
  lock?: DirectoryLock
  /** Those of one list at the same time, the lists one after the other. */
  stopOrder: Supervised[][]
  /** Set once a stop was requested. */
  stopped?: Promise<void>
}

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
const stack: Stack = { config, stopOrder: [] }
stopOnSignals(stack)
if (options.lifeline) stopWithStdin(stack)
await start(stack).catch((error) => fail(stack, error))

/** Resolves once everything is ready, or a stop was requested. */
async function start(stack: Stack): Promise<void> {
  const { config } = stack
  stack.lock = lock(config.dataDir)
  closeToOthers(config.dataDir)
  if (options.fresh) await wipe(config.dataDir)
  await claimPorts(stack.lock, config)
  say(`starting, data in ${shown(config.dataDir)}`)

  const patient = stack.lock.afterKill ? tryAgainFor(patienceMs) : (part: StartPart) => part
  const database = run(stack, patient(postgresPart(config)))
  const broker = run(stack, patient(brokerPart(config)))
  stack.stopOrder = [[broker], [database]]
  await Promise.all([database.ready, broker.ready])
  if (stack.stopped) return

  const services = [run(stack, servicePart(config, 'wallet')), run(stack, servicePart(config, 'balances'))]
  stack.stopOrder.unshift(services)
  await Promise.all(services.map(({ ready }) => ready))
  if (!stack.stopped) console.log(presentStack(config))
}

/** Throws when another supervisor has the directory. */
function lock(dataDir: string): DirectoryLock {
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

type StartPart = Part & { title: string; address: string; log: ChildLog }

function postgresPart({ dataDir, postgresPort }: StartConfig): StartPart {
  const log = openChildLog(join(dataDir, 'logs/postgres.log'))
  return {
    name: 'postgres',
    title: 'PostgreSQL',
    address: `127.0.0.1:${postgresPort}`,
    log,
    start: (signal) =>
      startPostgres(
        {
          dataDir: join(dataDir, 'postgres'),
          port: postgresPort,
          databases: [databaseOf('wallet'), databaseOf('balances')],
          log: log.write,
        },
        signal,
      ),
  }
}

/** As `localDatabaseUrl` says it. */
function databaseOf(name: ServiceName): Database {
  return { name, user: name, password: name }
}

/**
 * The wallet works as a role that it makes for itself, as the owner; balances as the owner. Empty
 * is as good as absent.
 */
function databaseUrls(name: ServiceName, { postgresPort }: StartConfig) {
  const owner = localDatabaseUrl(name, postgresPort)
  return name === 'wallet'
    ? { DATABASE_URL: localDatabaseUrl(name, postgresPort, 'wallet_service'), MIGRATION_DATABASE_URL: owner }
    : { DATABASE_URL: owner, MIGRATION_DATABASE_URL: '' }
}

function brokerPart({ dataDir, kafkaPort }: StartConfig): StartPart {
  return processPart({
    name: 'broker',
    address: `127.0.0.1:${kafkaPort}`,
    dataDir,
    script: 'src/local/broker/main.ts',
    args: ['--data-dir', join(dataDir, 'broker'), '--host', host, '--port', String(kafkaPort)],
    env: {},
    ready: { line: /^ready / },
  })
}

function servicePart(config: StartConfig, name: ServiceName): StartPart {
  const { dataDir, kafkaPort } = config
  const port = name === 'wallet' ? config.walletPort : config.balancesPort
  return processPart({
    name,
    address: urlOf(config, name),
    dataDir,
    runtimeArgs: options.watch ? ['--watch', '--no-clear-screen'] : [],
    script: 'src/main.ts',
    args: [],
    env: {
      SERVICE: name,
      HOST: host,
      PORT: String(port),
      ...databaseUrls(name, config),
      KAFKA_BROKERS: `127.0.0.1:${kafkaPort}`,
      MIGRATE_ON_START: 'true',
      SEED_ON_START: 'true',
      LOG_FORMAT: 'json',
    },
    ready: { url: `${urlOf(config, name)}/readyz` },
  })
}

type ProcessPart = Pick<ProcessOptions, 'env' | 'ready'> & {
  name: string
  address: string
  dataDir: string
  runtimeArgs?: string[]
  script: string
  args: string[]
}

function processPart(part: ProcessPart): StartPart {
  const { name, address, dataDir, runtimeArgs = [], script, args, env, ready } = part
  const log = openChildLog(join(dataDir, 'logs', `${name}.log`))
  const command = [process.execPath, ...runtimeArgs, script, ...args, '--lifeline']
  // Settings of the user for the services, such as LOG_LEVEL, go through; ours win.
  const options = { command, cwd: root, env: { ...process.env, ...env }, log: log.write, ready }
  return { name, title: name, address, log, start: (signal) => startProcess(options, signal) }
}

/** Parts that are tried again at once when they cannot be started, but not for longer than this from now. */
function tryAgainFor(ms: number): (part: StartPart) => StartPart {
  const deadline = performance.now() + ms
  return (part) => ({
    ...part,
    async start(signal) {
      for (;;) {
        try {
          return await part.start(signal)
        } catch (error) {
          if (signal.aborted || performance.now() > deadline) throw error
        }
        await pause(100, signal)
      }
    },
  })
}

/** The service's address as a person on this machine would type it. */
function urlOf({ walletPort, balancesPort }: StartConfig, name: ServiceName): string {
  return `http://localhost:${name === 'wallet' ? walletPort : balancesPort}`
}

/**
 * Keeps a part running and tells the terminal what becomes of it. `ready` rejects with what the
 * part said last.
 */
function run(stack: Stack, part: StartPart): Supervised {
  const { title, address, log } = part
  const startedAt = performance.now()
  const ticker = setInterval(
    () => say(`${title} is still starting (${seconds(performance.now() - startedAt)})`),
    progressMs,
  )
  log.onLine = showUrgent(stack, part.name)

  const supervised = supervise(part, {
    delayMs: (attempt) => backoffMs(backoff, attempt, () => 1),
    pause,
    onEnd(how, delayMs) {
      if (stack.stopped) return
      // If it was killed, its last lines do not explain why.
      const tail = tailOf(log)
      const lines = wasKilled(how) ? [] : tail
      say([`${title} ${how}, starting it again in ${seconds(delayMs)}`, ...lines].join('\n'))
    },
    onReady: (tookMs) =>
      say(`${title.padEnd('PostgreSQL'.length)}  ready on ${address} (${seconds(tookMs)})`),
  })
  const ready = supervised.ready
    .catch((error) => {
      throw new StartError([`${title} could not be started: ${error.message}`, ...tailOf(log)].join('\n'))
    })
    .finally(() => clearInterval(ticker))
  return { ...supervised, ready }
}

/**
 * Shows warnings and errors as they come, the same one not over and over, and none of those that
 * stopping brings about.
 */
function showUrgent(stack: Stack, name: string): (line: string) => void {
  const shownAt = new Map<string, number>()
  return (line) => {
    const { urgent, text } = presentLogLine(line)
    const now = performance.now()
    if (!urgent || stack.stopped || now - (shownAt.get(text) ?? Number.NEGATIVE_INFINITY) < repeatMs) return
    shownAt.set(text, now)
    say(`${name}: ${text}`)
  }
}

function tailOf(log: ChildLog): string[] {
  return [...log.takeTail().map((line) => `  | ${line}`), `  (all of it: ${shown(log.path)})`]
}

/** Removes only our own files from the data directory, which may hold other things. */
async function wipe(dataDir: string): Promise<void> {
  await stopPostgres(join(dataDir, 'postgres'))
  for (const name of ['postgres', 'broker', 'logs'])
    rmSync(join(dataDir, name), { recursive: true, force: true })
  say(`wiped the data in ${shown(dataDir)}`)
}

/**
 * What an earlier version left open. PostgreSQL sees to its own; the directory itself may be
 * somebody's with other things in it.
 */
function closeToOthers(dataDir: string): void {
  for (const name of ['broker', 'logs']) makeTreePrivate(join(dataDir, name))
  makePrivate(join(dataDir, 'postgres'))
}

type WantedPort = { name: string; variable: string; port: number }

/**
 * Throws, before anything is started, when a port is taken or given twice. After a killed run it
 * waits until that one's children are gone.
 */
async function claimPorts(lock: DirectoryLock, config: StartConfig): Promise<void> {
  const wanted: WantedPort[] = [
    { name: 'PostgreSQL', variable: 'POSTGRES_PORT', port: config.postgresPort },
    { name: 'broker', variable: 'KAFKA_PORT', port: config.kafkaPort },
    { name: 'wallet', variable: 'WALLET_PORT', port: config.walletPort },
    { name: 'balances', variable: 'BALANCES_PORT', port: config.balancesPort },
  ]
  for (const [index, { variable, port }] of wanted.entries()) {
    const other = wanted.find((each, at) => at < index && each.port === port)
    if (other)
      throw new StartError(`${other.variable} and ${variable} are both ${port}: give each its own port`)
  }

  const findTaken = () => wanted.filter(({ port }) => listenErrorOf(port, host) ?? whyNotLocalhost(port))
  let taken = findTaken()
  if (lock.afterKill && taken.length > 0)
    say('the run before was killed: waiting for what it left behind to end')
  for (
    const deadline = performance.now() + patienceMs;
    lock.afterKill && taken.length > 0;
    taken = findTaken()
  ) {
    if (performance.now() > deadline) break
    await Bun.sleep(100)
  }
  if (taken.length > 0) throw new StartError(taken.map(explainTaken).join('\n'))
}

/** A program that listens on ::1 alone would receive many of the requests to localhost. */
function whyNotLocalhost(port: number): string | null {
  return listenErrorOf(port, '::1') === 'EADDRINUSE' ? 'EADDRINUSE' : null
}

function explainTaken({ name, variable, port }: WantedPort): string {
  const remedy = `choose another with ${variable}=${freePort()}`
  const why = listenErrorOf(port, host) ?? whyNotLocalhost(port)
  if (why !== 'EADDRINUSE') return `port ${port}, for ${name}, cannot be used on ${host} (${why}): ${remedy}`
  return `port ${port}, for ${name}, is taken by ${describeHolder(port)}: stop that, or ${remedy}`
}

/** Idempotent: the first call stops everything, the others wait for the same end. */
function stop(stack: Stack, cause: string): Promise<void> {
  stack.stopped ??= (async () => {
    say(`${cause}, stopping`)
    const startedAt = performance.now()
    // Not destructured: a start that is under way may still add to the list.
    for (let group = stack.stopOrder.shift(); group; group = stack.stopOrder.shift()) {
      await Promise.all(group.map((part) => part.stop()))
    }
    stack.lock?.release()
    say(`stopped (${seconds(performance.now() - startedAt)}), data stays in ${shown(stack.config.dataDir)}`)
  })()
  return stack.stopped
}

/**
 * SIGHUP is left as it comes: it ends us at once, as the terminal is gone, and the end of our pipes
 * stops the children.
 */
function stopOnSignals(stack: Stack): void {
  let firstAt: number | undefined
  for (const [signal, cause] of [
    ['SIGINT', 'Ctrl-C'],
    ['SIGTERM', 'SIGTERM'],
  ] as const) {
    process.on(signal, () => {
      const now = performance.now()
      firstAt ??= now
      // Nothing is left behind: the children exit when our pipes close.
      if (signal === 'SIGINT' && now - firstAt > sameKeyMs) process.exit(130)
      end(stack, cause)
    })
  }
  // A terminal that is gone takes no more lines, which is no reason to leave everything running.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}

/** The launcher holds the other end of stdin: stop everything when it dies. */
function stopWithStdin(stack: Stack): void {
  process.stdin.on('end', () => {
    setTimeout(() => process.exit(1), orphanStopMs)
    end(stack, 'launcher gone')
  })
  process.stdin.resume()
}

function end(stack: Stack, cause: string): void {
  stop(stack, cause).then(
    () => process.exit(0),
    (error) => {
      console.error(error)
      process.exit(1)
    },
  )
}

async function fail(stack: Stack, error: Error & { code?: string }): Promise<void> {
  // Failures during a stop are caused by it.
  if (stack.stopped) return
  const { dataDir } = stack.config
  const unusable = explainUnusable(error)
  if (unusable)
    console.error(
      `DATA_DIR ${shown(dataDir)} cannot be used: ${unusable}. Or set DATA_DIR to another directory.`,
    )
  else console.error(error instanceof StartError ? error.message : error)
  if (stack.stopOrder.length > 0) await stop(stack, 'could not start')
  else stack.lock?.release()
  process.exit(1)
}

function readConfigOrExit(): StartConfig {
  try {
    const config = readStartConfig(process.env)
    const port = (wanted: number) => wanted || freePort()
    return {
      ...config,
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

function presentStack(config: StartConfig): string {
  const { dataDir, kafkaPort, postgresPort } = config
  const wallet = urlOf(config, 'wallet')
  const balances = urlOf(config, 'balances')
  const transfer = JSON.stringify({ account_id_from: eva, account_id_to: frank, amount: 100 })
  return `
Saldo runs.

  wallet      ${wallet}
  balances    ${balances}
  broker      127.0.0.1:${kafkaPort} (Kafka protocol)
  databases   psql ${localDatabaseUrl('wallet', postgresPort)}
              psql ${localDatabaseUrl('balances', postgresPort)}
  logs        ${shown(join(dataDir, 'logs'))}

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
