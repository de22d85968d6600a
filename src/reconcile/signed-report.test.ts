import { expect, test } from 'bun:test'
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import fc from 'fast-check'
import { CompactSign, SignJWT } from 'jose'
import { reportType } from './report'
import { keyIdOf, signReport, verifyReport } from './signed-report'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const other = generateKeyPairSync('ed25519')
const text = JSON.stringify({ type: reportType, result: 'clean', amount: 10.25, name: 'né' })
const { jws, keyId } = await signReport(text, privateKey)
const [head = '', body = '', signature = ''] = jws.split('.')

test('a report is verified with the public key alone, and is what was signed, byte for byte', async () => {
  expect(await verifyReport(`${jws}\n`, publicKey)).toEqual({
    ...{ valid: true, keyId, text },
    report: JSON.parse(text),
  })
  expect(keyId).toBe(await keyIdOf(createPublicKey(privateKey)))
})

test('it is a JWS as RFC 7515 and RFC 8037 have it, so that nothing of ours is needed to verify it', () => {
  const signed = Buffer.from(`${head}.${body}`)
  expect(verify(null, signed, publicKey, Buffer.from(signature, 'base64url'))).toBe(true)
  expect(Buffer.from(body, 'base64url').toString()).toBe(text)
  expect(JSON.parse(Buffer.from(head, 'base64url').toString())).toEqual({
    alg: 'EdDSA',
    typ: `${reportType}+jws`,
    cty: 'application/json',
    kid: keyId,
  })
})

// RFC 8037, appendix A.3.
test('the id of a key is its thumbprint', async () => {
  const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  expect(await keyIdOf(key)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
})

const bytesOf = (text: string) =>
  text.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'))

test('no character of it can be changed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(jws.length - 1), fc.constantFrom(...'Aaz09-_.'), async (at, letter) => {
      const changed = jws.slice(0, at) + letter + jws.slice(at + 1)
      const verdict = await verifyReport(changed, publicKey)
      // Base64url may spell the last bits of a part differently: then the bytes are the same.
      if (verdict.valid) expect(bytesOf(changed)).toEqual(bytesOf(jws))
    }),
  )
})

const withHeader = (header: object, payload = text, key = privateKey) =>
  new CompactSign(Buffer.from(payload)).setProtectedHeader({ alg: 'EdDSA', ...header }).sign(key)
const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`
const secret = new TextEncoder().encode(publicKey.export({ type: 'spki', format: 'pem' }).toString())

test.each<[string, () => string | Promise<string>, RegExp]>([
  ['of another key', () => signReport(text, other.privateKey).then((one) => one.jws), /has not signed this/],
  ['without a signature', () => unsigned, /not a signed report/],
  [
    'signed with the public key as a secret',
    () => new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).sign(secret),
    /not a signed report/,
  ],
  ['that names another key', () => withHeader({ kid: 'another' }), /names the key another/],
  ['of another type', () => withHeader({ kid: keyId }, '{"type":"receipt"}'), /is a receipt/],
  ['that is not JSON', () => withHeader({ kid: keyId }, 'report'), /not a signed report/],
  ['in JSON', () => text, /not a signed report/],
  ['that is empty', () => '', /not a signed report/],
])('a report %s is not valid', async (_, make, reason) => {
  expect(await verifyReport(await make(), publicKey)).toEqual({
    valid: false,
    reason: expect.stringMatching(reason),
  })
})
