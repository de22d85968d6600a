/** What a client says that cannot trust the broker, or the other way round. No broker is needed for that. */
import { expect, test } from 'bun:test'
import net from 'node:net'
import tls from 'node:tls'
import { log } from '../../testing/backing'
import { createAuthority } from '../../testing/certificates'
import { connectKafka } from './client'

const ours = createAuthority('ours')
const theirs = createAuthority('theirs')
const names = ['localhost', '127.0.0.1']

type Listener = net.Server | tls.Server

/** Ends each connection with its first message, as brokers do that want something else. */
const endAtOnce = (socket: net.Socket) => {
  socket.on('error', () => {})
  socket.once('data', () => socket.destroy())
}
const secured = (pair: tls.TlsOptions) => tls.createServer(pair, endAtOnce).on('tlsClientError', () => {})

test.concurrent.each<[string, () => Listener, object, string]>([
  [
    'another CA',
    () => secured(theirs.issue(names)),
    { ca: ours.cert },
    '. Set KAFKA_CA_FILE to the CA of the broker',
  ],
  ['no CA', () => secured(ours.issue(names)), {}, '. Set KAFKA_CA_FILE to the CA of the broker'],
  [
    'another name',
    () => secured(ours.issue(['kafka.test'])),
    { ca: ours.cert },
    '. The broker has to advertise a host name of its certificate',
  ],
  [
    'an expired certificate',
    () => secured(ours.issue(names, { fromDays: -2, toDays: -1 })),
    { ca: ours.cert },
    'certificate has expired. Renew the certificate of the broker',
  ],
  [
    'a port without TLS',
    () => net.createServer(endAtOnce),
    { ca: ours.cert },
    '. Use the port of its TLS listener, or KAFKA_SSL=false where there is none',
  ],
  [
    'a port with TLS alone',
    () => secured(ours.issue(names)),
    { ssl: false },
    'Closed connection. If it goes on, the broker may ask for TLS (KAFKA_SSL) or for a login ' +
      '(KAFKA_SASL_MECHANISM)',
  ],
])('%s', async (_, createListener, options, message) => {
  const listener = createListener()
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as net.AddressInfo
  for (const host of names) {
    const brokers = [`${host}:${port}`]
    const kafka = connectKafka({ brokers, clientId: 'test', ssl: true, sasl: undefined, ...options }, log)
    const error: Error = await kafka.clusterId().catch((fault) => fault)
    expect(error.message).toStartWith('broker unavailable: ')
    expect(error.message).toEndWith(message)
    await kafka.close()
  }
  listener.close()
})

test('the settings stay as they are, since other threads get them, too', () => {
  const sasl = { mechanism: 'scram-sha-512', username: 'wallet', password: 'secret' } as const
  const options = { brokers: ['localhost:1'], clientId: 'test', ssl: true, sasl }
  connectKafka(options, log)
  expect(structuredClone(options)).toEqual(options)
})
