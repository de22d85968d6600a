/**
 * PostgreSQL from npm as a child process, for a laptop or a test run without Docker: one cluster in
 * one folder, on the loopback address. A stand-in for a real server, with the real server's program.
 */
import { randomBytes } from 'node:crypto'
import {
  accessSync,
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
import { makeFilePrivate } from '../private-files.ts'
import { type Running, startProcess } from '../supervise.ts'
import { findPostgresBinaries } from './binaries.ts'
import { cleanEnvironment, findPostgresUser, run } from './os-user.ts'
import { findPostmaster, removeReusedPid } from './postmaster-pid.ts'

export type Database = {
  name: string
  /** The role that owns the database, can make roles for its services, and can connect to no other. */
  user: string
  password: string
}

export type PostgresOptions = {
  /** Created when missing. Used by this server only: a postmaster still running on it is stopped. */
  dataDir: string
  /** 0, the default, takes any free one. */
  port?: number
  /** False, for tests, survives killed processes but not the machine losing power, and is faster. */
  durable?: boolean
  databases: Database[]
  /** Gets each line PostgreSQL logs. */
  log?: (line: string) => void
}

export type Postgres = Running &
  AsyncDisposable & {
    port: number
    /** The process id of the postmaster. */
    pid: number
    /** Connects to a database as its owner. Throws for one that was not created here. */
    url(database: string): string
    /** Connects to the database `postgres` as superuser. */
    adminUrl: string
    /** Creates role and database when missing and returns the URL of the owner. Idempotent. */
    createDatabase(database: Database): Promise<string>
  }

const stopTimeoutMs = 10_000
const maxAttempts = 20

/**
 * Resolves once the server accepts connections and the databases exist. The data of earlier runs is
 * kept, and recovered after a kill. The server outlives neither this process nor a call of `stop`.
 * Rejects with what PostgreSQL logged last, and soon once the signal is aborted.
 */
export async function startPostgres(options: PostgresOptions, signal?: AbortSignal): Promise<Postgres> {
  const { durable = true } = options
  const binaries = findPostgresBinaries()
  mkdirSync(options.dataDir, { recursive: true })
  const dataDir = realpathSync(options.dataDir)
  // Asked first, because its failure says more than PostgreSQL's.
  accessSync(dataDir, constants.R_OK | constants.W_OK)
  const clusterDir = join(dataDir, 'cluster')
  const user = await findPostgresUser(binaries.initdb, dataDir)

  await stopPostmaster(clusterDir)
  removeReusedPid(clusterDir)
  const passwordFile = join(dataDir, 'admin-password')
  const password = adminPassword(passwordFile)
  if (!existsSync(join(clusterDir, 'PG_VERSION'))) {
    user.own(passwordFile)
    const newDir = `${clusterDir}.new`
    rmSync(newDir, { recursive: true, force: true })
    mkdirSync(newDir, { mode: 0o700 })
    user.own(newDir)
    await createCluster([...user.prefix, binaries.initdb], newDir, passwordFile, durable)
    // Renamed when it is complete, so that a killed run leaves nothing that looks like a cluster.
    rmSync(clusterDir, { recursive: true, force: true })
    renameSync(newDir, clusterDir)
  }
  user.own(clusterDir)

  const { port, exited, stop } = await launch(
    [...user.prefix, ...guard, binaries.postgres, '-D', clusterDir],
    options,
    signal,
  )
  const urlOf = (database: Database) => {
    const { name, user, password } = database
    const [owner, secret, path] = [user, password, name].map(encodeURIComponent)
    return `postgres://${owner}:${secret}@127.0.0.1:${port}/${path}`
  }
  const adminUrl = urlOf({ name: 'postgres', user: 'postgres', password })
  const urls = new Map<string, string>()
  const createDatabase = async (database: Database) => {
    await ensureDatabase(adminUrl, database)
    urls.set(database.name, urlOf(database))
    return urlOf(database)
  }
  const url = (database: string) => {
    const known = urls.get(database)
    if (known === undefined) throw new Error(`no database ${database} here`)
    return known
  }

  try {
    for (const database of options.databases) await createDatabase(database)
    const pid = findPostmaster(clusterDir)
    if (pid === null) throw new Error(`PostgreSQL ${await exited}`)
    return { port, pid, adminUrl, url, createDatabase, exited, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * Stands between us and the postmaster, which would outlive us and has no option against it. The end of its
 * stdin means that we are gone, so the stop must not take long (what it cuts short, the next start recovers).
 * A shell, because it costs nothing; its reading half lives on even when the other half is killed.
 */
const guard = [
  '/bin/sh',
  '-c',
  `trap : INT TERM HUP QUIT
exec 3<&0 </dev/null
"$@" 3<&- & postmaster=$!
trap 'kill -INT "$postmaster"' INT TERM HUP
trap 'kill -QUIT "$postmaster"' QUIT
(
  trap '' INT TERM HUP QUIT
  read -r _ <&3
  kill -INT "$postmaster" && sleep 1 && kill -QUIT "$postmaster"
) >/dev/null 2>&1 & reader=$!
while
  wait "$postmaster"; code=$?
  kill -0 "$postmaster" 2>/dev/null
do :; done
kill -KILL "$reader" 2>/dev/null
exit "$code"`,
  'postgres-guard',
]

/** For tests: short-lived databases need no vacuum, nor their passwords 4096 rounds per connection. */
const settingsOfTests = ['fsync=off', 'full_page_writes=off', 'autovacuum=off', 'scram_iterations=1']
/**
 * For ledgers of many accounts. After a checkpoint each page is logged as a whole when it is first changed,
 * and with PostgreSQL's own 1 GB of log that alone brings about the next checkpoint. Pages of memory
 * are taken as they are used.
 */
const settingsOfLedgers = ['max_wal_size=4GB', 'shared_buffers=512MB']
const settings = [
  'listen_addresses=127.0.0.1',
  // None: its path would be too long below a deep folder, and the loopback address serves everybody.
  'unix_socket_directories=',
  // A test run has every service of every stack on it.
  'max_connections=200',
  'timezone=UTC',
  'log_timezone=UTC',
  'log_destination=stderr',
  'logging_collector=off',
]

/**
 * Retries what passes by itself: a free port that somebody else was given, and the last processes
 * of a killed server.
 */
async function launch(
  command: string[],
  { port: fixedPort = 0, durable = true, log = () => {} }: PostgresOptions,
  signal?: AbortSignal,
): Promise<Running & { port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = fixedPort || freePort()
    const chosen = [`port=${port}`, ...settings, ...(durable ? settingsOfLedgers : settingsOfTests)]
    let lastLines: string[] = []
    try {
      const server = await startProcess(
        {
          command: [...command, ...chosen.flatMap((setting) => ['-c', setting])],
          env: cleanEnvironment,
          log(line) {
            log(line)
            lastLines = [...lastLines, line].slice(-20)
          },
          ready: { line: /database system is ready to accept connections/ },
          stopTimeoutMs,
          lastSignal: 'SIGQUIT',
        },
        signal,
      )
      return { port, ...server }
    } catch (error) {
      const said = lastLines.join('\n')
      const isTaken = said.includes('Address already in use')
      if (isTaken && fixedPort) throw new Error(`port ${fixedPort} is taken by another program`)
      const passes = isTaken || /is still in use|lock file "postmaster.pid" already exists/.test(said)
      if (!passes || attempt === maxAttempts)
        throw new Error(`PostgreSQL ${(error as Error).message}:\n${said}`)
    }
    await Bun.sleep(100)
  }
}

async function createCluster(initdb: string[], dir: string, passwordFile: string, durable: boolean) {
  const access = ['-U', 'postgres', '--pwfile', passwordFile, '--auth=scram-sha-256', '--no-instructions']
  // Sorts alike on every machine.
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  await run([...initdb, '-D', dir, ...access, ...locale, ...(durable ? [] : ['--no-sync'])]).catch(
    (error) => {
      throw new Error(`PostgreSQL could not make its cluster in ${dir}:\n${error.message}`)
    },
  )
}

/** The superuser's, drawn once and readable for the owner of the file alone. */
function adminPassword(file: string): string {
  if (existsSync(file)) return readFileSync(file, 'utf8')
  const password = randomBytes(24).toString('base64url')
  makeFilePrivate(`${file}.new`)
  writeFileSync(`${file}.new`, password)
  renameSync(`${file}.new`, file)
  return password
}

async function ensureDatabase(adminUrl: string, { name, user, password }: Database): Promise<void> {
  const sql = postgres(adminUrl, { max: 1, onnotice: () => {} })
  try {
    // These statements take no parameters, hence the quoting by the server itself.
    const [found] = await sql<{ role: string; database: string; quotedName: string }[]>`
      select format('%s role %I login createrole createdb password %L',
               case when exists (select from pg_roles where rolname = ${user}) then 'alter' else 'create' end,
               ${user}::text, ${password}::text) as role,
             (select format('create database %I owner %I', ${name}::text, ${user}::text)
               where not exists (select from pg_database where datname = ${name})) as database,
             quote_ident(${name}) as "quotedName"`
    if (!found) throw new Error('PostgreSQL answered nothing')
    await sql.unsafe(found.role)
    if (found.database) await sql.unsafe(found.database)
    for (const each of [found.quotedName, 'postgres', 'template1'])
      await sql.unsafe(`revoke connect on database ${each} from public`)
  } finally {
    await sql.end()
  }
}

/** Stops the server that a killed run left behind on the folder, so that the folder may be removed. */
export function stopPostgres(dataDir: string): Promise<void> {
  return stopPostmaster(join(resolve(dataDir), 'cluster'))
}

/** Another folder's server is never touched: the process has to name this very one. */
async function stopPostmaster(clusterDir: string): Promise<void> {
  const deadline = Date.now() + stopTimeoutMs
  for (let pid = findPostmaster(clusterDir); pid !== null; pid = findPostmaster(clusterDir)) {
    try {
      process.kill(pid, Date.now() > deadline ? 'SIGQUIT' : 'SIGINT')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    await Bun.sleep(100)
  }
}
