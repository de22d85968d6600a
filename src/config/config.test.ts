import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority } from '../testing/certificates'
import {
  ConfigError,
  type Environment,
  readLedgerUrl,
  readReadSideConfig,
  readReconcileConfig,
  readServiceConfig,
  readStartConfig,
  remedyOf,
} from './config'

const enough = {
  SERVICE: 'wallet',
  DATABASE_URL: 'postgres://wallet:secret@localhost/wallet',
  KAFKA_BROKERS: 'localhost:9092',
}

const faultsOf = (env: Record<string, string>): readonly string[] => {
  try {
    readServiceConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

test('three variables are required, all others have defaults', () => {
  expect(readServiceConfig(enough)).toMatchObject({ service: 'wallet', port: 8080, seedOnStart: false })
  expect(readServiceConfig({ ...enough, SERVICE: 'balances' })).toMatchObject({
    port: 3003,
    kafka: { partitions: 6 },
  })
  expect(readStartConfig({})).toMatchObject({ walletPort: 8080, balancesPort: 3003, dataDir: '.data' })
})

test('a command defaults to the database of npm start', () => {
  const local = 'postgres://wallet_service:wallet_service@127.0.0.1:5555/wallet'
  expect(readLedgerUrl({ POSTGRES_PORT: '5555' })).toBe(local)
  expect(readLedgerUrl(enough)).toBe(enough.DATABASE_URL)
})

test('reconcile needs all addresses, or none for what npm start runs', () => {
  expect(
    readReconcileConfig({ KAFKA_PORT: '9', POSTGRES_PORT: '8', DATABASE_URL: 'unrelated' }),
  ).toMatchObject({
    walletUrl: 'postgres://wallet_service:wallet_service@127.0.0.1:8/wallet',
    balancesUrl: 'postgres://balances_service:balances_service@127.0.0.1:8/balances',
    kafka: { brokers: ['127.0.0.1:9'], clientId: 'reconcile', topicPrefix: '' },
    remedy: expect.stringContaining('npm start'),
  })
  const walletUrl = enough.DATABASE_URL
  const named = {
    WALLET_DATABASE_URL: walletUrl,
    BALANCES_DATABASE_URL: walletUrl,
    KAFKA_BROKERS: 'localhost:9092',
  }
  expect(readReconcileConfig(named)).toMatchObject({
    walletUrl,
    balancesUrl: walletUrl,
    remedy: expect.not.stringContaining('npm start'),
  })
  expect(() => readReconcileConfig({ KAFKA_BROKERS: 'localhost', KAFKA_TOPIC_PREFIX: 'a b' })).toThrow(
    /WALLET_\w+ is missing.*BALANCES_\w+ is missing.*KAFKA_BROKERS must.*KAFKA_TOPIC_PREFIX must/s,
  )
})

test.each<[Environment, Parameters<typeof remedyOf>[1], string]>([
  [
    {},
    ['DATABASE_URL'],
    'DATABASE_URL is not set, so npm start on this machine is meant: ' +
      'start it, set POSTGRES_PORT if it was started on other ports, or set DATABASE_URL.',
  ],
  [
    { DATABASE_URL_FILE: 'secret' },
    ['DATABASE_URL', 'KAFKA_BROKERS'],
    'KAFKA_BROKERS is not set, so npm start on this machine is meant: ' +
      'start it, set KAFKA_PORT if it was started on other ports, or set KAFKA_BROKERS.',
  ],
  [
    {},
    ['WALLET_DATABASE_URL', 'BALANCES_DATABASE_URL', 'KAFKA_BROKERS'],
    'WALLET_DATABASE_URL, BALANCES_DATABASE_URL and KAFKA_BROKERS are not set, ' +
      'so npm start on this machine is meant: start it, set POSTGRES_PORT and KAFKA_PORT if it was started ' +
      'on other ports, or set WALLET_DATABASE_URL, BALANCES_DATABASE_URL and KAFKA_BROKERS.',
  ],
  [enough, ['DATABASE_URL', 'KAFKA_BROKERS'], 'Check DATABASE_URL and KAFKA_BROKERS.'],
])('with %j the remedy for %p names what may be wrong', (env, addresses, remedy) => {
  expect(remedyOf(env, addresses)).toBe(remedy)
})

test('all faults are reported at once, with what is accepted', () => {
  const env = {
    PORT: '80x',
    SEED_ON_START: 'perhaps',
    KAFKA_BROKERS: 'localhost',
    LARGE_MOVEMENT_MIN: '99.90',
  }
  expect(faultsOf(env)).toEqual([
    'SERVICE is missing; it must be one of wallet, balances',
    'PORT must be a whole number from 0 to 65535, but is "80x"',
    'DATABASE_URL is missing; it must be a URL like postgres://user:password@host:5432/database',
    'KAFKA_BROKERS must be a comma-separated list of host:port, but is "localhost"',
    'SEED_ON_START must be true or false, but is "perhaps"',
    'LARGE_MOVEMENT_MIN must be a whole number from 1 to 999999999, but is "99.90"',
  ])
})

test.each(['h:0', 'h:65536', 'h:99999', '[::1]:70000', 'a:1,b:65536'])(
  '%s is not a broker list',
  (KAFKA_BROKERS) => {
    expect(faultsOf({ ...enough, KAFKA_BROKERS })).toEqual([
      `KAFKA_BROKERS must be a comma-separated list of host:port, but is ${JSON.stringify(KAFKA_BROKERS)}`,
    ])
  },
)

test('a password never shows up in a fault', () => {
  const [fault] = faultsOf({ ...enough, DATABASE_URL: 'mysql://root:hunter2@localhost/wallet' })
  expect(fault).toStartWith('DATABASE_URL must be a URL like postgres://')
  expect(fault).not.toContain('hunter2')
})

test.each([
  ['KAFKA_BROKERS', 'SASL_SSL://app:hunter2@broker:9092'],
  ['KAFKA_BROKERS', 'broker:9092,app:hun,ter2@other:9092'],
  ['KAFKA_BROKERS', 'broker:9092?password=hunter2'],
  ['KAFKA_BROKERS', `${'b'.repeat(80)}:9092/,sasl.password=hunter2`],
  ['KAFKA_TOPIC_PREFIX', 'https://token:hunter2@host/'],
  ['LOG_LEVEL', 'password=hunter2'],
  ['PORT', 'postgres://app:hunter2@db/wallet'],
  ['KAFKA_SASL_PASSWORD_FILE', '/hunter2/hun'],
  ['DATABASE_URL_FILE', 'postgres://app:hunter2@db/wallet'],
])('a possible password is not repeated: %s=%s', (name, value) => {
  const { DATABASE_URL, ...rest } = enough
  const env = {
    ...rest,
    ...(name === 'DATABASE_URL_FILE' ? {} : { DATABASE_URL }),
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
  }
  const faults = faultsOf({ ...env, [name]: value }).join('\n')
  expect(faults).toContain(name.replace('_FILE', ''))
  expect(faults).not.toMatch(/hun|ter2|sasl\.|token/)
})

test('the database owner is optional', () => {
  const owner = { MIGRATION_DATABASE_URL: 'postgres://owner:secret@localhost/wallet' }
  expect(readServiceConfig(enough).database.migrationUrl).toBeUndefined()
  for (const SERVICE of ['wallet', 'balances'])
    expect(readServiceConfig({ ...enough, ...owner, SERVICE }).database.migrationUrl).toBe(
      owner.MIGRATION_DATABASE_URL,
    )
  expect(faultsOf({ ...enough, MIGRATION_DATABASE_URL: 'localhost', PORT: '80x' })).toEqual([
    'PORT must be a whole number from 0 to 65535, but is "80x"',
    'MIGRATION_DATABASE_URL must be a URL like postgres://user:password@host:5432/database',
  ])
})

test('a command on the read side has the owner of npm start, but not where another database is named', () => {
  const [service, owner] = ['balances_service:balances_service', 'balances:balances'].map(
    (login) => `postgres://${login}@127.0.0.1:8/balances`,
  )
  const urlsOf = (env: Record<string, string>) => {
    const { url, migrationUrl } = readReadSideConfig({ POSTGRES_PORT: '8', ...env }).database
    return [url, migrationUrl]
  }
  const elsewhere = { DATABASE_URL: enough.DATABASE_URL }
  const other = { MIGRATION_DATABASE_URL: 'postgres://other:secret@localhost/balances' }
  expect(urlsOf({})).toEqual([service, owner])
  expect(urlsOf(other)).toEqual([service, other.MIGRATION_DATABASE_URL])
  expect(urlsOf(elsewhere)).toEqual([enough.DATABASE_URL, undefined])
  expect(urlsOf({ ...elsewhere, ...other })).toEqual([enough.DATABASE_URL, other.MIGRATION_DATABASE_URL])
})

test('a certificate needs its key, and the other way round', () => {
  const files = { TLS_CERT_FILE: '/tls.crt', TLS_KEY_FILE: '/tls.key' }
  expect(readServiceConfig(enough).tls).toBeUndefined()
  expect(readServiceConfig({ ...enough, ...files }).tls).toEqual({
    certFile: '/tls.crt',
    keyFile: '/tls.key',
  })
  expect(faultsOf({ ...enough, TLS_CERT_FILE: '/tls.crt' })).toEqual([
    'TLS_KEY_FILE is missing; it must be set together with TLS_CERT_FILE',
  ])
  expect(faultsOf({ ...enough, TLS_KEY_FILE: '/tls.key' })).toEqual([
    'TLS_CERT_FILE is missing; it must be set together with TLS_KEY_FILE',
  ])
})

test('SASL requires a user and a password only when it is enabled', () => {
  expect(readServiceConfig(enough).kafka.sasl).toBeUndefined()
  expect(faultsOf({ ...enough, KAFKA_SASL_MECHANISM: 'plain' })).toEqual([
    'KAFKA_SASL_USERNAME is missing; it must be set',
    'KAFKA_SASL_PASSWORD is missing; it must be set',
  ])
})

test('a password is not sent readable to another machine', () => {
  const login = { KAFKA_SASL_USERNAME: 'app', KAFKA_SASL_PASSWORD: 'secret' }
  const plain = { ...enough, ...login, KAFKA_SASL_MECHANISM: 'plain' }
  const fault = [
    'KAFKA_SASL_MECHANISM is plain, which sends the password readable: ' +
      'set KAFKA_SSL=true, or use scram-sha-512',
  ]
  for (const KAFKA_BROKERS of ['kafka:9092', 'localhost:9092,kafka:9092', '127.0.0.1.test:9092'])
    expect(faultsOf({ ...plain, KAFKA_BROKERS })).toEqual(fault)
  for (const [name, value] of [
    ['KAFKA_SSL', 'true'],
    ['KAFKA_SASL_MECHANISM', 'scram-sha-512'],
    ['KAFKA_BROKERS', 'localhost:9092,127.0.0.1:9093,[::1]:9094'],
  ] as const)
    expect(faultsOf({ ...plain, KAFKA_BROKERS: 'kafka:9092', [name]: value })).toEqual([])
})

test('a CA or a certificate for Kafka implies TLS, and a certificate needs its key', () => {
  const authority = createAuthority('a CA')
  const [pair, other] = [authority.issue(['wallet']), authority.issue(['wallet'])]
  const [ca, cert] = [authority.cert.trim(), pair.cert.trim()]
  const own = { KAFKA_CERT: pair.cert, KAFKA_KEY: pair.key }
  expect(readServiceConfig(enough).kafka).toMatchObject({ ssl: false, ca: undefined })
  expect(readServiceConfig({ ...enough, KAFKA_CA: ca }).kafka).toMatchObject({ ssl: true, ca })
  expect(readServiceConfig({ ...enough, ...own }).kafka).toMatchObject({
    ssl: true,
    cert,
    key: pair.key,
  })
  for (const [more, fault] of [
    [{ KAFKA_CA: ca, KAFKA_SSL: 'false' }, 'KAFKA_SSL is false, although KAFKA_CA or KAFKA_CERT is set'],
    [{ KAFKA_CA: 'x' }, 'KAFKA_CA must be certificates in PEM'],
    [{ KAFKA_CERT: pair.cert }, 'KAFKA_KEY is missing; it must be set together with KAFKA_CERT'],
    [{ KAFKA_KEY: pair.key }, 'KAFKA_CERT is missing; it must be set together with KAFKA_KEY'],
    [{ ...own, KAFKA_KEY: other.key }, 'KAFKA_KEY is not the key of the certificate beside it'],
    [{ ...own, KAFKA_KEY: 'x' }, 'KAFKA_KEY must be a private key in PEM, without a passphrase'],
  ] as const)
    expect(faultsOf({ ...enough, ...more })).toEqual([expect.stringContaining(fault)])
})

test('a secret may come from a file, but not from two places', () => {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-config-'))
  try {
    const file = join(folder, 'url')
    writeFileSync(file, 'postgres://wallet:from-file@db/wallet\n')
    const { DATABASE_URL: _, ...rest } = enough
    expect(readServiceConfig({ ...rest, DATABASE_URL_FILE: file }).database.url).toContain('from-file')
    expect(faultsOf({ ...enough, DATABASE_URL_FILE: file })[0]).toContain('both set')
    expect(faultsOf({ ...rest, DATABASE_URL_FILE: join(folder, 'absent') })[0]).toContain('cannot be read')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('hosts and origins are lists, and a value that never matches is a fault', () => {
  const config = readServiceConfig({
    ...enough,
    ALLOWED_HOSTS: 'Wallet, 10.0.0.7,[::2]',
    CORS_ORIGINS: 'https://a.example',
  })
  expect(config).toMatchObject({
    allowedHosts: ['wallet', '10.0.0.7', '[::2]'],
    corsOrigins: ['https://a.example'],
  })
  expect(readServiceConfig({ ...enough, ALLOWED_HOSTS: '*' })).toMatchObject({
    allowedHosts: ['*'],
    corsOrigins: [],
  })
  for (const bad of ['http://a', 'a:80', 'a b', 'a,,b', '*.a'])
    expect(faultsOf({ ...enough, ALLOWED_HOSTS: bad })).toEqual([
      expect.stringContaining('ALLOWED_HOSTS must be'),
    ])
  for (const bad of [
    'a.example',
    'https://a.example/',
    'https://a.example/x',
    'https://A.example',
    '*',
    'null',
  ])
    expect(faultsOf({ ...enough, CORS_ORIGINS: bad })).toEqual([
      expect.stringContaining('CORS_ORIGINS must be'),
    ])
})

test('the address of the other service for browsers is an origin', () => {
  const given = { WALLET_PUBLIC_URL: 'https://wallet.example', BALANCES_PUBLIC_URL: 'http://localhost:3003' }
  expect(readServiceConfig({ ...enough, ...given })).toMatchObject({
    walletPublicUrl: 'https://wallet.example',
    balancesPublicUrl: 'http://localhost:3003',
  })
  expect(readServiceConfig(enough)).toMatchObject({
    walletPublicUrl: undefined,
    balancesPublicUrl: undefined,
  })
  for (const bad of [
    'wallet:8080',
    'http://wallet/',
    'http://wallet/api',
    'ftp://wallet',
    "http://a' b",
    'http://a;',
  ])
    for (const name of Object.keys(given))
      expect(faultsOf({ ...enough, [name]: bad })).toEqual([
        expect.stringContaining(`${name} must be an origin`),
      ])
})

test('the control address of npm start and its token come together', () => {
  const [url, token] = ['http://127.0.0.1:4711', 'of-this-run']
  const consoleOf = (env: Record<string, string>) => {
    const { consoleActions, consoleControl } = readServiceConfig({ ...enough, ...env })
    return [consoleActions, consoleControl]
  }
  expect(consoleOf({})).toEqual([false, undefined])
  expect(
    consoleOf({ CONSOLE_ACTIONS: 'true', CONSOLE_CONTROL_URL: url, CONSOLE_CONTROL_TOKEN: token }),
  ).toEqual([true, { url, token }])
  expect(faultsOf({ ...enough, CONSOLE_CONTROL_URL: url })).toEqual([
    'CONSOLE_CONTROL_TOKEN is missing; it must be set together with CONSOLE_CONTROL_URL',
  ])
  expect(faultsOf({ ...enough, CONSOLE_CONTROL_TOKEN: token })).toEqual([
    'CONSOLE_CONTROL_URL is missing; it must be set together with CONSOLE_CONTROL_TOKEN',
  ])
})

const secretOf = (length: number) => Buffer.alloc(length, 'hunter2').toString('base64')
const keyText = (id: string, length = 32) => `${id}:${secretOf(length)}`
const balances = { ...enough, SERVICE: 'balances' }

test('keys of signatures are lists, also line by line, for the service that uses them', () => {
  const ids = (keys: { id: string }[]) => keys.map(({ id }) => id)
  const wallet = readServiceConfig({
    ...enough,
    EVENTS_SIGNING_KEYS: `${keyText('2026-11')}, ${keyText('old', 48)}`,
  })
  expect(ids(wallet.events.signingKeys)).toEqual(['2026-11', 'old'])
  expect(wallet.events.signingKeys.map(({ secret }) => Buffer.from(secret).toString('base64'))).toEqual([
    secretOf(32),
    secretOf(48),
  ])
  // What `npm start` passes to both.
  const both = {
    EVENTS_SIGNING_KEYS: keyText('a'),
    EVENTS_VERIFY: 'required',
    EVENTS_VERIFY_KEYS: `${keyText('a')}\n${keyText('b')}`,
  }
  expect(readServiceConfig({ ...balances, ...both }).events).toMatchObject({
    signingKeys: [],
    verify: 'required',
    verifyKeys: [{ id: 'a' }, { id: 'b' }],
  })
  expect(readServiceConfig({ ...enough, ...both }).events).toMatchObject({
    verify: undefined,
    verifyKeys: [],
  })
  expect(readServiceConfig(balances).events).toEqual({ signingKeys: [], verify: undefined, verifyKeys: [] })
  const files = { WALLET_DATABASE_URL: enough.DATABASE_URL, BALANCES_DATABASE_URL: enough.DATABASE_URL }
  expect(readReconcileConfig({ ...enough, ...files, ...both }).events.verifyKeys).toHaveLength(2)
})

test('verification without keys, and keys without verification, are refused', () => {
  const faults = (env: Record<string, string>) => faultsOf({ ...balances, ...env })
  expect(faults({ EVENTS_VERIFY: 'required' })).toEqual([
    expect.stringMatching(/^EVENTS_VERIFY_KEYS is missing; it must be a comma-separated list of ID:SECRET/),
  ])
  for (const off of [{}, { EVENTS_VERIFY: 'off' }] as Record<string, string>[])
    expect(faults({ ...off, EVENTS_VERIFY_KEYS: keyText('a') })).toEqual([
      'EVENTS_VERIFY_KEYS has no effect without EVENTS_VERIFY=required; set that, too, or remove the keys',
    ])
  expect(faults({ EVENTS_VERIFY: 'true' })).toEqual([
    'EVENTS_VERIFY must be one of off, required, but is "true"',
  ])
})

test.each([
  [secretOf(32), 'entry 1 does not begin with an id and a colon'],
  [`${keyText('a')},`, 'entry 2 does not begin with an id and a colon'],
  [keyText('A'), 'entry 1 does not begin with an id and a colon'],
  [keyText('a'.repeat(33)), 'entry 1 does not begin with an id and a colon'],
  [`a: ${secretOf(32)}`, 'entry 1 has a secret of 0 bytes'],
  [`a:${secretOf(32)}!`, 'entry 1 has a secret that is not Base64'],
  [`a:${secretOf(32).replace('=', '')}`, 'entry 1 has a secret that is not Base64'],
  [`${keyText('a')},${keyText('b', 31)}`, 'entry 2 has a secret of 31 bytes'],
  [`${keyText('a')},${keyText('a', 33)}`, 'entry 2 has the id of an entry before it'],
])('the list of keys %p is refused, and no secret is shown', (EVENTS_SIGNING_KEYS, fault) => {
  const [message = '', ...others] = faultsOf({ ...enough, EVENTS_SIGNING_KEYS })
  expect(message).toEndWith(`, but ${fault}`)
  expect(others).toEqual([])
  expect(message).not.toContain(secretOf(32).slice(0, 8))
})

const collector = { ...enough, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318/' }

test.each<[string, Record<string, string>]>([
  ['no endpoint', enough],
  // Not even read then.
  ['no endpoint, and another protocol', { ...enough, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }],
  ['the SDK is disabled', { ...collector, OTEL_SDK_DISABLED: 'true' }],
  ['the exporter is none', { ...collector, OTEL_TRACES_EXPORTER: 'none' }],
])('no traces: %s', (_, env) => {
  expect(readServiceConfig(env).tracing).toBeUndefined()
})

test('traces are configured by the variables of OpenTelemetry, those for traces first', () => {
  expect(readServiceConfig(collector).tracing).toEqual({
    url: 'http://127.0.0.1:4318/v1/traces',
    headers: {},
    timeoutMs: 10_000,
    sampler: { root: 'on', ratio: 1, isParentBased: true },
    queueMax: 8192,
    batchMax: 512,
    delayMs: 5000,
    resource: {
      'service.namespace': 'saldo',
      'service.name': 'wallet',
      'service.instance.id': expect.stringMatching(/^[0-9a-f-]{36}$/),
    },
  })
  const more = {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces.example/in',
    OTEL_EXPORTER_OTLP_HEADERS: 'a=1',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: ' Authorization = Bearer%20a%3Db , x-tenant=t=1 ',
    OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.01',
    OTEL_BSP_MAX_QUEUE_SIZE: '100',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.name=other',
    OTEL_SERVICE_NAME: 'ledger',
  }
  expect(readServiceConfig({ ...collector, ...more }).tracing).toMatchObject({
    url: 'https://traces.example/in',
    headers: { Authorization: 'Bearer a=b', 'x-tenant': 't=1' },
    timeoutMs: 2000,
    sampler: { root: 'ratio', ratio: 0.01, isParentBased: true },
    queueMax: 100,
    batchMax: 100,
    resource: { 'deployment.environment.name': 'test', 'service.name': 'ledger' },
  })
})

test.each([
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318', 'must be a URL'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://me:secret@collector', 'without a password'],
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc', 'must be one of http/protobuf, but is "grpc"'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'a=1,secret', 'entry 2 is not'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'a=%zz', 'entry 1 is not'],
  ['OTEL_TRACES_SAMPLER', 'jaeger_remote', 'must be one of always_on'],
  ['OTEL_BSP_SCHEDULE_DELAY', '0', 'must be a whole number from 1'],
])('%s=%s is refused', (name, value, fault) => {
  const faults = faultsOf({ ...collector, [name]: value })
  expect(faults).toHaveLength(1)
  expect(faults[0]).toContain(fault)
  expect(faults[0]).not.toContain('secret')
})

test('a share of traces is a number from 0 to 1', () => {
  const ratio = { ...collector, OTEL_TRACES_SAMPLER: 'traceidratio' }
  for (const share of ['1.5', '-1', 'half', '.5'])
    expect(faultsOf({ ...ratio, OTEL_TRACES_SAMPLER_ARG: share })).toEqual([
      'OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, such as 0.01',
    ])
})
