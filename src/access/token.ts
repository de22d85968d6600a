/**
 * API keys as text: `saldo_<env>_<secret><checksum>`. The checksum tells a key from anything that looks
 * like one without a look-up, so a scanner for secrets has no false alarms.
 */
import { randomInt } from 'node:crypto'

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** So many of 62 characters are 256 random bits. */
const secretLength = 43
const checksumLength = 6
/** The start of the secret, which lists show: 24 of its 256 bits. */
const hintLength = 4

/** The name of a key: the actor. Without blanks, so that it can be part of other texts. */
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/
export const envPattern = /^[a-z0-9]{1,12}$/
const tokenPattern = /^saldo_[a-z0-9]{1,12}_[0-9A-Za-z]{49}$/

export type NewToken = { token: string; hash: string; hint: string }

/** The token itself is kept nowhere. */
export function createToken(env: string): NewToken {
  const secret = Array.from({ length: secretLength }, () => base62[randomInt(base62.length)]).join('')
  const text = `saldo_${env}_${secret}`
  const token = text + checksumOf(text)
  return { token, hash: hashOf(token), hint: secret.slice(0, hintLength) }
}

/** Whether a text is a token that some service may have issued. */
export const isWellFormed = (token: string): boolean =>
  tokenPattern.test(token) && checksumOf(token.slice(0, -checksumLength)) === token.slice(-checksumLength)

/** What is stored: SHA-256 in hex. A slow hash protects words that people choose, not 256 random bits. */
export const hashOf = (token: string): string => Bun.CryptoHasher.hash('sha256', token, 'hex')

/** CRC-32 in base 62, with leading zeros. */
function checksumOf(text: string): string {
  let rest = Bun.hash.crc32(text)
  let digits = ''
  for (let at = 0; at < checksumLength; at++) {
    digits = base62[rest % base62.length] + digits
    rest = Math.floor(rest / base62.length)
  }
  return digits
}
