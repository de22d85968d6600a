import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import pino from 'pino'
import { backing, log as quiet } from '../../testing/backing'
import { createAuthority, type KeyPair } from '../../testing/certificates'
import { eventually } from '../../testing/eventually'
import { serviceConfig } from '../../testing/stack'
import { eva, frank } from '../../testing/wallets'
import { startWallet } from '../../wallet/service'
import type { Check } from '../process/service'
import type { Log } from '../telemetry/log'
import { readCertificate } from './certificate'
import type { OriginRules } from './origins'
import { listen } from './server'

const authority = createAuthority('ours')
const issue = (validity = {}) => authority.issue(['localhost', 'wallet.test', '127.0.0.1'], validity)
const rules: OriginRules = { allowedHosts: [], corsOrigins: [] }

function folderWith(pair: Partial<KeyPair>) {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-https-'))
  const files = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
  const write = ({ cert, key }: Partial<KeyPair>) => {
    if (cert !== undefined) writeFileSync(files.certFile, cert)
    if (key !== undefined) writeFileSync(files.keyFile, key)
  }
  write(pair)
  return { files, write, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) }
}

/** Serves HTTPS; a request to /slow is answered when `release` is called, /stream ends then. */
function serve(pair: KeyPair) {
  const folder = folderWith(pair)
  const held = Promise.withResolvers<void>()
  const lines: string[] = []
  const log: Log = pino({}, { write: (line: string) => lines.push(JSON.parse(line).msg) })
  const app = {
    routes: [],
    async fetch({ url }: Request) {
      if (url.endsWith('/stream'))
        return new Response(
          new ReadableStream({
            async start(controller) {
              controller.enqueue('begun ')
              await held.promise
              controller.enqueue('ended')
              controller.close()
            },
          }),
        )
      if (url.endsWith('/slow')) await held.promise
      return new Response('done')
    },
  }
  const options = { host: '127.0.0.1', port: 0, tls: folder.files, certificateEveryMs: 20, ...rules }
  const { port, parts, close } = listen(app, options, log)
  const stopping = new AbortController()
  const watch = parts.find(({ name }) => name === 'tls_certificate')
  const running = watch?.run?.(stopping.signal, () => {})
  return {
    ...folder,
    port,
    lines,
    health: () => watch?.health?.() as Check,
    release: held.resolve,
    get: (path: string, headers = {}) =>
      fetch(`https://localhost:${port}${path}`, { tls: { ca: authority.cert }, headers }),
    async [Symbol.asyncDispose]() {
      stopping.abort()
      held.resolve()
      await running
      await close(100)
      folder[Symbol.dispose]()
    },
  }
}

/** The certificate that a new connection is shown, in PEM. */
const shownAt = (port: number) =>
  new Promise<string>((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca: authority.cert }, () => {
      resolve(socket.getPeerX509Certificate()?.toString() ?? '')
      socket.end()
    })
    socket.on('error', reject)
  })

test('new files are served without a restart, and what is in flight goes on', async () => {
  const [first, second, third] = [issue(), issue(), issue()]
  await using server = serve(first)
  expect(await shownAt(server.port)).toBe(first.cert)
  const stream = await server.get('/stream')
  const slow = server.get('/slow')
  for (const next of [second, third]) {
    // One after the other, as an administrator copies them.
    server.write({ cert: next.cert })
    expect((await server.get('/')).status).toBe(200)
    server.write({ key: next.key })
    await eventually(async () => expect(await shownAt(server.port)).toBe(next.cert), { intervalMs: 5 })
    expect((await server.get('/')).status).toBe(200)
  }
  server.release()
  expect(await stream.text()).toBe('begun ended')
  expect((await slow).status).toBe(200)
  expect(server.health()).toMatchObject({ status: 'pass', output: expect.stringMatching(/^expires at 20/) })
  expect(server.lines).toEqual(['TLS certificate replaced', 'TLS certificate replaced'])
})

