/** What a service says of itself first: what runs, where, and what is off. Pure. */
import { version } from '../../package.json'
import type { ServiceConfig } from './config'

/** For the first line of a log. Addresses are without names of users and passwords. */
export function describeStart(config: ServiceConfig) {
  const { service, host, port, tls, database, kafka, revision } = config
  const { hostname, port: databasePort, pathname } = new URL(database.url)
  const facts = {
    version,
    ...(revision && { revision }),
    runtime: `Bun ${Bun.version}`,
    listens: `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    database: `${hostname}:${databasePort || 5432}${pathname}`,
    brokers: kafka.brokers.join(','),
    topic_prefix: kafka.topicPrefix,
  }
  const named = `${service} ${version}${revision ? ` (${revision.slice(0, 12)})` : ''}`
  return {
    facts,
    message:
      `${named} on ${facts.runtime}, for ${facts.listens}, ` +
      `database ${facts.database}, brokers ${facts.brokers}`,
  }
}

/** What is off, each with the variable that turns it on, in the order of how much it matters. */
export function listOff(config: ServiceConfig): string[] {
  const { service, auth, apiKeys, tls, database, kafka, events, rateLimits, migrateOnStart, tracing } = config
  const isPlain = (new URL(database.url).searchParams.get('sslmode') ?? 'disable') === 'disable'
  const off: [boolean, string][] = [
    [auth === 'off', 'API keys (AUTH=off)'],
    [auth === 'anonymous-read', 'API keys for reads (AUTH=anonymous-read)'],
    [auth === undefined && apiKeys.length === 0, 'API keys until there is one (saldo keys create)'],
    [!tls, 'TLS (TLS_CERT_FILE)'],
    [isPlain, 'TLS to the database (sslmode in DATABASE_URL)'],
    [!kafka.ssl, 'TLS to the broker (KAFKA_SSL)'],
    [!kafka.sasl, 'login at the broker (KAFKA_SASL_MECHANISM)'],
    [service === 'wallet' && events.signingKeys.length === 0, 'signatures of events (EVENTS_SIGNING_KEYS)'],
    [service === 'balances' && !events.verify, 'verification of events (EVENTS_VERIFY)'],
    [rateLimits.perKey === 0, 'rate limits of keys (RATE_LIMIT_KEY=0)'],
    [rateLimits.perAddress === 0, 'rate limits of addresses (RATE_LIMIT_ADDRESS=0)'],
    [!migrateOnStart, 'migrations (MIGRATE_ON_START=false)'],
    [!tracing, 'traces (OTEL_EXPORTER_OTLP_ENDPOINT)'],
  ]
  return off.filter(([isOff]) => isOff).map(([, name]) => name)
}
