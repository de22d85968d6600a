/**
 * The AsyncAPI documents of both services, against the JSON Schema that AsyncAPI publishes, and
 * against recorded events.
 */
import { expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import specification from '@asyncapi/specs/schemas/3.0.0.json'
import { type Schema, Validator } from '@cfworker/json-schema'
import { topics } from '../events/events'
import { cloudEventHeaders, epochHeader } from '../wire/envelope'
import { signatureHeader } from '../wire/signature'
import { asyncApi } from './asyncapi'
import { headerMeanings } from './markdown'

const kafka = {
  brokers: ['kafka-1:9092', 'kafka-2:9092'],
  clientId: 'someone',
  topicPrefix: 'shop.',
  partitions: 6,
  ssl: true,
  sasl: { mechanism: 'scram-sha-512' },
} as const
const wallet = asyncApi({
  service: 'wallet',
  action: 'send',
  uses: topics.map((topic) => ({ topic })),
  kafka,
})
const balances = asyncApi({
  service: 'balances',
  action: 'receive',
  uses: (['personal-data', 'accounts', 'balances'] as const).map((topic) => ({
    topic,
    groupId: `readers-of-${topic}`,
  })),
  kafka: { ...kafka, ssl: false, sasl: undefined },
})

/** As a client receives it. */
const sent = (document: object) => JSON.parse(JSON.stringify(document))
/** Faults with their location, the deepest first. */
const faults = (schema: object, value: unknown): string[] =>
  new Validator(schema as Schema, '7', false)
    .validate(value)
    .errors.map(({ instanceLocation, error }) => `${instanceLocation} ${error}`)
    .sort((a, b) => b.indexOf(' ') - a.indexOf(' '))

test.each([
  ['wallet', wallet],
  ['balances', balances],
])('the document of %s is AsyncAPI 3.0 with Kafka bindings 0.5.0', (_, document) => {
  expect(faults(specification, sent(document))).toEqual([])
})

test('an unknown binding of Kafka is noticed', () => {
  const document = sent(wallet)
  document.channels.clients.bindings.kafka.colour = 'blue'
  expect(faults(specification, document)[0]).toStartWith('#/channels/clients/bindings/kafka/colour ')
})

test('the wallet sends and balances receives, at the addresses of the installation', () => {
  const of = (document: typeof wallet) =>
    Object.entries(document.operations).map(([name, { channel, messages }]) => [
      name,
      at(document, channel.$ref).address,
      ...messages.map(({ $ref }) => at(document, $ref).name),
    ])
  expect(of(wallet)).toEqual([
    ['send-clients', 'shop.clients', 'ClientRegistered', 'ClientUpdated'],
    ['send-personal-data', 'shop.personal-data', 'PersonalDataRecorded', 'PersonalDataErased'],
    ['send-accounts', 'shop.accounts', 'AccountOpened', 'AccountUpdated', 'EpochStarted'],
    [
      ...['send-transactions', 'shop.transactions'],
      ...['TransactionCreated', 'PostingsCreated', 'HoldPlaced', 'HoldExtended', 'HoldReleased'],
    ],
    ['send-balances', 'shop.balances', 'BalanceUpdated'],
  ])
  expect(of(balances)).toEqual([
    ['receive-personal-data', 'shop.personal-data', 'PersonalDataRecorded', 'PersonalDataErased'],
    ['receive-accounts', 'shop.accounts', 'AccountOpened', 'AccountUpdated', 'EpochStarted'],
    ['receive-balances', 'shop.balances', 'BalanceUpdated'],
  ])
  expect(wallet.servers).toEqual({
    'broker-1': { host: 'kafka-1:9092', protocol: 'kafka-secure', security: [{ type: 'scramSha512' }] },
    'broker-2': { host: 'kafka-2:9092', protocol: 'kafka-secure', security: [{ type: 'scramSha512' }] },
  })
  expect(balances.servers['broker-1']).toEqual({ host: 'kafka-1:9092', protocol: 'kafka' })
  expect(balances.operations['receive-balances']?.bindings.kafka).toMatchObject({
    groupId: { const: 'readers-of-balances' },
    clientId: { const: 'someone' },
  })
  expect(wallet.operations['send-balances']?.bindings.kafka).not.toHaveProperty('groupId')
})

const messages = new Map(
  Object.values<{ messages: object }>(sent(wallet).channels)
    .flatMap((channel) => Object.values(channel.messages))
    .map((message) => [message.name as string, message]),
)

test.each([...messages])('the example of %s matches its schemas', (_, message) => {
  const [example] = message.examples
  expect(faults(message.payload, example.payload)).toEqual([])
  expect(faults(message.headers, example.headers)).toEqual([])
  const sent = Object.keys(headerMeanings).filter((name) => name !== epochHeader)
  expect([...Object.keys(example.headers), signatureHeader]).toEqual(sent)
})

const corpus = join(import.meta.dir, '../corpus')
const recorded = readdirSync(corpus).filter((name) => name.startsWith('saldo-'))

test.each(recorded)('the recorded %s matches the document', async (file) => {
  const { value, headers } = await Bun.file(join(corpus, file)).json()
  const { Name } = JSON.parse(value)
  expect(faults(messages.get(Name)?.payload, JSON.parse(value))).toEqual([])
  if (headers) expect(faults(messages.get(Name)?.headers, headers)).toEqual([])
})

test('another event in the same envelope, or another header, does not', () => {
  const message = messages.get('HoldPlaced')
  const [{ headers, payload }] = message.examples
  expect(faults(message.payload, { ...payload, Name: 'HoldReleased' })).not.toEqual([])
  const released = { name: 'HoldReleased', subject: headers.ce_subject, time: headers.ce_time } as const
  expect(faults(message.headers, cloudEventHeaders('/saldo/wallet', released))).not.toEqual([])
})

/** What a `$ref` of the document refers to. */
function at(document: object, ref: string): { address: string; name: string } {
  const path = ref.replace('#/', '').split('/')
  return path.reduce((node: object, key) => node[key as never], document) as never
}
