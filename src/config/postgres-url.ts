/** Addresses of PostgreSQL, with `sslmode` and `sslrootcert` as libpq means them. */
import { readFileSync } from 'node:fs'
import { certificates, type Parser } from './parsers'

const modes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full']

/** Would reach the server as settings, which it refuses without saying why. */
const unsupported = /^(ssl(?!mode$|rootcert$|negotiation$).*|gss.*|channel_binding|require_auth|requirepeer)$/

/**
 * `ca` stands for a missing `sslrootcert`. Of an address with TLS the result names the mode outright, and
 * has the certificates themselves in `sslrootcert`, so that it works in other threads and folders.
 */
export const postgresUrl =
  (ca?: string): Parser<string> =>
  (value) => {
    // The value may contain a password, so no message repeats it.
    const url = URL.canParse(value) ? new URL(value) : undefined
    if (!url || !/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2)
      throw new Error('must be a URL like postgres://user:password@host:5432/database')
    const { searchParams } = url
    const unknown = [...searchParams.keys()].find((name) => unsupported.test(name))
    if (unknown) throw new Error(`has ${unknown}, which is not supported: remove it, and see sslmode`)

    const rootCert = searchParams.get('sslrootcert')
    const root = rootCert ? readRoot(rootCert) : ca
    const mode = searchParams.get('sslmode') || (root ? 'verify-full' : 'disable')
    const fault = faultOf(mode, root)
    if (fault) throw new Error(`has sslmode=${/^[\w-]{1,20}$/.test(mode) ? mode : '…'}, ${fault}`)
    if (mode === 'disable') return value
    searchParams.set('sslmode', mode === 'require' && root ? 'verify-ca' : mode)
    if (root) searchParams.set('sslrootcert', root)
    return url.href
  }

function faultOf(mode: string, root: string | undefined): string | undefined {
  if (!modes.includes(mode)) return `which is not supported: use one of ${modes.join(', ')}`
  if (root === 'system' && mode !== 'verify-full')
    return 'which is too weak for sslrootcert=system, where anybody has a certificate: use verify-full'
  if (root && (mode === 'disable' || mode === 'prefer'))
    return 'which verifies nothing, although a CA is given: use verify-full'
  if (!root && mode.startsWith('verify-'))
    return (
      'and no CA to verify with: set DATABASE_CA_FILE, or sslrootcert to a file, ' +
      'or sslrootcert=system for the public CAs'
    )
  return undefined
}

function readRoot(value: string): string {
  if (value === 'system') return value
  try {
    return certificates(value.startsWith('-----BEGIN') ? value : readFileSync(value, 'utf8'))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // The system's message repeats the path.
    throw new Error(
      code ? `names a file in sslrootcert that cannot be read (${code})` : `sslrootcert ${message}`,
    )
  }
}
