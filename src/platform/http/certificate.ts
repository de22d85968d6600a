/** The certificate of HTTPS, from files that may be replaced while the service runs. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { messageOf, SetupError } from '../fault'
import { type Check, every, type Part } from '../process/service'
import type { Log } from '../telemetry/log'

/** Paths. */
export type CertificateFiles = { certFile: string; keyFile: string }
/** The certificate with its intermediates, and its key, in PEM. */
export type Certificate = { cert: string; key: string; expires: Date }

/** Throws `SetupError` unless the files hold a certificate and its key. It may have expired. */
export function readCertificate({ certFile, keyFile }: CertificateFiles): Certificate {
  const cert = readText('TLS_CERT_FILE', certFile)
  const key = readText('TLS_KEY_FILE', keyFile)
  const parsed = orRefuse(
    () => new X509Certificate(cert),
    'TLS_CERT_FILE has no certificate in PEM: give it the certificate, followed by its intermediates',
  )
  const privateKey: KeyObject = orRefuse(
    () => createPrivateKey(key),
    'TLS_KEY_FILE has no private key in PEM: give it one, without a passphrase',
  )
  if (!parsed.checkPrivateKey(privateKey))
    throw new SetupError('TLS_KEY_FILE is not the key of the first certificate in TLS_CERT_FILE')
  return { cert, key, expires: new Date(parsed.validTo) }
}

function orRefuse<T>(read: () => T, message: string): T {
  try {
    return read()
  } catch {
    throw new SetupError(message)
  }
}

function readText(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new SetupError(
      `${variable} cannot be read (${(error as NodeJS.ErrnoException).code}): check the path`,
    )
  }
}

type WatchOptions = {
  files: CertificateFiles
  current: Certificate
  /** Throws when the new certificate cannot be served. */
  use: (next: Certificate) => void
  log: Log
  everyMs: number
}

/**
 * Looks at the files again and again: a watch on them would miss what a secret of Kubernetes does, which
 * exchanges a link to their folder. Files that are no good change nothing.
 */
export function watchCertificate({ files, use, log, everyMs, ...options }: WatchOptions): Part {
  let { current } = options
  /** What is wrong with the files, and since the look before the last one. */
  let [fault, isRefused] = ['', false]
  warnIfExpired(current, log)

  function look(): void {
    const next = readCertificate(files)
    if (next.cert === current.cert && next.key === current.key) return
    if (isExpired(next)) throw new SetupError('the certificate in TLS_CERT_FILE has expired: renew it')
    use(next)
    current = next
    log.info({ expires: current.expires }, 'TLS certificate replaced')
  }

  return {
    ...every(everyMs, 'tls_certificate', async () => {
      try {
        look()
        ;[fault, isRefused] = ['', false]
      } catch (error) {
        const found = messageOf(error)
        // At the first look the second of the two files may still be missing.
        if (found === fault && !isRefused) {
          isRefused = true
          log.warn(
            { expires: current.expires },
            `new TLS certificate refused, keeping the current one: ${fault}`,
          )
        }
        if (found !== fault) [fault, isRefused] = [found, false]
      }
    }),
    health(): Check {
      if (isExpired(current)) return { status: 'warn', output: `expired at ${current.expires.toISOString()}` }
      if (isRefused) return { status: 'warn', output: `new certificate refused: ${fault}` }
      return { status: 'pass', output: `expires at ${current.expires.toISOString()}` }
    },
  }
}

const isExpired = ({ expires }: Certificate): boolean => expires.getTime() <= Date.now()

/** Only a warning: whether to accept it is for clients to say, and some do. */
function warnIfExpired(certificate: Certificate, log: Log): void {
  if (isExpired(certificate))
    log.warn({ expires: certificate.expires }, 'the certificate in TLS_CERT_FILE has expired: renew it')
}
