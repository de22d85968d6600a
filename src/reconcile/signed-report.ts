/**
 * Signed reports: a JWS in compact serialization (RFC 7515) with Ed25519 (`EdDSA`, RFC 8037). `kid` is
 * the thumbprint of the public key (RFC 7638). With that key a report can be verified, offline and with
 * any JOSE library, and not signed: other than the keys of events, which do both.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { CompactSign, calculateJwkThumbprint, compactVerify, errors, exportJWK } from 'jose'
import { type ReportDocument, reportType } from './report'

const algorithm = 'EdDSA'

export type SignedReport = { keyId: string; jws: string }

/** `text` is the report as JSON, which the signature repeats byte for byte. */
export async function signReport(text: string, privateKey: KeyObject): Promise<SignedReport> {
  const keyId = await keyIdOf(createPublicKey(privateKey))
  const header = { alg: algorithm, typ: `${reportType}+jws`, cty: 'application/json', kid: keyId }
  const jws = await new CompactSign(Buffer.from(text)).setProtectedHeader(header).sign(privateKey)
  return { keyId, jws }
}

export const keyIdOf = async (publicKey: KeyObject): Promise<string> =>
  calculateJwkThumbprint(await exportJWK(publicKey))

export type Verdict =
  | { valid: true; keyId: string; text: string; report: ReportDocument }
  | { valid: false; reason: string }

export async function verifyReport(jws: string, publicKey: KeyObject): Promise<Verdict> {
  const keyId = await keyIdOf(publicKey)
  try {
    const { payload, protectedHeader } = await compactVerify(jws.trim(), publicKey, {
      algorithms: [algorithm],
    })
    if (protectedHeader.kid !== keyId)
      return refused(`it names the key ${protectedHeader.kid}, and was checked with ${keyId}`)
    const text = Buffer.from(payload).toString()
    const report = JSON.parse(text) as ReportDocument
    if (report.type !== reportType) return refused(`it is a ${report.type}, not a ${reportType}`)
    return { valid: true, keyId, text, report }
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed)
      return refused(`the key ${keyId} has not signed this, or it was changed since`)
    if (error instanceof errors.JOSEError || error instanceof SyntaxError)
      return refused(`it is not a signed report: ${error.message}`)
    throw error
  }
}

const refused = (reason: string): Verdict => ({ valid: false, reason })
