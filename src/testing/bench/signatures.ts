/**
 * What signing and verifying cost, in processor time of one thread: alone, and as part of reading and
 * projecting batches. The cases take turns, and each shows its median. Ed25519 signs the same bytes.
 */
import { generateKeyPairSync, sign as signEd25519, verify as verifyEd25519 } from 'node:crypto'
import { project } from '../../balances/projection/project.ts'
import { createRecordReader, type ReadRecord } from '../../balances/projection/topics.ts'
import { cloudEventHeaders, encodeEvent, walletSource } from '../../contract/wire/envelope.ts'
import { createSigner, createVerifier, signatureHeader, signedBytes } from '../../contract/wire/signature.ts'
import { continueTrace } from '../../platform/telemetry/trace.ts'
import { movements } from './rebuild.ts'

const [topic, batchSize, rounds, asymmetricMax] = ['balances', 1_000, 9, 2_000]
const key = { id: '2026-11', secret: crypto.getRandomValues(new Uint8Array(32)) }

export async function benchSignatures([count = '20000']: string[]): Promise<void> {
  const sign = createSigner(key)
  const verify = createVerifier([key])
  const sent = [...movements(Number(count))].map((event) => {
    const encoded = encodeEvent(event, '')
    const headers = { ...cloudEventHeaders(walletSource, encoded), traceparent: continueTrace(undefined) }
    return { topic, key: encoded.key, value: encoded.value, headers: Object.entries(headers) }
  })
  const received = sent.map((record) => {
    const headers = [...record.headers, [signatureHeader, sign(record)] as const]
    const pairs = headers.map(([name, text]) => [Buffer.from(name), Buffer.from(text)] as const)
    return { key: Buffer.from(record.key), value: Buffer.from(record.value), headers: pairs }
  })
  const few = received.slice(0, asymmetricMax).map((record) => signedBytes({ topic, ...record }, key.id))
  const pair = generateKeyPairSync('ed25519')
  const signatures = few.map((bytes) => signEd25519(null, bytes, pair.privateKey))
  const consume = (read: ReadRecord) => () => {
    for (let at = 0; at < received.length; at += batchSize) {
      const batch = received.slice(at, at + batchSize)
      const readings = batch.map((record) => ({
        decoded: read(topic, record),
        timestampMs: 0,
        origin: record,
      }))
      const { deadLetters } = project(readings, new Map())
      if (deadLetters.length > 0) throw new Error(`${deadLetters.length} dead letters`)
    }
    return received.length
  }
  const off = createRecordReader({ verify: 'off', verifyKeys: [] })
  const required = createRecordReader({ verify: 'required', verifyKeys: [key] })

  const cases: Record<string, () => number> = {
    'to sign': () => sent.map(sign).length,
    'to verify': () => received.filter((record) => verify(topic, record) === undefined).length,
    'to read and project': consume(off),
    'to verify, read and project': consume(required),
    'Ed25519: to sign': () => few.map((bytes) => signEd25519(null, bytes, pair.privateKey)).length,
    'Ed25519: to verify': () =>
      few.filter((bytes, index) => verifyEd25519(null, bytes, pair.publicKey, signatures[index] as Buffer))
        .length,
  }
  const micros = new Map(Object.keys(cases).map((name) => [name, [] as number[]]))
  for (let round = 0; round <= rounds; round++)
    for (const [name, run] of Object.entries(cases)) {
      const before = process.cpuUsage()
      const events = run()
      const { user, system } = process.cpuUsage(before)
      // The first round warms up.
      if (round > 0) micros.get(name)?.push((user + system) / events)
    }
  const bytes = received.reduce((sum, record) => sum + signedBytes({ topic, ...record }, key.id).length, 0)
  console.log(
    `${count} events, ${Math.round(bytes / received.length)} signed bytes each; µs of processor per event`,
  )
  for (const [name, all] of micros) {
    const [least, middle, most] = [0, 0.5, 1].map((share) => at(all, share))
    console.log(`${name.padEnd(28)} ${middle} (${least} to ${most})`)
  }
}

const at = (values: number[], share: number): string =>
  (values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? Number.NaN).toFixed(1)
