/**
 * The only reader of the environment: each variable with its parser and default. All faults are
 * reported at once, each with its remedy.
 */
import type { KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { keyEntries } from './api-keys'
import {
  brokerList,
  certificates,
  ed25519Key,
  flag,
  folderList,
  hostList,
  integer,
  keyList,
  notFalse,
  oneOf,
  onlyIfRequired,
  origin,
  originList,
  type Parser,
  port,
  privateKey,
  saslMechanism,
  text,
  textBeside,
  topicPrefix,
  type Variable,
} from './parsers'
import { postgresUrl } from './postgres-url'
import { tracingConfig } from './tracing'

export type Environment = Readonly<Record<string, string | undefined>>

/** The message lists every fault on a line of its own, with what is accepted. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  constructor(readonly faults: readonly string[]) {
    super(`Invalid configuration:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`)
  }
}

export const serviceNames = ['wallet', 'balances'] as const
export type ServiceName = (typeof serviceNames)[number]

export type ServiceConfig = ReturnType<typeof readServiceConfig>
export type KafkaConfig = ServiceConfig['kafka']
export type StartConfig = ReturnType<typeof readStartConfig>
export type DrillConfig = ReturnType<typeof readDrillConfig>
export type ReconcileConfig = ReturnType<typeof readReconcileConfig>

/** Throws `ConfigError`. */
export function readServiceConfig(env: Environment) {
  return read(env, (variable) => {
    const service = variable('SERVICE', oneOf(...serviceNames))
    const address = databaseAddress(variable)
    return {
      service,
      host: variable('HOST', text, '0.0.0.0'),
      port: variable('PORT', port, service === 'balances' ? 3003 : 8080),
      tls: tlsFiles(variable),
      /** Host names for which writes are accepted, beside those of this machine; `*` is any. */
      allowedHosts: variable('ALLOWED_HOSTS', hostList, []),
      /** Origins whose pages may call the service from a browser. */
      corsOrigins: variable('CORS_ORIGINS', originList, []),
      /** Where browsers reach the other service, for links and the console. */
      walletPublicUrl: variable('WALLET_PUBLIC_URL', origin, undefined),
      balancesPublicUrl: variable('BALANCES_PUBLIC_URL', origin, undefined),
      /** Whether the console may cause failures: for demonstrations. */
      consoleActions: variable('CONSOLE_ACTIONS', flag, false),
      /** The supervisor of `npm start`, for actions of the console that only it can do. */
      consoleControl: consoleControl(variable),
      /** Which requests need an API key. Undefined: all, once there is a key. */
      auth: variable('AUTH', oneOf('keys', 'anonymous-read', 'off'), undefined),
      /** Keys beside those of the database. */
      apiKeys: variable('API_KEYS', keyEntries, []),
      /** Requests a second; 0 for no limit. */
      rateLimits: {
        perKey: variable('RATE_LIMIT_KEY', integer(0, 1_000_000), 1000),
        perAddress: variable('RATE_LIMIT_ADDRESS', integer(0, 1_000_000), 20),
      },
      logLevel: variable('LOG_LEVEL', oneOf('debug', 'info', 'warn', 'error'), 'info'),
      logFormat: variable('LOG_FORMAT', oneOf('json', 'pretty'), 'json'),
      /** Undefined where traces are not exported. */
      tracing: tracingConfig(variable, service),
      database: {
        url: variable('DATABASE_URL', address),
        /** The owner, for migrations and rebuilds only, when `url` is a restricted role. */
        migrationUrl: variable('MIGRATION_DATABASE_URL', address, undefined),
        poolMax: variable('DATABASE_POOL_MAX', integer(2, 1000), 10),
        prepare: variable('DATABASE_PREPARE', flag, true),
      },
      kafka: kafkaConfig(variable, service),
      events: {
        /** The first signs. Others may be there, so that both services can share a list. */
        signingKeys: service === 'wallet' ? variable('EVENTS_SIGNING_KEYS', keyList, []) : [],
        ...(service === 'wallet' ? unverified : verification(variable)),
      },
      /** What the wallet does when the broker has events that its ledger has lost. */
      onLostEvents: variable('ON_LOST_EVENTS', oneOf('start_epoch', 'refuse'), 'start_epoch'),
      migrateOnStart: variable('MIGRATE_ON_START', flag, true),
      seedOnStart: variable('SEED_ON_START', flag, false),
      /** Movements from this amount on are large: whole major units of any currency. For balances only. */
      largeMovementMin: variable('LARGE_MOVEMENT_MIN', integer(1, 999_999_999), 10_000),
      /** Whose disks `/metrics` shows. */
      diskFolders: variable('DISK_FOLDERS', folderList, []),
      /** The commit that runs, where the build says so. */
      revision: variable('REVISION', text, undefined),
      /** How long it serves on, while `/readyz` says that it stops, in milliseconds. */
      shutdownDelayMs: variable('SHUTDOWN_DELAY_MS', integer(0, 600_000), 0),
      shutdownTimeoutMs: variable('SHUTDOWN_TIMEOUT_MS', integer(0, 600_000), 10_000),
    }
  })
}

function tlsFiles(variable: Variable) {
  const certFile = variable('TLS_CERT_FILE', text, undefined)
  const keyFile = variable('TLS_KEY_FILE', text, undefined)
  if (certFile === undefined && keyFile === undefined) return undefined
  return {
    certFile: variable('TLS_CERT_FILE', textBeside('TLS_KEY_FILE')),
    keyFile: variable('TLS_KEY_FILE', textBeside('TLS_CERT_FILE')),
  }
}

/** Set by `npm start`. */
function consoleControl(variable: Variable) {
  const url = variable('CONSOLE_CONTROL_URL', origin, undefined)
  const token = variable('CONSOLE_CONTROL_TOKEN', text, undefined)
  if (url === undefined && token === undefined) return undefined
  return {
    url: variable('CONSOLE_CONTROL_URL', textBeside('CONSOLE_CONTROL_TOKEN')),
    token: variable('CONSOLE_CONTROL_TOKEN', textBeside('CONSOLE_CONTROL_URL')),
  }
}

/**
 * For commands about one service: DATABASE_URL is the database of that service, also where only
 * WALLET_DATABASE_URL or BALANCES_DATABASE_URL names it. Throws `ConfigError` in the environment of the
 * other service, whose database is not meant.
 */
export function environmentOf(env: Environment, service: ServiceName): Environment {
  const own = databaseVariables[service]
  const isOther = env.SERVICE !== undefined && env.SERVICE !== service
  if (isSet(env, 'DATABASE_URL') && !isOther) return env
  if (isSet(env, own)) {
    const { MIGRATION_DATABASE_URL: _, MIGRATION_DATABASE_URL_FILE: __, ...rest } = env
    return { ...rest, DATABASE_URL: env[own], DATABASE_URL_FILE: env[`${own}_FILE`], SERVICE: service }
  }
  if (!isSet(env, 'DATABASE_URL')) return env
  const remedy = `run this in the environment of ${service}, or set ${own}`
  throw new ConfigError([`DATABASE_URL is that of ${env.SERVICE}, as SERVICE says: ${remedy}`])
}

const databaseVariables = { wallet: 'WALLET_DATABASE_URL', balances: 'BALANCES_DATABASE_URL' } as const

/** Where a service runs, its DATABASE_URL is one of the two addresses. */
function withOwnAddress(env: Environment): Environment {
  const service = serviceNames.find((name) => name === env.SERVICE)
  const own = service && databaseVariables[service]
  if (!own || isSet(env, own)) return env
  return { ...env, [own]: env.DATABASE_URL, [`${own}_FILE`]: env.DATABASE_URL_FILE }
}

/** What `status` asks. A database whose address is missing is not shown. Throws `ConfigError`. */
export function readStatusConfig(given: Environment) {
  const env = withOwnAddress(given)
  const isLocal = !reconcileAddresses.some((name) => isSet(env, name))
  return read(isLocal ? { ...env, ...localAddresses(env) } : env, (variable) => {
    const address = databaseAddress(variable)
    return {
      walletUrl: variable('WALLET_DATABASE_URL', address, undefined),
      balancesUrl: variable('BALANCES_DATABASE_URL', address, undefined),
      kafka: kafkaConfig(variable, 'status'),
      remedy: remedyOf(env, reconcileAddresses),
    }
  })
}

/** What reading topics takes: by default the broker of `npm start`. Throws `ConfigError`. */
export function readTopicsConfig(env: Environment) {
  const isLocal = !isSet(env, 'KAFKA_BROKERS')
  const brokers = isLocal ? { KAFKA_BROKERS: localAddresses(env).KAFKA_BROKERS } : {}
  return read({ ...env, ...brokers }, (variable) => ({
    kafka: kafkaConfig(variable, 'events'),
    events: verification(variable),
    remedy: remedyOf(env, ['KAFKA_BROKERS']),
  }))
}

/** The key that signs reports of reconcile. Throws `ConfigError`. */
export const readReportKey = (env: Environment): KeyObject | undefined =>
  read(env, (variable) => variable('RECONCILE_SIGNING_KEY', ed25519Key, undefined))

/** Throws `ConfigError`. */
export function readReconcileConfig(given: Environment) {
  const env = withOwnAddress(given)
  const isLocal = !reconcileAddresses.some((name) => isSet(env, name))
  return read(isLocal ? { ...env, ...localAddresses(env) } : env, (variable) => {
    const address = databaseAddress(variable)
    return {
      walletUrl: variable('WALLET_DATABASE_URL', address),
      balancesUrl: variable('BALANCES_DATABASE_URL', address),
      kafka: kafkaConfig(variable, 'reconcile'),
      events: verification(variable),
      /** When something cannot be reached. */
      remedy: isLocal
        ? remedyOf(env, reconcileAddresses)
        : 'Check the addresses and KAFKA_TOPIC_PREFIX, and that both services have been started on them.',
    }
  })
}

/** The CA is for every address that names none. */
const databaseAddress = (variable: Variable) => postgresUrl(variable('DATABASE_CA', certificates, undefined))

export const reconcileAddresses = ['WALLET_DATABASE_URL', 'BALANCES_DATABASE_URL', 'KAFKA_BROKERS'] as const

const isSet = (env: Environment, name: string): boolean => Boolean(env[name] || env[`${name}_FILE`])

type Address = (typeof reconcileAddresses)[number] | 'DATABASE_URL'

/** What to do when a command does not reach its servers. What is not set is that of `npm start`. */
export function remedyOf(env: Environment, addresses: readonly Address[]): string {
  const missing = addresses.filter((name) => !isSet(env, name))
  if (missing.length === 0) return `Check ${listed(addresses)}.`
  const ports = missing.map((name) => (name === 'KAFKA_BROKERS' ? 'KAFKA_PORT' : 'POSTGRES_PORT'))
  const [names, verb] = [listed(missing), missing.length > 1 ? 'are' : 'is']
  return (
    `${names} ${verb} not set, so npm start on this machine is meant: start it, ` +
    `set ${listed([...new Set(ports)])} if it was started on other ports, or set ${names}.`
  )
}

const listed = (names: readonly string[]): string => names.join(', ').replace(/, (\w+)$/, ' and $1')

/** Of what `npm start` runs. */
const localAddresses = (env: Environment) =>
  read(env, (variable) => {
    const postgresPort = variable('POSTGRES_PORT', port, localPorts.postgres)
    return {
      WALLET_DATABASE_URL: localDatabaseUrl('wallet', postgresPort, 'wallet_service'),
      BALANCES_DATABASE_URL: localDatabaseUrl('balances', postgresPort, 'balances_service'),
      KAFKA_BROKERS: `127.0.0.1:${variable('KAFKA_PORT', port, localPorts.kafka)}`,
    }
  })

const localPorts = { postgres: 54329, kafka: 19092 }

/**
 * Ports and data folder of `npm start`. `HOST` is left out, because some shells set it to the name
 * of the machine. Throws `ConfigError`.
 */
export function readStartConfig(env: Environment) {
  return read(env, (variable) => ({
    walletPort: variable('WALLET_PORT', port, 8080),
    balancesPort: variable('BALANCES_PORT', port, 3003),
    postgresPort: variable('POSTGRES_PORT', port, localPorts.postgres),
    kafkaPort: variable('KAFKA_PORT', port, localPorts.kafka),
    dataDir: variable('DATA_DIR', text, '.data'),
  }))
}

/** The `npm start` that a drill is for. Throws `ConfigError` where other servers are meant. */
export function readDrillConfig(env: Environment) {
  const elsewhere = [...reconcileAddresses, 'DATABASE_URL'].filter((name) => isSet(env, name))
  const remedy = 'drills are for npm start on this machine, so leave it out'
  if (elsewhere.length > 0) throw new ConfigError(elsewhere.map((name) => `${name} is set: ${remedy}`))
  const keys = read(env, (variable) => ({
    walletKey: variable('WALLET_API_KEY', text, undefined),
    balancesKey: variable('BALANCES_API_KEY', text, undefined),
  }))
  return { ...readStartConfig(env), ...keys }
}

/** The wallet's database, for a command: by default that of `npm start`. Throws `ConfigError`. */
export const readLedgerUrl = (env: Environment): string =>
  read(env, (variable) => {
    const postgresPort = variable('POSTGRES_PORT', port, localPorts.postgres)
    const local = localDatabaseUrl('wallet', postgresPort, 'wallet_service')
    return variable('DATABASE_URL', databaseAddress(variable), local)
  })

/** The database of a service as its owner, for a command: by default that of `npm start`. */
export const readOwnerUrl = (env: Environment, service: ServiceName): string =>
  read(env, (variable) => {
    const postgresPort = variable('POSTGRES_PORT', port, localPorts.postgres)
    const address = databaseAddress(variable)
    const url = variable('DATABASE_URL', address, localDatabaseUrl(service, postgresPort))
    return variable('MIGRATION_DATABASE_URL', address, undefined) ?? url
  })

/** The configuration of balances, for a command: by default that of `npm start`. Throws `ConfigError`. */
export function readReadSideConfig(env: Environment): ServiceConfig {
  const local = localAddresses(env)
  return readServiceConfig({
    ...env,
    ...(isSet(env, 'DATABASE_URL')
      ? {}
      : { DATABASE_URL: local.BALANCES_DATABASE_URL, MIGRATION_DATABASE_URL: readOwnerUrl(env, 'balances') }),
    ...(isSet(env, 'KAFKA_BROKERS') ? {} : { KAFKA_BROKERS: local.KAFKA_BROKERS }),
    SERVICE: 'balances',
  })
}

/**
 * A database of `npm start`, reachable from this machine only: a password that is easy to type
 * beats a secret.
 */
export const localDatabaseUrl = (name: ServiceName, postgresPort: number, user: string = name): string =>
  `postgres://${user}:${user}@127.0.0.1:${postgresPort}/${name}`

/** Servers for the stack tests; without these they start local ones. Throws `ConfigError`. */
export function readTestConfig(env: Environment) {
  return read(env, (variable) => ({
    databaseUrl: variable('DATABASE_URL', postgresUrl(), undefined),
    brokers: variable('KAFKA_BROKERS', brokerList, undefined),
  }))
}

function kafkaConfig(variable: Variable, clientId: string) {
  const brokers = variable('KAFKA_BROKERS', brokerList)
  const tls = kafkaTls(variable)
  const mechanism = variable('KAFKA_SASL_MECHANISM', saslMechanism(tls.ssl, brokers), undefined)
  return {
    brokers,
    clientId: variable('KAFKA_CLIENT_ID', text, clientId),
    /** Consumer group of balances; the wallet does not use it. */
    groupId: variable('KAFKA_GROUP_ID', text, 'balances'),
    /** Prefix of every topic and of the group, so that installations can share a broker. */
    topicPrefix: variable('KAFKA_TOPIC_PREFIX', topicPrefix, ''),
    /** Partitions of new topics. Existing topics stay as they are. */
    partitions: variable('KAFKA_PARTITIONS', integer(1, 1000), 6),
    ...tls,
    sasl: mechanism && {
      mechanism,
      username: variable('KAFKA_SASL_USERNAME', text),
      password: variable('KAFKA_SASL_PASSWORD', text),
    },
  }
}

/** Each of the keys is accepted. Keys that would not be used are a fault: it would look like protection. */
function verification(variable: Variable) {
  const verify = variable('EVENTS_VERIFY', oneOf('off', 'required'), undefined)
  return {
    verify,
    verifyKeys:
      verify === 'required'
        ? variable('EVENTS_VERIFY_KEYS', keyList)
        : variable('EVENTS_VERIFY_KEYS', onlyIfRequired, []),
  }
}
const unverified: ReturnType<typeof verification> = { verify: undefined, verifyKeys: [] }

/** A CA or a certificate of its own implies TLS. */
function kafkaTls(variable: Variable) {
  const ca = variable('KAFKA_CA', certificates, undefined)
  const cert = variable('KAFKA_CERT', certificates, undefined)
  const key = variable('KAFKA_KEY', privateKey(cert), undefined)
  const isImplied = ca !== undefined || cert !== undefined
  const ssl = variable('KAFKA_SSL', isImplied ? notFalse('KAFKA_CA or KAFKA_CERT') : flag, isImplied)
  if ((cert === undefined) === (key === undefined)) return { ssl, ca, cert, key }
  variable('KAFKA_CERT', textBeside('KAFKA_KEY'))
  variable('KAFKA_KEY', textBeside('KAFKA_CERT'))
  return { ssl, ca, cert, key }
}

/** Collects the faults of all variables before it throws. */
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

/** An empty variable counts as absent. `<NAME>_FILE` names a file with the value, as container secrets do. */
function textOf(env: Environment, name: string): string | undefined {
  const file = env[`${name}_FILE`]
  if (!file) return env[name] || undefined
  if (env[name]) throw new Error(`and ${name}_FILE are both set; keep one of them`)
  try {
    return readFileSync(file, 'utf8').trim() || undefined
  } catch (error) {
    // The system's message repeats the path, which is the secret itself if the two variables are confused.
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`cannot be read from the file that ${name}_FILE names (${code})`)
  }
}

/** What a parser accepts, by its fault for a value that none accepts. */
function describe(parse: Parser<unknown>): string {
  try {
    parse('')
  } catch (error) {
    return `it ${(error as Error).message.replace(/, but .*$/, '')}`
  }
  return 'it must be set'
}
