/** Parsers of variables: each returns the value, or throws a sentence that says what is accepted. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'

export type Parser<T> = (value: string) => T

/** Reads a variable; a fault is kept for the list of all of them. */
export type Variable = {
  <T>(name: string, parse: Parser<T>): T
  <T, D extends T | undefined>(name: string, parse: Parser<T>, fallback: D): T | D
}

export const text: Parser<string> = (value) => {
  if (!value) throw new Error('must be set')
  return value
}

/** Of two variables that are no use alone. */
export const textBeside =
  (other: string): Parser<string> =>
  (value) => {
    if (!value) throw new Error(`must be set together with ${other}`)
    return value
  }

export const flag: Parser<boolean> = (value) => {
  if (value === 'true' || value === '1') return true
  if (value === 'false' || value === '0') return false
  throw new Error(`must be true or false, but is ${quoted(value)}`)
}

/** Where another variable is of no use without it. */
export const notFalse =
  (other: string): Parser<boolean> =>
  (value) => {
    if (flag(value)) return true
    throw new Error(`is false, although ${other} is set: remove one of them`)
  }

export const integer =
  (min: number, max: number): Parser<number> =>
  (value) => {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
    if (number >= min && number <= max) return number
    throw new Error(`must be a whole number from ${min} to ${max}, but is ${quoted(value)}`)
  }

export const port = integer(0, 65_535)

export const oneOf =
  <const T extends string>(...accepted: T[]): Parser<T> =>
  (value) => {
    const found = accepted.find((one) => one === value)
    if (found) return found
    throw new Error(`must be one of ${accepted.join(', ')}, but is ${quoted(value)}`)
  }

/** One certificate or several, in PEM. Anything else in the file is left out. */
export const certificates: Parser<string> = (value) => {
  const found = value.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  if (found.length > 0 && found.every(isCertificate)) return found.join('\n')
  throw new Error('must be certificates in PEM, beginning with -----BEGIN CERTIFICATE-----')
}

const isCertificate = (pem: string): boolean => orUndefined(() => new X509Certificate(pem)) !== undefined

/** In PEM. */
export const privateKey =
  (certificate: string | undefined): Parser<string> =>
  (value) => {
    const key = orUndefined(() => createPrivateKey(value))
    if (!key) throw new Error('must be a private key in PEM, without a passphrase')
    if (certificate && !new X509Certificate(certificate).checkPrivateKey(key))
      throw new Error('is not the key of the certificate beside it')
    return value
  }

export const ed25519Key: Parser<KeyObject> = (value) => {
  const key = orUndefined(() => createPrivateKey(value))
  if (key?.asymmetricKeyType === 'ed25519') return key
  throw new Error('must be a private key of Ed25519 in PEM: openssl genpkey -algorithm ed25519')
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

export const brokerList: Parser<string[]> = (value) => {
  const brokers = listOf(value)
  if (brokers.every(isBroker)) return brokers
  throw new Error(`must be a comma-separated list of host:port, but is ${quoted(value)}`)
}

const mechanisms = oneOf('plain', 'scram-sha-256', 'scram-sha-512')

/** The others prove a password without sending it. */
export const saslMechanism =
  (
    isEncrypted: boolean | undefined,
    brokers: readonly string[] = [],
  ): Parser<ReturnType<typeof mechanisms>> =>
  (value) => {
    const mechanism = mechanisms(value)
    if (mechanism !== 'plain' || isEncrypted || brokers.every((one) => loopback.test(one))) return mechanism
    throw new Error('is plain, which sends the password readable: set KAFKA_SSL=true, or use scram-sha-512')
  }

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\]):/i

const isBroker = (text: string): boolean => {
  const number = Number(/^(?:[^\s:/]+|\[[0-9a-f:]+\]):(\d{1,5})$/i.exec(text)?.[1])
  return number >= 1 && number <= 65_535
}

const listOf = (value: string): string[] => value.split(',').map((one) => one.trim())

/** Names without ports, which differ behind a proxy. */
export const hostList: Parser<string[]> = (value) => {
  const hosts = listOf(value).map((host) => host.toLowerCase())
  if (hosts.every((host) => /^(\*|[a-z0-9._-]+|\[[0-9a-f:.]+\])$/.test(host))) return hosts
  throw new Error(
    `must be a comma-separated list of host names without scheme and port, or *, but is ${quoted(value)}`,
  )
}

export const folderList: Parser<string[]> = (value) => {
  const folders = listOf(value)
  if (folders.every((folder) => folder.startsWith('/'))) return folders
  throw new Error(`must be a comma-separated list of absolute paths, but is ${quoted(value)}`)
}

/** As browsers send them: anything else would never match an `Origin`. */
const isOrigin = (text: string): boolean =>
  /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text

export const originList: Parser<string[]> = (value) => {
  const origins = listOf(value)
  if (origins.every(isOrigin)) return origins
  throw new Error(
    'must be a comma-separated list of origins such as https://app.example.com, without a path, ' +
      `but is ${quoted(value)}`,
  )
}

/** The address of a service, as browsers reach it. It becomes part of a Content-Security-Policy. */
export const origin: Parser<string> = (value) => {
  if (isOrigin(value) && /^[a-z0-9:/._[\]-]+$/.test(value)) return value
  throw new Error(`must be an origin such as http://localhost:8080, without a path, but is ${quoted(value)}`)
}

export const topicPrefix: Parser<string> = (value) => {
  if (/^[a-zA-Z0-9._-]{1,100}$/.test(value)) return value
  throw new Error(
    `must hold only letters, digits, '.', '_' and '-', at most 100 of them, but is ${quoted(value)}`,
  )
}

/** A secret of less could be guessed. HMAC-SHA256 gains nothing from more. */
const secretBytesMin = 32
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Faults say the number of the entry and nothing of its content. */
export const keyList: Parser<SigningKey[]> = (value) => {
  const keys: SigningKey[] = []
  const entries = value.trim().split(/[\s,]+/)
  for (const [index, entry] of entries.entries()) {
    const [, id, text = ''] = /^([a-z0-9-]{1,32}):(.*)$/.exec(entry) ?? []
    const refuse = (fault: string) => {
      throw new Error(
        "must be a comma-separated list of ID:SECRET, with ids of 1 to 32 characters of a-z, 0-9 and '-', " +
          `and secrets of ${secretBytesMin} bytes or more in Base64, but entry ${index + 1} ${fault}`,
      )
    }
    if (id === undefined) refuse('does not begin with an id and a colon')
    if (!base64.test(text)) refuse('has a secret that is not Base64')
    const secret = Uint8Array.from(Buffer.from(text, 'base64'))
    if (secret.length < secretBytesMin) refuse(`has a secret of ${secret.length} bytes`)
    if (keys.some((key) => key.id === id)) refuse('has the id of an entry before it')
    keys.push({ id: id as string, secret })
  }
  return keys
}

type SigningKey = { id: string; secret: Uint8Array }

export const onlyIfRequired: Parser<SigningKey[]> = () => {
  throw new Error('has no effect without EVENTS_VERIFY=required; set that, too, or remove the keys')
}

/**
 * The value, unless it may contain a password: then not even a part of it, because the password may
 * be anywhere.
 */
const quoted = (value: string): string => {
  if (/[@=]|:\/\/|pass|pwd|secret|token|credential/i.test(value))
    return 'not shown, because it may contain a password'
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
}