test('a service answers over HTTPS what it answers over HTTP', async () => {
  using folder = folderWith(issue())
  const shared = await backing()
  const database = await shared.createDatabase('wallet', 'wallet', true)
  const settings = { database, brokers: shared.brokers, topicPrefix: shared.topicPrefix(), seed: true }
  const config = serviceConfig('wallet', settings)
  const [plain, secured] = await Promise.all([
    startWallet(config, quiet),
    startWallet({ ...config, tls: folder.files }, quiet),
  ])
  try {
    const transfer = { account_id_from: eva, account_id_to: frank, amount: 1, dry_run: true }
    const json = { 'content-type': 'application/json', 'idempotency-key': 'once' }
    const post = (body: object) => ({ method: 'POST', headers: json, body: JSON.stringify(body) })
    for (const [path, status, init] of [
      ['/readyz', 200],
      ['/accounts?limit=2', 200],
      ['/openapi.json', 200, { method: 'HEAD' }],
      ['/transactions', 204, { method: 'OPTIONS' }],
      ['/nothing//there', 404],
      ['/accounts?limit=2&colour=red', 422],
      ['/transactions', 201, post(transfer)],
      ['/transactions', 422, post({ ...transfer, amount: -1 })],
      [`/accounts/${eva}`, 405, post({})],
    ] as [string, number, RequestInit?][]) {
      const ask = async (origin: string) => {
        const response = await fetch(origin + path, { ...init, tls: { ca: authority.cert } })
        const text = (await response.text()).replace(/"(trace_id|created_at|effective_at)":"[^"]*"/g, '')
        const link = response.headers.get('link')
        return { path, status: response.status, link, text: path === '/readyz' ? '' : text }
      }
      const answer = await ask(`http://localhost:${plain.port}`)
      expect(answer.status).toBe(status)
      expect(await ask(`https://localhost:${secured.port}`)).toEqual(answer)
    }
  } finally {
    await Promise.all([plain.stop(), secured.stop()])
  }
})

test('files that are no good change nothing, and are said once', async () => {
  const pair = issue()
  await using server = serve(pair)
  const other = issue()
  for (const [bad, reason] of [
    [{ cert: other.cert.slice(0, 200), key: pair.key }, /TLS_CERT_FILE has no certificate in PEM/],
    [{ cert: other.cert, key: pair.key }, /TLS_KEY_FILE is not the key of the first certificate/],
    [{ cert: other.cert, key: 'x' }, /TLS_KEY_FILE has no private key in PEM/],
    [issue({ toDays: -0.5 }), /has expired: renew it/],
  ] as const) {
    server.write(bad)
    await eventually(() => expect(server.health().output).toMatch(reason), { intervalMs: 5 })
    // Several looks at the same files.
    for (let looks = 0; looks < 5; looks++) expect(await shownAt(server.port)).toBe(pair.cert)
  }
  expect(server.lines.length).toBe(4)
  for (const line of server.lines)
    expect(line).toStartWith('new TLS certificate refused, keeping the current')
  server.write(pair)
  await eventually(() => expect(server.health().status).toBe('pass'), { intervalMs: 5 })
})

test.each([
  ['no files', {}, 'TLS_CERT_FILE cannot be read (ENOENT): check the path'],
  ['no key', { cert: issue().cert }, 'TLS_KEY_FILE cannot be read (ENOENT): check the path'],
  ['another key', { ...issue(), key: issue().key }, 'TLS_KEY_FILE is not the key of the first certificate'],
  ['no PEM', { cert: 'x', key: 'y' }, 'TLS_CERT_FILE has no certificate in PEM'],
  ['a key alone', { cert: issue().key, key: issue().key }, 'TLS_CERT_FILE has no certificate in PEM'],
])('no start with %s', (_, pair, message) => {
  using folder = folderWith(pair)
  expect(() => readCertificate(folder.files)).toThrow(message)
})

test('an expired certificate is served all the same, with a warning', async () => {
  const pair = issue({ fromDays: -2, toDays: -1 })
  await using server = serve(pair)
  expect(server.lines).toEqual(['the certificate in TLS_CERT_FILE has expired: renew it'])
  expect(server.health().output).toMatch(/^expired at /)
  const response = await fetch(`https://localhost:${server.port}/`, { tls: { rejectUnauthorized: false } })
  expect(response.status).toBe(200)
})

test('the port is shared with nothing else, and speaks TLS alone', async () => {
  await using server = serve(issue())
  const options = { host: '127.0.0.1', port: server.port, tls: server.files, ...rules }
  const app = { fetch: () => new Response(), routes: [] }
  for (const tls of [server.files, undefined])
    expect(() => listen(app, { ...options, tls }, {} as Log)).toThrow(
      new RegExp(`^port ${server.port} on 127.0.0.1 is in use by process ${process.pid} `),
    )
  const plain = fetch(`http://localhost:${server.port}/`).then(({ status }) => status)
  expect(await plain.catch(({ code }) => code)).toBe('ECONNRESET')
})

test('browsers are asked to stay with HTTPS, except at this machine', async () => {
  await using server = serve(issue())
  const hstsOf = async (host: string) =>
    (await server.get('/', { host })).headers.get('strict-transport-security')
  expect(await hstsOf('wallet.test')).toBe('max-age=31536000')
  expect(await hstsOf(`localhost:${server.port}`)).toBeNull()
})
