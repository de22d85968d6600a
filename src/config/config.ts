/**
 * The only reader of the environment. Every variable has its parser, default and remedy here, and
 * all bad values are named at once.
 */
import { readFileSync } from 'node:fs'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The environment cannot be used. The message lists every fault, one a line, each with what would
 * be accepted.
 */
export class ConfigError extends Error {
  override name = 'ConfigError'
  constructor(readonly faults: readonly string[]) {
    super(
      `The environment has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    )
  }
}

export const serviceNames = ['wallet', 'balances'] as const
export type ServiceName = (typeof serviceNames)[number]
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export type KafkaConfig = {
  brokers: string[]
  clientId: string
  /** Consumer group of the read side. The wallet has no use for it. */
  groupId: string
  /**
   * Put before every topic name and the group id, so that several installations can share one
   * broker. Empty by default.
   */
  topicPrefix: string
  /** Partitions of a topic that does not exist yet. An existing topic is left as it is. */
  partitions: number
  ssl: boolean
  sasl:
    | { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string }
    | undefined
}

export type ServiceConfig = {
  service: ServiceName
  host: string
  port: number
  /** Host names under which writes are accepted, beside those of this machine; `*` is any. */
  allowedHosts: string[]
  /** Origins of pages that may use the service from a browser. */
  corsOrigins: string[]
  logLevel: LogLevel
  logFormat: 'json' | 'pretty'
  database: {
    url: string
    /** The owner, while the service starts, when `url` is a role with fewer rights. */
    migrationUrl: string | undefined
    poolMax: number
    prepare: boolean
  }
  kafka: KafkaConfig
  migrateOnStart: boolean
  seedOnStart: boolean
  /**
   * From this on a movement is large, in major units of its currency. Whole ones, which every
   * currency has. Balances alone asks.
   */
  largeMovementMin: number
  shutdownTimeoutMs: number
}

export type StartConfig = {
  walletPort: number
  balancesPort: number
  postgresPort: number
  kafkaPort: number
  dataDir: string
}

export type ReconcileConfig = {
  walletUrl: string
  balancesUrl: string
  kafka: KafkaConfig
  /** Nothing was named, so that it is about what `npm start` runs. */
  isLocal: boolean
}

/** What one service needs. Throws `ConfigError`. */
export function readServiceConfig(env: Environment): ServiceConfig {
  return read(env, (variable) => {
    const service = variable('SERVICE', oneOf(...serviceNames))
    return {
      service,
      host: variable('HOST', text, '0.0.0.0'),
      port: variable('PORT', port, service === 'balances' ? 3003 : 8080),
      allowedHosts: variable('ALLOWED_HOSTS', hostList, []),
      corsOrigins: variable('CORS_ORIGINS', originList, []),
      logLevel: variable('LOG_LEVEL', oneOf('debug', 'info', 'warn', 'error'), 'info'),
      logFormat: variable('LOG_FORMAT', oneOf('json', 'pretty'), 'json'),
      database: {
        url: variable('DATABASE_URL', postgresUrl),
        migrationUrl:
          variable('MIGRATION_DATABASE_URL', service === 'balances' ? notForBalances : postgresUrl, null) ??
          undefined,
        poolMax: variable('DATABASE_POOL_MAX', integer(2, 1000), 10),
        prepare: variable('DATABASE_PREPARE', flag, true),
      },
      kafka: kafkaConfig(variable, service),
      migrateOnStart: variable('MIGRATE_ON_START', flag, true),
      seedOnStart: variable('SEED_ON_START', flag, false),
      largeMovementMin: variable('LARGE_MOVEMENT_MIN', integer(1, 999_999_999), 10_000),
      shutdownTimeoutMs: variable('SHUTDOWN_TIMEOUT_MS', integer(0, 600_000), 10_000),
    }
  })
}

/**
 * What `reconcile` compares. Without any address it is what `npm start` runs with the same
 * environment. Throws `ConfigError`.
 */
export function readReconcileConfig(env: Environment): ReconcileConfig {
  const addresses = ['WALLET_DATABASE_URL', 'BALANCES_DATABASE_URL', 'KAFKA_BROKERS']
  const isLocal = !addresses.some((name) => env[name] || env[`${name}_FILE`])
  return read(isLocal ? { ...env, ...startedAddresses(readStartConfig(env)) } : env, (variable) => ({
    walletUrl: variable('WALLET_DATABASE_URL', postgresUrl),
    balancesUrl: variable('BALANCES_DATABASE_URL', postgresUrl),
    kafka: kafkaConfig(variable, 'reconcile'),
    isLocal,
  }))
}

const startedAddresses = (started: StartConfig): Environment => ({
  WALLET_DATABASE_URL: localDatabaseUrl('wallet', started.postgresPort, 'wallet_service'),
  BALANCES_DATABASE_URL: localDatabaseUrl('balances', started.postgresPort),
  KAFKA_BROKERS: `127.0.0.1:${started.kafkaPort}`,
})

/**
 * What `npm start` needs: the ports on this machine, and where the data lives. `HOST` is not among
 * it, because some shells set it to the name of the machine. Throws `ConfigError`.
 */
export function readStartConfig(env: Environment): StartConfig {
  return read(env, (variable) => ({
    walletPort: variable('WALLET_PORT', port, 8080),
    balancesPort: variable('BALANCES_PORT', port, 3003),
    postgresPort: variable('POSTGRES_PORT', port, 54329),
    kafkaPort: variable('KAFKA_PORT', port, 19092),
    dataDir: variable('DATA_DIR', text, '.data'),
  }))
}

/**
 * The wallet's database, for a command that works on it: the one of `npm start`, unless another one
 * is named. Throws `ConfigError`.
 */
export const readLedgerUrl = (env: Environment): string =>
  read(env, (variable) => {
    const local = localDatabaseUrl('wallet', variable('POSTGRES_PORT', port, 54329), 'wallet_service')
    return variable('DATABASE_URL', postgresUrl, local)
  })

/**
 * What the read side works with, for a command beside it: that of `npm start`, as far as nothing
 * else is named. Throws `ConfigError`.
 */
export function readReadSideConfig(env: Environment): ServiceConfig {
  const started = startedAddresses(
    readStartConfig({ POSTGRES_PORT: env.POSTGRES_PORT, KAFKA_PORT: env.KAFKA_PORT }),
  )
  return readServiceConfig({
    DATABASE_URL: env.DATABASE_URL_FILE ? undefined : started.BALANCES_DATABASE_URL,
    KAFKA_BROKERS: env.KAFKA_BROKERS_FILE ? undefined : started.KAFKA_BROKERS,
    ...env,
    SERVICE: 'balances',
  })
}

/**
 * A database of `npm start`. It is reached from this machine alone, by whoever tries it out: a
 * password that can be typed serves better than a secret one.
 */
export const localDatabaseUrl = (name: ServiceName, postgresPort: number, user: string = name): string =>
  `postgres://${user}:${user}@127.0.0.1:${postgresPort}/${name}`

/**
 * What the stack tests may be pointed at. Without these they start the embedded stand-ins. Throws
 * `ConfigError`.
 */
export function readTestConfig(env: Environment): {
  databaseUrl: string | undefined
  brokers: string[] | undefined
} {
  return read(env, (variable) => ({
    databaseUrl: variable('DATABASE_URL', postgresUrl, null) ?? undefined,
    brokers: variable('KAFKA_BROKERS', brokerList, null) ?? undefined,
  }))
}

function kafkaConfig(variable: Variable, clientId: string): KafkaConfig {
  const mechanism = variable('KAFKA_SASL_MECHANISM', oneOf('plain', 'scram-sha-256', 'scram-sha-512'), null)
  return {
    brokers: variable('KAFKA_BROKERS', brokerList),
    clientId: variable('KAFKA_CLIENT_ID', text, clientId),
    groupId: variable('KAFKA_GROUP_ID', text, 'balances'),
    topicPrefix: variable('KAFKA_TOPIC_PREFIX', topicPrefix, ''),
    partitions: variable('KAFKA_PARTITIONS', integer(1, 1000), 6),
    ssl: variable('KAFKA_SSL', flag, false),
    sasl: mechanism
      ? {
          mechanism,
          username: variable('KAFKA_SASL_USERNAME', text),
          password: variable('KAFKA_SASL_PASSWORD', text),
        }
      : undefined,
  }
}

/** Turns the text of a variable into its value, or throws a sentence that says what would be accepted. */
type Parser<T> = (value: string) => T
type Variable = {
  <T>(name: string, parse: Parser<T>): T
  <T, D>(name: string, parse: Parser<T>, fallback: D): T | D
}

/** Collects the faults of all variables before it gives up, so that nobody mends them one start at a time. */
function read<T>(env: Environment, build: (variable: Variable) => T): T {
  const faults: string[] = []
  const variable = (name: string, parse: Parser<unknown>, ...fallback: unknown[]): unknown => {
    try {
      const value = textOf(env, name)
      if (value !== undefined) return parse(value)
      if (fallback.length > 0) return fallback[0]
      throw new Error('is missing')
    } catch (error) {
      const hint = (error as Error).message === 'is missing' ? `; ${describe(parse)}` : ''
      faults.push(`${name} ${(error as Error).message}${hint}`)
      return undefined
    }
  }
  const config = build(variable as Variable)
  if (faults.length > 0) throw new ConfigError(faults)
  return config
}

/**
 * An empty variable counts as absent. `<NAME>_FILE` names a file that holds the value, the way
 * container secrets arrive.
 */
function textOf(env: Environment, name: string): string | undefined {
  const file = env[`${name}_FILE`]
  if (!file) return env[name] || undefined
  if (env[name]) throw new Error(`and ${name}_FILE are both set; keep one of them`)
  try {
    return readFileSync(file, 'utf8').trim() || undefined
  } catch (error) {
    // The system's message repeats the path, which is the secret itself where somebody mixes the two up.
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`cannot be read from the file that ${name}_FILE names (${code})`)
  }
}

/** Asks a parser what it accepts by showing it something that no parser takes. */
function describe(parse: Parser<unknown>): string {
  try {
    parse('')
  } catch (error) {
    return `it ${(error as Error).message.replace(/, but .*$/, '')}`
  }
  return 'it must be set'
}

const text: Parser<string> = (value) => {
  if (!value) throw new Error('must be set')
  return value
}

const flag: Parser<boolean> = (value) => {
  if (value === 'true' || value === '1') return true
  if (value === 'false' || value === '0') return false
  throw new Error(`must be true or false, but is ${quoted(value)}`)
}

const integer =
  (min: number, max: number): Parser<number> =>
  (value) => {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
    if (number >= min && number <= max) return number
    throw new Error(`must be a whole number from ${min} to ${max}, but is ${quoted(value)}`)
  }

const port = integer(0, 65_535)

const oneOf =
  <const T extends string>(...accepted: T[]): Parser<T> =>
  (value) => {
    const found = accepted.find((one) => one === value)
    if (found) return found
    throw new Error(`must be one of ${accepted.join(', ')}, but is ${quoted(value)}`)
  }

const postgresUrl: Parser<string> = (value) => {
  // The value may hold a password, so it is never repeated in the message.
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url && /^postgres(ql)?:$/.test(url.protocol) && url.pathname.length > 1) return value
  throw new Error('must be a URL like postgres://user:password@host:5432/database')
}

/** Better refused than ignored: somebody would believe that balances works with fewer rights. */
const notForBalances: Parser<string> = () => {
  throw new Error('is for the wallet alone; balances works as the owner of its database')
}

const brokerList: Parser<string[]> = (value) => {
  const brokers = value.split(',').map((broker) => broker.trim())
  if (brokers.every(isBroker)) return brokers
  throw new Error(`must be a comma-separated list of host:port, but is ${quoted(value)}`)
}

const isBroker = (text: string): boolean => {
  const port = Number(/^(?:[^\s:/]+|\[[0-9a-f:]+\]):(\d{1,5})$/i.exec(text)?.[1])
  return port >= 1 && port <= 65_535
}

const listOf = (value: string): string[] => value.split(',').map((one) => one.trim())

/** Names alone: the port, which differs behind a proxy, makes no difference. */
const hostList: Parser<string[]> = (value) => {
  const hosts = listOf(value).map((host) => host.toLowerCase())
  if (hosts.every((host) => /^(\*|[a-z0-9._-]+|\[[0-9a-f:.]+\])$/.test(host))) return hosts
  throw new Error(
    `must be a comma-separated list of host names without scheme and port, or *, but is ${quoted(value)}`,
  )
}

/** As browsers write them: what never equals an `Origin` would be a rule without effect. */
const originList: Parser<string[]> = (value) => {
  const origins = listOf(value)
  if (origins.every((one) => /^https?:/.test(one) && URL.canParse(one) && new URL(one).origin === one))
    return origins
  throw new Error(
    `must be a comma-separated list of origins such as https://app.example.com, without a path, but is ${quoted(value)}`,
  )
}

const topicPrefix: Parser<string> = (value) => {
  if (/^[a-zA-Z0-9._-]{1,100}$/.test(value)) return value
  throw new Error(
    `must hold only letters, digits, '.', '_' and '-', at most 100 of them, but is ${quoted(value)}`,
  )
}

/**
 * A value as it was given, unless it may hold a password: then not even in part, since nobody knows
 * where that begins.
 */
const quoted = (value: string): string => {
  if (/[@=]|:\/\/|pass|pwd|secret|token|credential/i.test(value))
    return 'a text that may hold a password, not repeated here'
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
}
