/**
 * Apache Kafka with TLS, client certificates, SCRAM and an authorizer: what it refuses a client for, and that
 * the rights in docs/security.md are enough. `KAFKA_SCRIPT` names the script that starts it.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka as KafkaClient,
  logLevel,
  ResourcePatternTypes,
} from 'kafkajs'
import pino from 'pino'
import { topics as projected } from './balances/projection/topics'
import { startBalances } from './balances/service'
import type { ServiceConfig, ServiceName } from './config/config'
import { topics } from './contract/events/events'
import { connectKafka } from './platform/kafka/client'
import { freePort, listenErrorOf } from './platform/process/ports'
import { backing, log } from './testing/backing'
import { createAuthority } from './testing/certificates'
import { eventually } from './testing/eventually'
import { callerOf, serviceConfig } from './testing/stack'
import { createServedTopics } from './testing/topics'
import { eva, frank } from './testing/wallets'
import { startWallet } from './wallet/service'

setDefaultTimeout(180_000)

const script = process.env.KAFKA_SCRIPT && resolve(process.env.KAFKA_SCRIPT)
const isHere = script !== undefined && existsSync(script)
if (!isHere) console.log('Kafka with TLS, SCRAM and rights is not tested: KAFKA_SCRIPT names no script')

const clients = createAuthority('clients')
const folder = mkdtempSync(join(tmpdir(), 'saldo-secure-kafka-'))
const port = threeFreePorts()
const passwordOf = (user: string) => `${user}-secret`

/** Of the clients, of the controllers, and of an unprotected listener to set the cluster up. */
function threeFreePorts(): number {
  for (;;) {
    const first = freePort()
    if ([first, first + 100, first + 200].every((one) => listenErrorOf(one) === null)) return first
  }
}

