/**
 * Both services with their own databases and topics, for end-to-end tests.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBalances } from '../balances/service'
import { type ServiceConfig, type ServiceName, serviceNames } from '../config/config'
import { startWallet } from '../wallet/service'
import { type Backing, backing, log, type TestDatabase } from './backing'
import { expectDocumented, expectSecured } from './documented'
import { eventually } from './eventually'

export type Answer = { status: number; headers: Headers; body: Record<string, unknown> }

/** A JSON client of a service. */
export type Caller = {
  port: number
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
  patch(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
  delete(path: string, headers?: Record<string, string>): Promise<Answer>
}

export type Stack = {
  wallet: Caller
  balances: Caller
  config: Record<ServiceName, ServiceConfig>
  backing: Backing
  databases: Record<ServiceName, TestDatabase>
  [Symbol.asyncDispose](): Promise<void>
}

export type StackOptions = {
  seed?: boolean
  start?: readonly ServiceName[]
  /** Of each topic. With one, entries are applied in the order in which they were written. */
  partitions?: number
  /** Where traces go. */
  collector?: string
  /** Of the settings of each service. */
  changes?: Partial<Record<ServiceName, Partial<ServiceConfig>>>
}

/** Starts the services in this process, or only those in `start`. */
export async function startStack({
  seed = true,
  start = ['wallet', 'balances'],
  partitions = 3,
  collector,
  changes = {},
}: StackOptions = {}): Promise<Stack> {
  const shared = await backing()
  const databases = {
    wallet: await shared.createDatabase('wallet', 'wallet', seed),
    balances: await shared.createDatabase('balances', 'balances', seed),
  }
  const topicPrefix = shared.topicPrefix()
  const config = {
    wallet: serviceConfig('wallet', {
      database: databases.wallet,
      brokers: shared.brokers,
      topicPrefix,
      seed,
      partitions,
    }),
    balances: serviceConfig('balances', {
      database: databases.balances,
      brokers: shared.brokers,
      topicPrefix,
      seed,
      partitions,
    }),
  }
  for (const name of serviceNames) Object.assign(config[name], changes[name])
  if (collector !== undefined)
    for (const one of [config.wallet, config.balances]) one.tracing = tracingTo(collector, one.service)
  const [wallet, balances] = await Promise.all([
    start.includes('wallet') ? startWallet(config.wallet, log) : undefined,
    start.includes('balances') ? startBalances(config.balances, log) : undefined,
  ])
  return {
    wallet: callerOf('wallet', wallet?.port ?? 0),
    balances: callerOf('balances', balances?.port ?? 0),
    config,
    backing: shared,
    databases,
    async [Symbol.asyncDispose]() {
      await Promise.all([wallet?.stop(), balances?.stop()])
    },
  }
}

/** Everything is recorded, and exported soon. */
export const tracingTo = (url: string, service: ServiceName): NonNullable<ServiceConfig['tracing']> => ({
  url,
  headers: {},
  timeoutMs: 1000,
  sampler: { root: 'on', ratio: 1, isParentBased: true },
  queueMax: 8192,
  batchMax: 512,
  delayMs: 20,
  resource: { 'service.name': service },
})

export type Settings = {
  database: TestDatabase
  brokers: string[]
  topicPrefix: string
  seed: boolean
  partitions?: number
}

/** As in production: each service works as a role of its own, which the owner of its database makes. */
export function serviceConfig(
  service: ServiceName,
  { database, brokers, topicPrefix, seed, partitions = 3 }: Settings,
): ServiceConfig {
  return {
    service,
    host: '127.0.0.1',
    port: 0,
    tls: undefined,
    allowedHosts: [],
    corsOrigins: [],
    walletPublicUrl: undefined,
    balancesPublicUrl: undefined,
    consoleActions: true,
    consoleControl: undefined,
    auth: undefined,
    apiKeys: [],
    rateLimits: { perKey: 0, perAddress: 0 },
    logLevel: 'error',
    logFormat: 'json',
    tracing: undefined,
    revision: undefined,
    database: { url: database.serviceUrl, migrationUrl: database.url, poolMax: 5, prepare: true },
    kafka: {
      brokers,
      clientId: service,
      groupId: 'balances',
      topicPrefix,
      partitions,
      ssl: false,
      ca: undefined,
      cert: undefined,
      key: undefined,
      sasl: undefined,
    },
    events: { signingKeys: [], verify: undefined, verifyKeys: [] },
    onLostEvents: 'start_epoch',
    migrateOnStart: true,
    seedOnStart: seed,
    largeMovementMin: 10_000,
    diskFolders: ['/'],
    shutdownDelayMs: 0,
    // For a busy machine: a stop that takes longer is an error.
    shutdownTimeoutMs: 30_000,
  }
}

/** Checks every response against the route table of the service. */
export function callerOf(service: ServiceName, port: number): Caller {
  const call = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    const { status, headers } = response
    const type = headers.get('content-type') ?? ''
    // Streams do not end: see `readEvents`.
    expectSecured(headers)
    const isEndless = type === 'text/event-stream'
    if (isEndless) await response.body?.cancel()
    const text = isEndless ? '' : await response.text()
    expectDocumented(service, { method: init.method ?? 'GET', path, status, headers, text })
    return { status, headers, body: /json/.test(type) ? JSON.parse(text) : { text } }
  }
  return {
    port,
    get: (path, headers = {}) => call(path, { headers }),
    post: (path, body, headers) => call(path, withBody('POST', body, headers)),
    patch: (path, body, headers) => call(path, withBody('PATCH', body, headers)),
    delete: (path, headers = {}) => call(path, { method: 'DELETE', headers }),
  }
}

