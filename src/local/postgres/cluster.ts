/**
 * PostgreSQL from npm as a child process, for a laptop or a test run without Docker: one cluster in
 * one folder, on the loopback address. A stand-in for a real server, with the real server's
 * program.
 */
import { randomBytes } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import postgres from 'postgres'
import { freePort } from '../../platform/process/ports.ts'
import { eachLine } from '../lines.ts'
import { findPostgresBinaries } from './binaries.ts'
import { cleanEnvironment, findPostgresUser } from './os-user.ts'
import { findPostmaster, removeReusedPid } from './postmaster-pid.ts'

export type Database = {
  name: string
  /**
   * The role that owns the database, can make roles for its services, and can connect to no other
   * database.
   */
  user: string
  password: string
}

export type PostgresOptions = {
  /** Created when missing. Used by this server only: a postmaster still running on it is stopped. */
  dataDir: string
  /** 0, the default, takes any free one. */
  port?: number
  /**
   * False gives up on the machine losing power, not on processes being killed, and is faster for
   * it. Default true.
   */
  durable?: boolean
  databases: Database[]
  /** Gets each line PostgreSQL logs. */
  log?: (line: string) => void
}

export type Postgres = {
  port: number
  /** The process id of the postmaster. */
  pid: number
  /**
   * Connects to the database as its owner. Throws for a database not named in the options nor
   * created since.
   */
  url(database: string): string
  /** Connects to the database `postgres` as superuser. */
  adminUrl: string
  /** Creates role and database when missing and returns the URL of the owner. Idempotent. */
  createDatabase(database: Database): Promise<string>
  /** Resolves with the exit code when the server has exited. Never rejects. */
  exited: Promise<number>
  /** Disconnects all clients, flushes, and waits for the server to exit. Idempotent. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const startTimeoutMs = 60_000
const stopTimeoutMs = 10_000
const maxAttempts = 20

/** Another program listens on the requested port. The folder is unchanged. */
export class PortTaken extends Error {
  override name = 'PortTaken'
  constructor(readonly port: number) {
    super(`port ${port} is taken by another program`)
  }
}

/**
 * Answers once the server takes connections and the databases are there. What an earlier run wrote
 * to the folder is kept, and recovered when that run was killed. The server outlives neither this
 * process nor a call of `stop`. Throws `PortTaken`, or an error that ends in what PostgreSQL said
 * last.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { durable = true, databases, log = () => {} } = options
  const binaries = findPostgresBinaries()
  mkdirSync(options.dataDir, { recursive: true })
  const dataDir = realpathSync(resolve(options.dataDir))
  // Asked first, because its failure says more than PostgreSQL's.
  accessSync(dataDir, constants.R_OK | constants.W_OK)
  const clusterDir = join(dataDir, 'cluster')
  const user = await findPostgresUser({ initdb: binaries.initdb, dir: dataDir })

  await stopPostmaster(clusterDir)
  removeReusedPid(clusterDir)
  const password = adminPassword(dataDir)
  if (!existsSync(join(clusterDir, 'PG_VERSION'))) {
    await createCluster({
      initdb: [...user.prefix, binaries.initdb],
      dataDir,
      clusterDir,
      password,
      durable,
      own: user.own,
    })
  }
  user.own(clusterDir)

  const server = await launch({
    command: [...user.prefix, ...guard, binaries.postgres],
    clusterDir,
    options,
    durable,
    log,
  })
  const urlOf = (database: Database) => {
    const { name, user, password } = database
    const [owner, secret, path] = [user, password, name].map(encodeURIComponent)
    return `postgres://${owner}:${secret}@127.0.0.1:${server.port}/${path}`
  }
  const adminUrl = urlOf({ name: 'postgres', user: 'postgres', password })
  const urls = new Map<string, string>()

  const createDatabases = async (wanted: Database[]) => {
    const sql = postgres(adminUrl, { max: 1, onnotice: () => {} })
    try {
      for (const database of wanted) await ensureDatabase(sql, database)
    } finally {
      await sql.end()
    }
    for (const database of wanted) urls.set(database.name, urlOf(database))
  }

  try {
    await createDatabases(databases)
  } catch (error) {
    await server.stop()
    throw error
  }

  return {
    port: server.port,
    pid: server.pid,
    adminUrl,
    url(database) {
      const url = urls.get(database)
      if (url === undefined) throw new Error(`no database ${database} here`)
      return url
    },
    async createDatabase(database) {
      await createDatabases([database])
      return urlOf(database)
    },
    exited: server.exited,
    stop: server.stop,
    [Symbol.asyncDispose]: server.stop,
  }
}

/**
 * Stands between us and the postmaster, which would outlive us and has no option against it. It holds
 * the read end of a pipe: a line there asks for an orderly stop; its end means that we are gone, so
 * the stop must not take long (what it cuts short, the next start recovers). A shell, because it
 * costs nothing; its reading half lives on even when the other half is killed.
 */
const guard = [
  '/bin/sh',
  '-c',
  `exec 3<&0 </dev/null
"$@" 3<&- >&2 & postmaster=$!
echo "$postmaster"
exec >&-
(
  trap '' INT TERM HUP
  while read -r _ <&3; do kill -INT "$postmaster"; done
  kill -INT "$postmaster" && sleep 1 && kill -QUIT "$postmaster"
) >/dev/null 2>&1 & reader=$!
trap 'kill -INT "$postmaster"' INT TERM HUP
while
  wait "$postmaster"; code=$?
  kill -0 "$postmaster" 2>/dev/null
do :; done
kill -KILL "$reader" 2>/dev/null
exit "$code"`,
  'postgres-guard',
]

type Launch = {
  command: string[]
  clusterDir: string
  options: PostgresOptions
  durable: boolean
  log: (line: string) => void
}

type Server = { port: number; pid: number; exited: Promise<number>; stop(): Promise<void> }

/**
 * Retries what passes by itself: a free port that somebody else was given, and the last processes
 * of a killed server.
 */
async function launch(launch: Launch): Promise<Server> {
  const fixedPort = launch.options.port ?? 0
  for (let attempt = 1; ; attempt++) {
    const result = await tryLaunch(launch, fixedPort || freePort())
    if ('port' in result) return result
    if (result.said.includes('Address already in use')) {
      if (fixedPort) throw new PortTaken(fixedPort)
    } else if (!/is still in use|lock file "postmaster.pid" already exists/.test(result.said)) {
      throw new Error(`PostgreSQL did not start in ${launch.clusterDir}:\n${result.said}`)
    }
    if (attempt === maxAttempts)
      throw new Error(`PostgreSQL did not start after ${attempt} attempts:\n${result.said}`)
    await Bun.sleep(100)
  }
}

async function tryLaunch(
  { command, clusterDir, durable, log }: Launch,
  port: number,
): Promise<Server | { said: string }> {
  const child = Bun.spawn(
    [...command, '-D', clusterDir, ...settings({ port, durable }).flatMap((s) => ['-c', s])],
    {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'pipe',
      env: cleanEnvironment,
      // Its own process group: Ctrl-C in a terminal must not reach the server before its clients.
      detached: true,
    },
  )

  const lastLines: string[] = []
  const ready = Promise.withResolvers<boolean>()
  const reading = eachLine(child.stderr, (line) => {
    log(line)
    lastLines.push(line)
    if (lastLines.length > 20) lastLines.shift()
    if (line.includes('database system is ready to accept connections')) ready.resolve(true)
  })
  const exited = child.exited.then(async (code) => {
    await reading
    return code
  })
  exited.then(() => ready.resolve(false))
  const timer = setTimeout(() => ready.resolve(false), startTimeoutMs)

  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= (async () => {
      child.stdin.write('stop\n')
      child.stdin.flush()
      const slow = setTimeout(() => child.stdin.end(), stopTimeoutMs)
      await exited
      clearTimeout(slow)
    })()
    return stopping
  }

  const pid = Number((await new Response(child.stdout).text()).trim())
  const isReady = await ready.promise
  clearTimeout(timer)
  if (isReady) return { port, pid, exited, stop }
  await stop()
  return { said: lastLines.join('\n') }
}

