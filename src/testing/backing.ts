/**
 * PostgreSQL and a broker for stack tests, one of each per worker, started on first use: local ones, or
 * those in `DATABASE_URL` and `KAFKA_BROKERS`. Tests share the servers, never a database or a topic.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import postgres from 'postgres'
import { seedBalances } from '../balances/seed/seed'
import { readTestConfig, type ServiceName } from '../config/config'
import { startBroker } from '../local/broker/broker'
import { openDatabase } from '../platform/postgres/database'
import { prepareDatabase } from '../platform/postgres/migrate'
import { createLog } from '../platform/telemetry/log'
import { seedWallet } from '../wallet/seed/seed'
import { askForServer, holdServers, removeLeftovers, serversVariable, temporaryDir } from './servers'

export type TestDatabase = {
  name: string
  /** Connects as the owner of the database. */
  url: string
  /** Connects as a role that does not exist yet, with a name and password that need quoting. */
  serviceUrl: string
}

export type Backing = {
  brokers: string[]
  /** Fresh, dropped at the end of the file: empty, or with the tables of a service and its seed. */
  createDatabase(label: string, tablesOf?: ServiceName, seeded?: boolean): Promise<TestDatabase>
  /** From now on the caller drops the database. */
  keepDatabase(name: string): void
  dropDatabase(name: string): Promise<void>
  /** Connects to a database as superuser. */
  superuserUrl(database: string): string
  /** Terminates the connections to a database, or a random share of them. */
  cutConnections(database: string, share?: number): Promise<void>
  /** A unique prefix for topics and groups. The topics are deleted at the end of the file, unless kept. */
  topicPrefix(isKept?: boolean): string
}

type Template = { name: string; owner: string }
type Started = Backing & { endOfFile(): Promise<void>; stop(): Promise<void> }

let starting: Promise<Started> | undefined

export function backing(): Promise<Backing> {
  starting ??= start()
  return starting
}

const before: (() => Promise<unknown>)[] = []

/** What uses the servers from one test to the next ends before them. */
export function beforeStop(end: () => Promise<unknown>): void {
  before.push(end)
}

/** Called after each file, and where files run one after the other in one process, after the last. */
export async function endOfFile(): Promise<void> {
  await (await starting)?.endOfFile()
}

async function stopBacking(): Promise<void> {
  await Promise.all(before.map((end) => end()))
  const stopped = starting
  starting = undefined
  await (await stopped)?.stop()
}

async function start(): Promise<Started> {
  const config = readTestConfig(process.env)
  removeLeftovers()
  const dataDir = temporaryDir()
  const run = Math.random().toString(36).slice(2, 8)
  const servers = process.env[serversVariable]
  const own = servers || config.databaseUrl ? undefined : holdServers()
  const [adminUrl, broker] = await Promise.all([
    config.databaseUrl ?? askForServer(servers ?? own?.url ?? ''),
    config.brokers ? undefined : startBroker({ dataDir, fsync: false }),
  ])
  const databases = openDatabases(adminUrl, { run, isLocal: !config.databaseUrl })
  const keptTopics: string[] = []
  let count = 0

  return {
    brokers: config.brokers ?? [broker?.brokers ?? ''],
    createDatabase: databases.create,
    superuserUrl: databases.superuserUrl,
    cutConnections: databases.cutConnections,
    topicPrefix(isKept = false) {
      const prefix = `t${run}${++count}-`
      if (isKept) keptTopics.push(prefix)
      return prefix
    },
    keepDatabase: databases.keep,
    dropDatabase: databases.drop,
    // A given server has to be left as it was, and a worker does not know which file is its last.
    async endOfFile() {
      if (!servers || config.databaseUrl) return stopBacking()
      await databases.dropUnkept()
      const isLeft = (topic: string) => !keptTopics.some((prefix) => topic.startsWith(prefix))
      if (broker) await deleteTopics(broker.brokers, isLeft)
    },
    async stop() {
      if (!own) await databases.dropAll()
      await databases.close()
      await Promise.all([own?.stop(), broker?.stop()])
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

function openDatabases(adminUrl: string, { run, isLocal }: { run: string; isLocal: boolean }) {
  const admin = postgres(adminUrl, { max: 1, onnotice: () => {} })
  const created = new Set<string>()
  const kept = new Set<string>()
  let count = 0

  const urlOf = (database: string, user: string, password: string) => {
    const url = new URL(adminUrl)
    url.username = user
    url.password = password
    url.pathname = `/${database}`
    return url.href
  }
  // A third of the work, also of the first connection, on a server that syncs nothing.
  const strategy = isLocal ? 'strategy file_copy' : ''
  const createFrom = async (name: string, owner: string, template = 'template1') => {
    if (owner === name) await admin.unsafe(`create role ${name} login createrole password '${name}'`)
    await admin.unsafe(`create database ${name} template ${template} ${strategy} owner ${owner}`)
    created.add(name)
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
    await createFrom(name, owner, migrated?.name)
    const url = urlOf(name, owner, owner)
    if (seeded) await seed(service, url)
    else await migrate(service, url)
    kept.add(name)
    return { name, owner }
  }

  const drop = async (name: string) => {
    await admin.unsafe(`drop database ${name} with (force)`)
    created.delete(name)
  }

  return {
    async create(label: string, tablesOf?: ServiceName, seeded = false): Promise<TestDatabase> {
      const name = `${label}_${run}_${++count}`
      const template = tablesOf && (await templateOf(tablesOf, seeded))
      const owner = template?.owner ?? name
      await createFrom(name, owner, template?.name)
      return { name, url: urlOf(name, owner, owner), serviceUrl: urlOf(name, `${name}-service`, `${name}'s`) }
    },
    superuserUrl(database: string): string {
      const url = new URL(adminUrl)
      url.pathname = `/${database}`
      return url.href
    },
    async cutConnections(database: string, share = 1): Promise<void> {
      await admin`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${database} and random() < ${share}`
    },
    keep: (name: string) => void kept.add(name),
    drop,
    async dropUnkept() {
      for (const name of created) if (!kept.has(name)) await drop(name)
    },
    async dropAll() {
      const roles = [...created]
      for (const name of roles) await drop(name)
      for (const name of roles) await admin.unsafe(`drop role if exists "${name}-service"`)
      for (const name of roles) await admin.unsafe(`drop role if exists ${name}`)
    },
    close: () => admin.end({ timeout: 1 }),
  }
}

/** A client that connects asks for all topics of a broker, so those of earlier files cost time. */
async function deleteTopics(brokers: string, isLeft: (topic: string) => boolean): Promise<void> {
  const admin = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  const topics = (await admin.listTopics()).filter(isLeft)
  if (topics.length > 0) await admin.deleteTopics({ topics })
  await admin.disconnect()
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
