import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority } from '../testing/certificates'
import { type ConfigError, readReconcileConfig, readServiceConfig } from './config'
import { postgresUrl } from './postgres-url'

const folder = mkdtempSync(join(tmpdir(), 'saldo-url-'))
afterAll(() => rmSync(folder, { recursive: true }))

const { cert } = createAuthority('a CA')
const pem = cert.trim()
const [file, empty] = [join(folder, 'ca.pem'), join(folder, 'empty.pem')]
writeFileSync(file, `a comment\n${cert}`)
writeFileSync(empty, 'no certificate')

const address = 'postgres://app:hunter2@db/wallet'
const parsed = (query: string, ca?: string) => {
  const { searchParams } = new URL(postgresUrl(ca)(address + query))
  return [searchParams.get('sslmode'), searchParams.get('sslrootcert')]
}

test.each([
  ['?sslmode=prefer', undefined, 'prefer', null],
  ['?sslmode=require', undefined, 'require', null],
  ['?sslmode=require', pem, 'verify-ca', pem],
  [`?sslmode=require&sslrootcert=${file}`, undefined, 'verify-ca', pem],
  [`?sslmode=verify-ca&sslrootcert=${file}`, undefined, 'verify-ca', pem],
  ['?sslmode=verify-full', pem, 'verify-full', pem],
  [`?sslrootcert=${file}`, undefined, 'verify-full', pem],
  [`?sslrootcert=${file}`, 'the general one', 'verify-full', pem],
  ['', pem, 'verify-full', pem],
  ['?sslrootcert=system', pem, 'verify-full', 'system'],
  [`?sslrootcert=${encodeURIComponent(pem)}`, undefined, 'verify-full', pem],
])('parameters %#', (query, ca, mode, root) => {
  expect(parsed(query, ca)).toEqual([mode, root])
  const once = postgresUrl(ca)(address + query)
  expect(postgresUrl()(once)).toBe(once)
})

test('an address without TLS stays as it is', () => {
  for (const url of [address, `${address}?sslmode=disable&application_name=x`])
    expect(postgresUrl()(url)).toBe(url)
})

test.each([
  ['?sslmode=allow', undefined, /^has sslmode=allow, which is not supported: use one of disable, prefer/],
  ['?sslmode=hunter2@', undefined, /^has sslmode=…, which is not supported/],
  ['?sslmode=verify-full', undefined, /and no CA to verify with: set DATABASE_CA_FILE/],
  ['?sslmode=verify-ca', undefined, /and no CA to verify with/],
  ['?sslmode=disable', pem, /which verifies nothing, although a CA is given/],
  ['?sslmode=prefer&sslrootcert=system', undefined, /too weak for sslrootcert=system/],
  ['?sslmode=verify-ca&sslrootcert=system', undefined, /too weak for sslrootcert=system/],
  [`?sslrootcert=${folder}/absent.pem`, undefined, /names a file in sslrootcert .*\(ENOENT\)$/],
  [`?sslrootcert=${empty}`, undefined, /^sslrootcert must be certificates in PEM/],
  ['?ssl=true', undefined, /^has ssl, which is not supported/],
  ['?sslmode=require&channel_binding=require', undefined, /^has channel_binding, which is not/],
  ['?sslcert=/x', undefined, /^has sslcert, which is not supported/],
])('%s is refused', (query, ca, message) => {
  expect(() => postgresUrl(ca)(address + query)).toThrow(message)
  expect(() => postgresUrl(ca)(address + query)).not.toThrow(/hunter2|absent/)
})

test('DATABASE_CA is for all addresses of a service, and of both of them', () => {
  const [wallet, owner] = [address, 'postgres://owner:hunter2@db/wallet']
  const env = { KAFKA_BROKERS: 'b:1', DATABASE_CA_FILE: file }
  const { database } = readServiceConfig({
    ...env,
    SERVICE: 'wallet',
    DATABASE_URL: wallet,
    MIGRATION_DATABASE_URL: owner,
  })
  const urls = readReconcileConfig({ ...env, WALLET_DATABASE_URL: wallet, BALANCES_DATABASE_URL: owner })
  for (const url of [database.url, database.migrationUrl, urls.walletUrl, urls.balancesUrl])
    expect(url).toContain('sslmode=verify-full&sslrootcert=-----BEGIN')

  const faultsOf = (more: Record<string, string>) => {
    try {
      readServiceConfig({ SERVICE: 'wallet', KAFKA_BROKERS: 'b:1', DATABASE_URL: wallet, ...more })
    } catch (error) {
      return (error as ConfigError).faults
    }
  }
  expect(faultsOf({ DATABASE_CA_FILE: empty })).toEqual([
    'DATABASE_CA must be certificates in PEM, beginning with -----BEGIN CERTIFICATE-----',
  ])
  expect(faultsOf({ DATABASE_CA_FILE: join(folder, 'absent.pem') })).toEqual([
    'DATABASE_CA cannot be read from the file that DATABASE_CA_FILE names (ENOENT)',
  ])
})