/** For tests: short-lived databases need no vacuum, nor their passwords 4096 rounds per connection. */
const settingsOfTests = ['fsync=off', 'full_page_writes=off', 'autovacuum=off', 'scram_iterations=1']

function settings({ port, durable }: { port: number; durable: boolean }): string[] {
  return [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    // None: its path would be too long below a deep folder, and the loopback address serves everybody.
    'unix_socket_directories=',
    // A test run has every service of every stack on it.
    'max_connections=200',
    'timezone=UTC',
    'log_timezone=UTC',
    'log_destination=stderr',
    'logging_collector=off',
    // Commits still reach the operating system: a killed process loses none.
    ...(durable ? [] : settingsOfTests),
  ]
}

type NewCluster = {
  initdb: string[]
  dataDir: string
  clusterDir: string
  password: string
  durable: boolean
  own: (path: string) => void
}

/**
 * Made beside its place and renamed, so that a run killed meanwhile leaves nothing that looks like
 * a cluster.
 */
async function createCluster({
  initdb,
  dataDir,
  clusterDir,
  password,
  durable,
  own,
}: NewCluster): Promise<void> {
  const newDir = `${clusterDir}.new`
  const passwordFile = join(dataDir, 'password.new')
  rmSync(newDir, { recursive: true, force: true })
  rmSync(passwordFile, { force: true })
  mkdirSync(newDir, { mode: 0o700 })
  writeFileSync(passwordFile, password, { mode: 0o600 })
  own(newDir)
  own(passwordFile)

  const child = Bun.spawn(
    [
      ...initdb,
      ...[
        '-D',
        newDir,
        '-U',
        'postgres',
        '--pwfile',
        passwordFile,
        '--auth=scram-sha-256',
        '--no-instructions',
      ],
      // Sorts alike on every machine.
      ...['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
      ...(durable ? [] : ['--no-sync']),
    ],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe', env: cleanEnvironment },
  )
  const said = await new Response(child.stderr).text()
  const code = await child.exited
  rmSync(passwordFile, { force: true })
  if (code !== 0) throw new Error(`PostgreSQL could not make its cluster in ${newDir}:\n${said.trim()}`)
  // An incomplete cluster of another making would stand in the way.
  rmSync(clusterDir, { recursive: true, force: true })
  renameSync(newDir, clusterDir)
}

/** The superuser's password, drawn once for a folder and readable for its owner alone. */
function adminPassword(dataDir: string): string {
  const file = join(dataDir, 'admin-password')
  if (existsSync(file)) return readFileSync(file, 'utf8')
  const password = randomBytes(24).toString('base64url')
  writeFileSync(`${file}.new`, password, { mode: 0o600 })
  chmodSync(`${file}.new`, 0o600)
  renameSync(`${file}.new`, file)
  return password
}

async function ensureDatabase(sql: postgres.Sql, { name, user, password }: Database): Promise<void> {
  // Neither statement takes parameters, hence the quoting by the server itself.
  const [quoted] = await sql<{ name: string; user: string; password: string }[]>`
    select quote_ident(${name}) as name, quote_ident(${user}) as user, quote_literal(${password}) as password`
  if (!quoted) throw new Error('PostgreSQL answered nothing')
  const [found] = await sql<{ role: boolean; database: boolean }[]>`
    select exists (select from pg_roles where rolname = ${user}) as role,
           exists (select from pg_database where datname = ${name}) as database`
  await sql.unsafe(
    `${found?.role ? 'alter' : 'create'} role ${quoted.user} login createrole password ${quoted.password}`,
  )
  if (!found?.database) await sql.unsafe(`create database ${quoted.name} owner ${quoted.user}`)
  for (const each of [quoted.name, 'postgres', 'template1'])
    await sql.unsafe(`revoke connect on database ${each} from public`)
}

/**
 * Stops the server on the folder that a killed run left behind, if there is one, so that the folder
 * may be removed.
 */
export function stopPostgres(dataDir: string): Promise<void> {
  return stopPostmaster(join(resolve(dataDir), 'cluster'))
}

/** Another folder's server is never touched: the process has to name this very one. */
async function stopPostmaster(clusterDir: string): Promise<void> {
  const deadline = Date.now() + stopTimeoutMs
  for (let signal: NodeJS.Signals = 'SIGINT'; ; ) {
    const pid = findPostmaster(clusterDir)
    if (pid === null) return
    if (Date.now() > deadline) signal = 'SIGQUIT'
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    await Bun.sleep(100)
  }
}