async function run(...args: string[]): Promise<void> {
  const child = Bun.spawn([script ?? '', ...args], {
    env: {
      ...process.env,
      ...{ KAFKA_STATE: join(folder, 'kafka'), KAFKA_PORT: String(port), KAFKA_HEAP: '256m' },
      ...{ KAFKA_SASL: '1', KAFKA_TLS: '1', KAFKA_AUTO_CREATE: 'false' },
      ...{ KAFKA_USER: 'wallet', KAFKA_PASSWORD: passwordOf('wallet') },
    },
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const said = await new Response(child.stderr).text()
  expect(await child.exited, said).toBe(0)
}

const unprotected = new KafkaClient({ brokers: [`127.0.0.1:${port + 200}`], logLevel: logLevel.NOTHING })

/** Settings of a service: TLS with the CA and a certificate of its own, and its login. */
function securityOf(user: string) {
  const { cert, key } = clients.issue([user])
  const ca = readFileSync(join(folder, 'kafka/tls/ca.crt'), 'utf8')
  const sasl = { mechanism: 'scram-sha-512', username: user, password: passwordOf(user) } as const
  return { ssl: true, ca, cert, key, sasl }
}

beforeAll(async () => {
  if (!isHere) return
  mkdirSync(join(folder, 'kafka'))
  writeFileSync(join(folder, 'clients.pem'), clients.cert)
  const extra = [
    'listener.name.client.ssl.client.auth=required',
    'listener.name.client.ssl.truststore.type=PEM',
    `listener.name.client.ssl.truststore.location=${join(folder, 'clients.pem')}`,
    'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users=User:ANONYMOUS',
  ]
  writeFileSync(join(folder, 'kafka/extra.properties'), extra.join('\n'))
  await run('up')
  const password = `SCRAM-SHA-512=[iterations=4096,password=${passwordOf('balances')}]`
  const user = ['--entity-type', 'users', '--entity-name', 'balances']
  await run('configs', '--alter', '--add-config', password, ...user)
})

afterAll(async () => {
  if (isHere) await run('reset')
  rmSync(folder, { recursive: true, force: true })
})

if (isHere) {
  test('a client that the broker refuses, or that refuses the broker, says why', async () => {
    const right = securityOf('wallet')
    const others = createAuthority('others')
    const reject = async (change: object): Promise<string> => {
      const options = { ...right, brokers: [`localhost:${port}`], clientId: 'test', ...change }
      const kafka = connectKafka(options, log)
      const outcome = await kafka.clusterId().then(
        () => 'accepted',
        ({ message }) => message,
      )
      await kafka.close()
      return outcome
    }
    const login = 'Check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD'
    const pair = 'Set KAFKA_CERT_FILE and KAFKA_KEY_FILE to what the broker trusts'
    const expected: [object, string][] = [
      [{}, 'accepted'],
      [{ brokers: [`127.0.0.1:${port}`] }, 'accepted'],
      [{ ca: others.cert }, 'Set KAFKA_CA_FILE to the CA of the broker'],
      [{ ca: undefined }, 'Set KAFKA_CA_FILE to the CA of the broker'],
      [{ cert: undefined, key: undefined }, pair],
      [others.issue(['wallet']), pair],
      [{ sasl: { ...right.sasl, password: 'another' } }, login],
      [{ sasl: { ...right.sasl, username: 'absent' } }, login],
      [{ sasl: undefined }, 'or for a login (KAFKA_SASL_MECHANISM)'],
      [{ ssl: false }, 'the broker may ask for TLS (KAFKA_SSL) or for a login (KAFKA_SASL_MECHANISM)'],
      [{ brokers: [`localhost:${port + 200}`] }, 'Use the port of its TLS listener'],
    ]
    const found = await Promise.all(expected.map(([change]) => reject(change)))
    for (const [index, [, message]] of expected.entries()) expect(found[index]).toContain(message)
  })

  test('a missing right is named, and with those of the documentation everything works', async () => {
    const letters = projected.map((topic) => `${topic}.balances.dlq`)
    await createServedTopics(
      unprotected,
      [...topics, ...letters].map((topic) => ({ topic })),
    )

    const said: Record<ServiceName, string[]> = { wallet: [], balances: [] }
    const logOf = (name: ServiceName) =>
      pino({}, { write: (line: string) => said[name].push(JSON.parse(line).msg) })
    const wallet = await startWallet(await configOf('wallet'), logOf('wallet'))
    const balances = await startBalances(await configOf('balances'), logOf('balances'))
    const [writer, reader] = [callerOf('wallet', wallet.port), callerOf('balances', balances.port)]
    try {
      await eventually(() => {
        expect(said.wallet.join('\n')).toContain(
          'Not authorized to access topics: [Topic authorization failed]. ' +
            `Allow Describe on ${topics.join(', ')}, and Create where one does not exist yet`,
        )
        expect(said.balances.join('\n')).toContain(`Allow Describe on ${projected.join(', ')}, and Create`)
      })
      // All but the right of the wallet to write balances, and those to be a consumer.
      const rights = documentedRights()
      // Which the wallet may not read, so that it cannot see whether it was restored.
      await sendNonsense()
      const [late, early] = [rights.filter(isLast), rights.filter((one) => !isLast(one))]
      await allow([...early, { ...walletOnBalances, operation: 'Describe' }])
      await eventually(() => {
        expect(said.wallet.join('\n')).toMatch(/Allow Write on .*balances/)
        expect(said.wallet.join('\n')).toMatch(
          /whether the ledger was restored cannot be seen: .*Allow Read on/,
        )
        expect(said.balances.join('\n')).toContain(
          `allow Read on ${projected.join(', ')} and on the group balances`,
        )
      })
      await allow(late)

      const transfer = { account_id_from: eva, account_id_to: frank, amount: 60 }
      const paid = await writer.post('/transactions', transfer)
      const token = String(paid.headers.get('consistency-token'))
      const moved = expect.objectContaining({ transaction_id: paid.body.id })
      await eventually(async () => {
        const read = await reader.get(`/balances/${frank}`, { 'consistency-token': token })
        expect(read.status).toBe(200)
        const large = await reader.get('/large-movements')
        expect(large.body).toMatchObject({ data: expect.arrayContaining([moved]) })
      })
      await eventually(async () => {
        const { body } = await reader.get('/dead-letters')
        expect(body.data).toMatchObject([{ cause: 'not_json', sent_at: expect.any(String) }])
      })
      const data = `/clients/${(await writer.get(`/accounts/${eva}`)).body.client_id}/personal-data`
      expect((await writer.delete(data)).status).toBe(200)
      await eventually(async () => expect((await writer.get(data)).body.purged_at).toBeString())
      // On a thread of its own, with a group of its own.
      expect((await reader.post('/rebuild', {})).status).toBe(202)
      await eventually(async () => expect((await reader.get('/rebuild')).body.state).toBe('swapped'))
      // A right that nothing depends on: said once, and no more than that.
      for (const [name, caller] of [
        ['wallet', writer],
        ['balances', reader],
      ] as const) {
        const output = expect.stringContaining('allow DescribeConfigs on')
        const checks = expect.objectContaining({ topic_settings: { status: 'pass', output } })
        expect((await caller.get('/readyz')).body).toMatchObject({ status: 'pass', checks })
        expect(said[name].filter((line) => line.includes('DescribeConfigs'))).toHaveLength(1)
      }
    } finally {
      await Promise.all([wallet.stop(), balances.stop()])
    }
  })
}

async function configOf(service: ServiceName): Promise<ServiceConfig> {
  const database = await (await backing()).createDatabase(service, service, true)
  const settings = { database, brokers: [`localhost:${port}`], topicPrefix: '', seed: true }
  const config = serviceConfig(service, settings)
  return { ...config, largeMovementMin: 50, kafka: { ...config.kafka, ...securityOf(service) } }
}

const operations = {
  Describe: AclOperationTypes.DESCRIBE,
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
  Delete: AclOperationTypes.DELETE,
}
const kinds = { topic: AclResourceTypes.TOPIC, group: AclResourceTypes.GROUP }
type Right = {
  principal: string
  operation: keyof typeof operations
  kind: keyof typeof kinds
  name: string
}
const walletOnBalances = { principal: 'User:wallet', kind: 'topic', name: 'balances' } as const

const isLast = ({ principal, kind, name }: Right): boolean =>
  kind === 'group' || (principal === walletOnBalances.principal && name === walletOnBalances.name)

/** What the commands of the documentation allow. */
function documentedRights(): Right[] {
  const text = readFileSync(join(import.meta.dir, '../docs/security.md'), 'utf8')
  const commands = text.split('\n').filter((line) => line.startsWith('allow --allow-principal '))
  expect(commands.length).toBe(6)
  return commands.flatMap((command) => {
    const [, principal = '', operation] = /--allow-principal (\S+) --operation (\S+)/.exec(command) ?? []
    return [...command.matchAll(/--(topic|group) (\S+)/g)].map(
      ([, kind, name]) => ({ principal, operation, kind, name }) as Right,
    )
  })
}

async function allow(rights: Right[]): Promise<void> {
  const admin = unprotected.admin()
  await admin.connect()
  await admin.createAcls({
    acl: rights.map(({ principal, operation, kind, name }) => ({
      principal,
      host: '*',
      operation: operations[operation],
      permissionType: AclPermissionTypes.ALLOW,
      resourceType: kinds[kind],
      resourceName: name,
      resourcePatternType: ResourcePatternTypes.LITERAL,
    })),
  })
  await admin.disconnect()
}

async function sendNonsense(): Promise<void> {
  const producer = unprotected.producer()
  await producer.connect()
  await producer.send({ topic: 'balances', messages: [{ value: 'nonsense' }] })
  await producer.disconnect()
}
