import { expect, test } from 'bun:test'
import { version } from '../../package.json'
import { readServiceConfig } from './config'
import { describeStart, listOff } from './describe'

const wallet = {
  SERVICE: 'wallet',
  DATABASE_URL: 'postgres://wallet:s3cret@db.example/wallet',
  KAFKA_BROKERS: 'one:9092,two:9092',
}
const balances = { ...wallet, SERVICE: 'balances', DATABASE_URL: 'postgres://b:s3cret@[::1]:5433/balances' }

test('the first line says what runs and where, and no password', () => {
  const { facts, message } = describeStart(readServiceConfig({ ...wallet, REVISION: '0123456789abcdef' }))
  expect(message).toBe(
    `wallet ${version} (0123456789ab) on Bun ${Bun.version}, for http://0.0.0.0:8080, ` +
      'database db.example:5432/wallet, brokers one:9092,two:9092',
  )
  expect(facts).toMatchObject({ version, revision: '0123456789abcdef', database: 'db.example:5432/wallet' })
  const other = describeStart(readServiceConfig({ ...balances, HOST: '::', PORT: '3003' }))
  expect(other.message).toContain('for http://[::]:3003, database [::1]:5433/balances')
  expect(JSON.stringify([facts, message, other])).not.toContain('s3cret')
})

const off = (env: Record<string, string>) => listOff(readServiceConfig(env))
const secret = 'a'.repeat(64)
const bare = [
  'TLS (TLS_CERT_FILE)',
  'TLS to the database (sslmode in DATABASE_URL)',
  'TLS to the broker (KAFKA_SSL)',
]
const login = 'login at the broker (KAFKA_SASL_MECHANISM)'
const traces = 'traces (OTEL_EXPORTER_OTLP_ENDPOINT)'

test.each([
  [
    'the wallet as it comes',
    wallet,
    ['API keys until there is one (saldo keys create)', ...bare, login].concat(
      'signatures of events (EVENTS_SIGNING_KEYS)',
      traces,
    ),
  ],
  [
    'balances without keys and limits',
    { ...balances, AUTH: 'off', RATE_LIMIT_KEY: '0', RATE_LIMIT_ADDRESS: '0', MIGRATE_ON_START: 'false' },
    ['API keys (AUTH=off)', ...bare, login, 'verification of events (EVENTS_VERIFY)'].concat(
      'rate limits of keys (RATE_LIMIT_KEY=0)',
      'rate limits of addresses (RATE_LIMIT_ADDRESS=0)',
      ...['migrations (MIGRATE_ON_START=false)', traces],
    ),
  ],
  [
    'a wallet with most of it on',
    {
      ...wallet,
      ...{ AUTH: 'keys', TLS_CERT_FILE: '/c.pem', TLS_KEY_FILE: '/k.pem', KAFKA_SSL: 'true' },
      ...{ KAFKA_SASL_MECHANISM: 'scram-sha-256', KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'p' },
      ...{ EVENTS_SIGNING_KEYS: `k1:${secret}`, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' },
      DATABASE_URL: `${wallet.DATABASE_URL}?sslmode=require`,
    },
    [],
  ],
])('what is off for %s', (_, env, expected) => {
  expect(off(env)).toEqual(expected)
})
