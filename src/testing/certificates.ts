/**
 * Certificates for tests, signed with keys that are not kept: X.509 v3 in DER, as far as TLS looks at it.
 * Not made by `openssl`, which is not on every machine, nor by a package, which would bring twenty others.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'

/** In PEM. */
export type KeyPair = { cert: string; key: string }
export type Authority = { cert: string; issue(names: string[], validity?: Validity): KeyPair }
/** Days from now, negative in the past. */
type Validity = { fromDays?: number; toDays?: number }

export function createAuthority(name: string): Authority {
  const { publicKey, privateKey } = createKeys()
  const isAuthority = sequence(oid('551d13'), encode(0x01, [0xff]), octets(sequence(encode(0x01, [0xff]))))
  const own = { subject: name, publicKey, issuer: name, signer: privateKey, extension: isAuthority }
  return {
    cert: certify(own),
    issue(names, validity) {
      const keys = createKeys()
      const extension = sequence(oid('551d11'), octets(sequence(...names.map(alternativeName))))
      const [subject = ''] = names
      const ofIssuer = { issuer: name, signer: privateKey }
      return {
        cert: certify({ subject, publicKey: keys.publicKey, extension, ...ofIssuer, ...validity }),
        key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      }
    },
  }
}

const createKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

type Certificate = Validity & {
  subject: string
  publicKey: KeyObject
  issuer: string
  signer: KeyObject
  extension: Buffer
}

/** https://www.rfc-editor.org/rfc/rfc5280#section-4.1 */
function certify({ fromDays = -1, toDays = 1, ...certificate }: Certificate): string {
  const body = sequence(
    encode(0xa0, encode(0x02, [2])),
    encode(0x02, [1], randomBytes(8)),
    ecdsaWithSha256,
    commonName(certificate.issuer),
    sequence(time(fromDays), time(toDays)),
    commonName(certificate.subject),
    certificate.publicKey.export({ type: 'spki', format: 'der' }),
    encode(0xa3, sequence(certificate.extension)),
  )
  const signature = encode(0x03, [0], sign('sha256', body, certificate.signer))
  return new X509Certificate(sequence(body, ecdsaWithSha256, signature)).toString()
}

type Bytes = Buffer | readonly number[]

function encode(tag: number, ...parts: Bytes[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)))
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: Bytes[]) => encode(0x30, ...parts)
const octets = (part: Bytes) => encode(0x04, part)
const oid = (hex: string) => encode(0x06, Buffer.from(hex, 'hex'))
const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
const commonName = (name: string) =>
  sequence(encode(0x31, sequence(oid('550403'), encode(0x0c, Buffer.from(name)))))
const alternativeName = (name: string) =>
  isIP(name) ? encode(0x87, name.split('.').map(Number)) : encode(0x82, Buffer.from(name))
const time = (days: number) => {
  const text = new Date(Date.now() + days * 86_400_000).toISOString()
  return encode(0x18, Buffer.from(text.replace(/[-:T]|\.\d+/g, '')))
}
