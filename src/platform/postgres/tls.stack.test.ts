import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { startBalances } from '../../balances/service'
import { postgresUrl } from '../../config/postgres-url'
import { type Postgres, startPostgres } from '../../local/postgres/cluster'
import { reconcile } from '../../reconcile/reconcile'
import { backing, log } from '../../testing/backing'
import { createAuthority, type KeyPair } from '../../testing/certificates'
import { eventually } from '../../testing/eventually'
import { callerOf, serviceConfig } from '../../testing/stack'
import { eva, frank } from '../../testing/wallets'
import { startWallet } from '../../wallet/service'
import { openDatabase } from './database'
import { databaseFailure } from './failures'
import { prepareDatabase } from './migrate'

const authority = createAuthority('ours')
const other = createAuthority('theirs')
const names = ['localhost', '127.0.0.1']

let folder: string
let server: Postgres
let admin: Sql

// A server of its own: tests give it certificates.
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saldo-tls-'))
  const databases = ['wallet', 'balances'].map((name) => ({ name, user: name, password: name }))
  server = await startPostgres({ dataDir: join(folder, 'data'), durable: false, databases })
  admin = postgres(server.adminUrl, { max: 1, onnotice: () => {} })
})

afterAll(async () => {
  await admin?.end({ timeout: 1 })
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Written by the server, which may be another user than we are. */
const writeToServer = (file: string, text: string) =>
  admin.unsafe(
    `copy (select unnest(string_to_array($text$${text}$text$, e'\\n'))) to program 'umask 077; cat >${file}'`,
  )

async function useCertificate({ cert, key }: KeyPair): Promise<void> {
  await writeToServer('server.key', key)
  await writeToServer('server.crt', cert)
  await admin`alter system set ssl = on`
  await reload()
}

async function reload(): Promise<void> {
  const [before] = await admin`select pg_conf_load_time() as at, pg_reload_conf()`
  await eventually(async () => {
    const [after] = await admin`select pg_conf_load_time() as at`
    expect(after?.at).not.toEqual(before?.at)
  })
}

const addressOf = (parameters: string, host = 'localhost', ca?: string) => {
  const url = new URL(server.url('balances'))
  url.hostname = host
  url.search = parameters
  return postgresUrl(ca)(url.href)
}

/** `TLS` or `plain`, or how the failed connection is called. */
async function connectionTo(url: string): Promise<string> {
  const database = openDatabase({ url, poolMax: 1, prepare: true, applicationName: 'test' })
  try {
    const [row] = await database.sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`
    return row?.ssl ? 'TLS' : 'plain'
  } catch (error) {
    expect(databaseFailure(error)).toBe('connection_lost')
    return (error as { code: string }).code
  } finally {
    await database.close(100)
  }
}

/** What a service says that cannot start. */
const refusalOf = (url: string): Promise<string> =>
  prepareDatabase({ url, folder, migrate: true, log, signal: AbortSignal.timeout(10_000) }).then(
    () => 'started',
    (error) => `${error.name}: ${error.message}`,
  )

test('a server without TLS is refused, unless TLS is only preferred', async () => {
  expect(await connectionTo(addressOf(''))).toBe('plain')
  expect(await connectionTo(addressOf('sslmode=prefer'))).toBe('plain')
  expect(await connectionTo(addressOf('sslmode=require'))).toBe('SSL_NOT_SUPPORTED')
  expect(await connectionTo(addressOf('', 'localhost', authority.cert))).toBe('SSL_NOT_SUPPORTED')
  expect(await refusalOf(addressOf('sslmode=require'))).toBe(
    `SetupError: No TLS connection to PostgreSQL at localhost:${server.port}: ` +
      'the server does not offer TLS. Turn TLS on at the server (ssl=on), or change sslmode (DATABASE_URL).',
  )
})

test('sslmode verifies as much as libpq does', async () => {
  const file = join(folder, 'ca.pem')
  writeFileSync(file, authority.cert)
  const modes = [
    'sslmode=disable',
    'sslmode=prefer',
    'sslmode=require',
    `sslmode=require&sslrootcert=${file}`,
    `sslmode=verify-ca&sslrootcert=${file}`,
    `sslmode=verify-full&sslrootcert=${file}`,
    `sslrootcert=${file}`,
    'sslrootcert=system',
  ]
  const [unknown, mismatch, expired] = [
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'CERT_HAS_EXPIRED',
  ]
  const [plain, tls] = ['plain', 'TLS']
  for (const [pair, host, expected] of [
    [authority.issue(names), 'localhost', [plain, tls, tls, tls, tls, tls, tls, unknown]],
    [authority.issue(names), '127.0.0.1', [plain, tls, tls, tls, tls, tls, tls, unknown]],
    [authority.issue(['db.test']), 'localhost', [plain, tls, tls, tls, tls, mismatch, mismatch, unknown]],
    [authority.issue(['localhost']), '127.0.0.1', [plain, tls, tls, tls, tls, mismatch, mismatch, unknown]],
    [other.issue(names), 'localhost', [plain, tls, tls, unknown, unknown, unknown, unknown, unknown]],
    [
      authority.issue(names, { fromDays: -2, toDays: -1 }),
      'localhost',
      [plain, tls, tls, expired, expired, expired, expired, expired],
    ],
  ] as const) {
    await useCertificate(pair)
    const found = await Promise.all(modes.map((mode) => connectionTo(addressOf(mode, host))))
    expect(found).toEqual([...expected])
  }
})

test('a service that cannot trust its database does not start, and names cause and remedy', async () => {
  const url = addressOf('', 'localhost', authority.cert)
  const at = `SetupError: No TLS connection to PostgreSQL at localhost:${server.port}: `
  for (const [pair, cause, remedy] of [
    [other.issue(names), 'unable to verify the first certificate', 'Set DATABASE_CA_FILE'],
    [authority.issue(['db.test']), 'db.test', 'Use a host name of the certificate, or sslmode=verify-ca'],
    [authority.issue(names, { toDays: -0.5 }), 'certificate has expired', 'Renew the certificate'],
    [authority.issue(names, { fromDays: 0.5 }), 'certificate is not yet valid', 'Renew the certificate'],
  ] as const) {
    await useCertificate(pair)
    const refusal = await refusalOf(url)
    expect(refusal).toStartWith(at)
    expect(refusal).toContain(cause)
    expect(refusal).toContain(remedy)
  }
})

test('a server that takes nothing but TLS serves both services, a rebuild and reconcile', async () => {
  await useCertificate(authority.issue(names))
  await writeToServer('pg_hba.conf', 'hostssl all all 127.0.0.1/32 scram-sha-256')
  await reload()
  expect(await refusalOf(addressOf('', '127.0.0.1'))).toEndWith(
    'no encryption. Check DATABASE_URL: the server may accept TLS only (sslmode).',
  )

  const { brokers, topicPrefix } = await backing()
  const address = postgresUrl(authority.cert)
  const urlOf = (name: 'wallet' | 'balances', user: string = name) => {
    const url = new URL(server.url(name))
    url.username = user
    return address(url.href)
  }
  const prefix = topicPrefix()
  const configOf = (name: 'wallet' | 'balances') => {
    const database = { name, url: urlOf(name), serviceUrl: urlOf(name, `${name}_service`) }
    return serviceConfig(name, { database, brokers, topicPrefix: prefix, seed: true })
  }
  const wallet = await startWallet(configOf('wallet'), log)
  const balances = await startBalances(configOf('balances'), log)
  try {
    const paid = await callerOf('wallet', wallet.port).post('/transactions', {
      account_id_from: eva,
      account_id_to: frank,
      amount: 1,
    })
    const read = callerOf('balances', balances.port)
    const token = String(paid.headers.get('consistency-token'))
    const headers = { 'consistency-token': token, prefer: 'wait=20' }
    expect((await read.get(`/balances/${frank}`, headers)).status).toBe(200)
    // On a thread of its own.
    expect((await read.post('/rebuild', {})).status).toBe(202)
    await eventually(async () => expect((await read.get('/rebuild')).body.state).toBe('swapped'))
    const { url: walletUrl } = configOf('wallet').database
    const { database, kafka, events } = configOf('balances')
    const { signal } = new AbortController()
    const report = await reconcile(
      { walletUrl, balancesUrl: database.url, kafka, events, remedy: '' },
      { waitMs: 10_000, differencesMax: 10, showProgress: () => ({ add() {}, end() {} }), signal },
    )
    expect(report.differences).toEqual([])

    // Of another CA while it serves: no connection is made, until the right one is back.
    const ends = 'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()'
    await useCertificate(other.issue(names))
    await admin.unsafe(`${ends} and usename is not null`)
    await eventually(async () => {
      const { status, body } = await read.get('/readyz')
      const output = 'unable to verify the first certificate'
      expect([status, body]).toMatchObject([503, { checks: { database: { status: 'fail', output } } }])
    })
    await useCertificate(authority.issue(names))
    await eventually(async () => expect((await read.get('/readyz')).status).toBe(200))
  } finally {
    await Promise.all([wallet.stop(), balances.stop()])
  }
})