const withBody = (method: string, body: unknown, headers: Record<string, string> = {}) => ({
  method,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
})

const shiftedDate = (ms: number) => `
  const Real = Date
  globalThis.Date = class extends Real {
    constructor(...args) { args.length === 0 ? super(Real.now() + ${ms}) : super(...args) }
    static now() { return Real.now() + ${ms} }
  }`

/** A service in a child process, so that it can be killed. */
export type ServiceProcess = Caller & { pid: number; kill(): Promise<void>; stop(): Promise<number> }

/** Starts `src/main.ts` and waits until it is ready. */
export async function spawnService(
  config: ServiceConfig,
  port = 0,
  /** How far the clock of the process is ahead. */
  clockAheadMs = 0,
): Promise<ServiceProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-service-'))
  const logFile = join(folder, 'log')
  const main = [join(import.meta.dir, '../main.ts'), '--lifeline']
  if (clockAheadMs !== 0) {
    const preload = join(folder, 'clock.js')
    writeFileSync(preload, shiftedDate(clockAheadMs))
    main.unshift('--preload', preload)
  }
  const child = Bun.spawn([process.execPath, ...main], {
    env: {
      PATH: process.env.PATH,
      SERVICE: config.service,
      HOST: config.host,
      PORT: String(port),
      DATABASE_URL: config.database.url,
      MIGRATION_DATABASE_URL: config.database.migrationUrl,
      KAFKA_BROKERS: config.kafka.brokers.join(),
      KAFKA_TOPIC_PREFIX: config.kafka.topicPrefix,
      KAFKA_PARTITIONS: String(config.kafka.partitions),
      SEED_ON_START: String(config.seedOnStart),
      SHUTDOWN_DELAY_MS: String(config.shutdownDelayMs),
    },
    stdin: 'pipe',
    stdout: Bun.file(logFile),
    stderr: Bun.file(logFile),
  })
  const bound = await eventually(async () => {
    const text = await Bun.file(logFile).text()
    const line = text.split('\n').find((entry) => entry.includes('"msg":"') && /listening"/.test(entry))
    if (!line) throw new Error(`${config.service} does not listen yet: ${text}`)
    return JSON.parse(line).port as number
  })
  const caller = callerOf(config.service, bound)
  await eventually(async () => {
    const { status, body } = await caller.get('/readyz')
    if (status !== 200) throw new Error(`${config.service} is not ready: ${JSON.stringify(body)}`)
  })
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    const code = await child.exited
    rmSync(folder, { recursive: true, force: true })
    return code
  }
  return {
    ...caller,
    pid: child.pid,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  }
}
