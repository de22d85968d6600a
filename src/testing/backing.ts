/**
 * PostgreSQL and a broker for stack tests, one of each per run, started on first use: local ones, or
 * those in `DATABASE_URL` and `KAFKA_BROKERS`. Tests share the servers, never a database or a topic.
 */
import { mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { seedBalances } from '../balances/seed/seed'
import { readTestConfig, type ServiceName } from '../config/config'
import { startBroker } from '../local/broker/broker'
import { startPostgres } from '../local/postgres/cluster'
import { openDatabase } from '../platform/postgres/database'
import { prepareDatabase } from '../platform/postgres/migrate'
import { createLog } from '../platform/telemetry/log'
import { seedWallet } from '../wallet/seed/seed'

export type TestDatabase = {
  name: string
  /** Connects as the owner of the database. */
  url: string
  /** Connects as a role that does not exist yet, with a name and password that need quoting. */
  serviceUrl: string
}

export type Backing = {
  brokers: string[]
  /** A fresh database, dropped when the run ends: empty, or with the tables of a service and its seed. */
  createDatabase(label: string, tablesOf?: ServiceName, seeded?: boolean): Promise<TestDatabase>
  /** Connects to a database as superuser. */
  superuserUrl(database: string): string
  /** Terminates the connections to a database, or a random share of them. */
  cutConnections(database: string, share?: number): Promise<void>
  /** A unique prefix for topics and groups. */
  topicPrefix(): string
}

type Template = { name: string; owner: string }
/** `exited` is pending while the server runs, or for ever when it is not ours. */
type Started = Backing & { exited: Promise<unknown>; stop(): Promise<void> }

let starting: Promise<Started> | undefined

export function backing(): Promise<Backing> {
  if (!starting) {
    const started = start()
    starting = started
    // When a test times out, Bun kills every process of its worker: the next test gets another server.
    const replace = () => {
      if (starting === started) return stopBacking()
    }
    started
      .then(({ exited }) => exited)
      .then(replace, replace)
      .catch(() => {})
  }
  return starting
}

const before: (() => Promise<unknown>)[] = []

/** What uses the servers from one test to the next ends before them. */
export function beforeStop(end: () => Promise<unknown>): void {
  before.push(end)
}

/** Called after the last test. */
export async function stopBacking(): Promise<void> {
  await Promise.all(before.map((end) => end()))
  const stopped = starting
  starting = undefined
  await (await stopped)?.stop()
}

/** Memory where there is plenty: hundreds of databases are copied, and on a disk that is half of the work. */
function fastDir(): string {
  const memory = '/dev/shm'
  try {
    const { bavail, bsize } = statfsSync(memory)
    return bavail * bsize >= memoryMin ? memory : tmpdir()
  } catch {
    return tmpdir()
  }
}
/** Bytes. A run takes about a quarter of it. */
const memoryMin = 2 * 1024 ** 3

/** Followed by the id of the process that removes it. */
const dataDirPrefix = 'saldo-test-'

/** A run that was killed could not remove its directory, which would fill the memory of the machine. */
function removeLeftovers(parent: string): void {
  for (const name of readdirSync(parent)) {
    const [, pid] = /^saldo-test-(\d+)-/.exec(name) ?? []
    if (pid && !isAlive(Number(pid))) rmSync(join(parent, name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Somebody else's is alive, too.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

async function start(): Promise<Started> {
  const config = readTestConfig(process.env)
  const parent = fastDir()
  removeLeftovers(parent)
  const dataDir = mkdtempSync(join(parent, `${dataDirPrefix}${process.pid}-`))
  const run = Math.random().toString(36).slice(2, 8)
  const [server, broker] = await Promise.all([
    config.databaseUrl
      ? undefined
      : startPostgres({ dataDir: join(dataDir, 'postgres'), durable: false, databases: [] }),
    config.brokers ? undefined : startBroker({ dataDir: join(dataDir, 'broker'), fsync: false }),
  ])
  const adminUrl = server?.adminUrl ?? config.databaseUrl ?? ''
  const admin = postgres(adminUrl, { max: 1, onnotice: () => {} })
  const created: string[] = []
  let count = 0

  const urlOf = (database: string, user: string, password: string) => {
    const url = new URL(adminUrl)
    url.username = user
    url.password = password
    url.pathname = `/${database}`
    return url.href
  }
  // A third of the work, also of the first connection, on a server that syncs nothing.
  const strategy = server ? 'strategy file_copy' : ''
  const create = async (name: string, owner: string, template = 'template1') => {
    if (owner === name) await admin.unsafe(`create role ${name} login createrole password '${name}'`)
    await admin.unsafe(`create database ${name} template ${template} ${strategy} owner ${owner}`)
    created.push(name)
  }
  // Migrated and seeded once per run and then copied, which is cheaper. The copies share the owner.
  const templates = new Map<string, Promise<Template>>()
  const templateOf = (service: ServiceName, seeded: boolean): Promise<Template> => {
    const name = `${service}_${run}_${seeded ? 'seeded' : 'template'}`
    const template = templates.get(name) ?? createTemplate(service, seeded, name)
    templates.set(name, template)
    return template
  }
  const createTemplate = async (service: ServiceName, seeded: boolean, name: string): Promise<Template> => {
    const migrated = seeded ? await templateOf(service, false) : undefined
    const owner = migrated?.owner ?? name
    await create(name, owner, migrated?.name)
    const url = urlOf(name, owner, owner)
    if (seeded) await seed(service, url)
    else await migrate(service, url)
    return { name, owner }
  }

  return {
    brokers: config.brokers ?? [broker?.brokers ?? ''],
    async createDatabase(label, tablesOf, seeded = false) {
      const name = `${label}_${run}_${++count}`
      const template = tablesOf && (await templateOf(tablesOf, seeded))
      const owner = template?.owner ?? name
      await create(name, owner, template?.name)
      return { name, url: urlOf(name, owner, owner), serviceUrl: urlOf(name, `${name}-service`, `${name}'s`) }
    },
    superuserUrl(database) {
      const url = new URL(adminUrl)
      url.pathname = `/${database}`
      return url.href
    },
    async cutConnections(database, share = 1) {
      await admin`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${database} and random() < ${share}`
    },
    topicPrefix: () => `t${run}${++count}-`,
    exited: server?.exited ?? new Promise(() => {}),
    async stop() {
      // A local server is deleted as a whole; a given one has to be left as it was.
      const left = server ? [] : created
      for (const name of left) await admin.unsafe(`drop database ${name} with (force)`)
      for (const name of left) await admin.unsafe(`drop role if exists "${name}-service"`)
      for (const name of left) await admin.unsafe(`drop role if exists ${name}`)
      await admin.end({ timeout: 1 })
      await Promise.all([server?.stop(), broker?.stop()])
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** Of tests: errors alone. */
export const log = createLog({ service: 'test', level: 'error', format: 'json' })

function migrate(service: ServiceName, url: string): Promise<void> {
  const folder = join(import.meta.dir, '../../migrations', service)
  return prepareDatabase({ url, folder, migrate: true, log, signal: new AbortController().signal })
}

async function seed(service: ServiceName, url: string): Promise<void> {
  const database = openDatabase({ url, poolMax: 1, prepare: false, applicationName: 'saldo-test' })
  await (service === 'wallet' ? seedWallet : seedBalances)(url, database, log)
  await database.close()
}
