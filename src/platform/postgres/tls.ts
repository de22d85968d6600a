/** TLS to PostgreSQL, by the `sslmode` and `sslrootcert` of an address. */
import { messageOf } from '../fault'

type Tls = false | 'prefer' | 'require' | { ca?: string; checkServerIdentity?: () => undefined }

/**
 * Options of the driver. By itself it would take `verify-ca` for `verify-full`, and send `sslrootcert` to
 * the server as a setting. `sslrootcert` has the certificates, or is `system`.
 */
export function tlsOf(url: string): { address: string; ssl: Tls } {
  if (!/[?&]sslmode=/.test(url)) return { address: url, ssl: false }
  const address = new URL(url)
  const mode = address.searchParams.get('sslmode')
  const root = address.searchParams.get('sslrootcert')
  for (const name of ['sslmode', 'sslrootcert']) address.searchParams.delete(name)
  return { address: address.href, ssl: modeOf(mode, root) }
}

function modeOf(mode: string | null, root: string | null): Tls {
  if (mode === 'disable') return false
  if (mode === 'prefer' || mode === 'require') return mode
  const ca = root === null || root === 'system' ? {} : { ca: root }
  if (mode === 'verify-full') return ca
  if (mode === 'verify-ca') return { ...ca, checkServerIdentity: () => undefined }
  throw new Error('an sslmode that the configuration refuses')
}

/** Cause and remedy of a failed handshake; undefined for any other error. */
export function explainTls(error: unknown, url: string): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const remedy = remedies.find(([codes]) => codes.test(String(error.code)))?.[1]
  if (!remedy) return undefined
  // Of a name that does not match, the message has both.
  return `${new URL(url).host}: ${messageOf(error).replace(/^[A-Z_]+: /, '')}. ${remedy}`
}

const remedies: readonly [RegExp, string][] = [
  [/^SSL_NOT_SUPPORTED$/, 'Turn TLS on at the server (ssl=on), or change sslmode'],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'Use a host name of the certificate, or sslmode=verify-ca'],
  [/^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/, 'Renew the certificate of the server'],
  [/^(CERT|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)_/, 'Set DATABASE_CA_FILE to the CA of the server'],
  [/^ERR_(TLS|SSL)_/, 'Let server and service agree on TLS 1.2 or later'],
]
