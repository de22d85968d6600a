/** What an operator asks of both services: `status`, and `reconcile` with the evidence that it leaves. */
import { afterAll, beforeAll, expect, spyOn, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import type { Environment } from '../config/config'
import { connectKafka } from '../platform/kafka/client'
import type { ReportDocument } from '../reconcile/report'
import { runCommand } from '../testing/command'
import { eventually } from '../testing/eventually'
import { type Stack, startStack } from '../testing/stack'
import { eva, log } from '../testing/wallets'
import { commands } from './commands'

const folder = mkdtempSync(join(tmpdir(), 'saldo-cli-'))
let stack: Stack
let env: Environment
beforeAll(async () => {
  stack = await startStack()
  env = {
    WALLET_DATABASE_URL: stack.databases.wallet.serviceUrl,
    BALANCES_DATABASE_URL: stack.databases.balances.serviceUrl,
    KAFKA_BROKERS: stack.backing.brokers.join(),
    KAFKA_TOPIC_PREFIX: stack.config.wallet.kafka.topicPrefix,
  }
})
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

/** The lines of standard output and of standard error. */
async function run(variables: Environment, name: string, ...args: string[]) {
  const err: string[] = []
  const spy = spyOn(console, 'error').mockImplementation((text) => void err.push(text))
  try {
    const command = await commands[name]?.()
    if (!command) throw new Error(`no command ${name}`)
    return { ...(await runCommand(command, args, variables)), err: err.join('\n') }
  } finally {
    spy.mockRestore()
  }
}

const jsonOf = async (name: string, ...args: string[]) =>
  JSON.parse((await run(env, name, ...args, '--json')).out.join('\n'))

type Row = Record<string, string>
const listed = async (path: string) => (await stack.balances.get(path)).body.data as Row[]

test('status shows the outbox, lag by partition, dead letters, and the last comparison', async () => {
  await eventually(async () => {
    const { out, err, code } = await run(env, 'status')
    expect([err, code]).toEqual(['', 0])
    expect([out.at(0), ...out.slice(-2)]).toEqual([
      'outbox: 0 events pending',
      'dead letters: 0',
      'reconciliation: none kept: saldo reconcile --store',
    ])
    const partitions = out.slice(1, -2)
    expect(partitions.length).toBe(3 * stack.config.balances.kafka.partitions)
    for (const line of partitions) expect(line).toMatch(/\/\d+: lag 0, applied (\d+) of \1$/)
  })
  const shown = await jsonOf('status')
  expect(shown).toMatchObject({ outbox: { events: 0 }, dead_letters: 0, reconciliation: null })
  expect(shown.partitions[0]).toEqual({
    ...{ topic: expect.any(String), partition: 0, lag: 0 },
    ...{ applied: expect.any(Number), end: expect.any(Number) },
  })
})

test('in the environment of one service its part is shown, and the other is refused', async () => {
  const { WALLET_DATABASE_URL: _, BALANCES_DATABASE_URL: DATABASE_URL, ...broker } = env
  const ofBalances = { ...broker, SERVICE: 'balances', DATABASE_URL }
  const { out } = await run(ofBalances, 'status')
  expect([out[0], out.at(-2)]).toEqual([
    'outbox: not shown, WALLET_DATABASE_URL is not set',
    'dead letters: 0',
  ])
  await expect(run(ofBalances, 'republish')).rejects.toThrow(
    'DATABASE_URL is that of balances, as SERVICE says: run this in the environment of wallet',
  )
  const missing = await run(ofBalances, 'reconcile')
  expect([missing.code, missing.err]).toEqual([2, expect.stringContaining('WALLET_DATABASE_URL is missing')])
})

test('a broker that is not there is named, with the remedy', async () => {
  await expect(run({ ...env, KAFKA_BROKERS: '127.0.0.1:1' }, 'status')).rejects.toThrow(
    'Check WALLET_DATABASE_URL, BALANCES_DATABASE_URL and KAFKA_BROKERS.',
  )
})

test('events shows what is on the topics, from a place, filtered, and what cannot be read', async () => {
  const all = (await run(env, 'events', '--json')).out.map((line) => JSON.parse(line))
  expect(all.length).toBeGreaterThan(50)
  expect(all.map(({ time }) => time)).toEqual(all.map(({ time }) => time).sort())
  expect(all.filter(({ topic }) => topic.endsWith('personal-data'))).toEqual([])
  const ofEva = (await run(env, 'events', '--account', eva, '--type', 'BalanceUpdated')).out
  expect(ofEva).not.toEqual([])
  for (const line of ofEva) expect(line).toMatch(new RegExp(` BalanceUpdated .*=${eva}`))

  const topic = `${stack.config.wallet.kafka.topicPrefix}balances`
  const kafka = connectKafka({ ...stack.config.wallet.kafka, clientId: 'test' }, log)
  const publisher = kafka.publisher()
  await publisher.send([{ topic, key: 'k', value: 'nonsense', headers: {} }])
  await publisher.close()
  await kafka.close()
  const since = all.at(-1)?.time ?? ''
  const late = (await run(env, 'events', '--topic', 'balances', '--from', since)).out
  expect(late.at(-1)).toMatch(/balances\/\d+\/\d+ UNREADABLE not_json: .* nonsense$/)
  expect(late.length).toBeLessThan(all.length)
  const filtered = await run(env, 'events', '--topic', 'balances', '--from', '-1', '--account', eva)
  expect(filtered.err).toBe('1 records cannot be read, and may match: shown without a filter.')
  expect((await run(env, 'events', '--from', 'end')).out).toEqual([])
  expect((await run(env, 'events', '--limit', '2')).out).toHaveLength(2)
  await expect(run(env, 'events', '--type', 'Invented')).rejects.toThrow('--type is unknown: there are')
  await expect(run(env, 'events', '--partition', '99')).rejects.toThrow('--partition is not one')
})

test('a report is kept, shown, signed, and verified without the services', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const [file, pub] = [join(folder, 'report.jws'), join(folder, 'reconcile.pub')]
  writeFileSync(pub, publicKey.export({ type: 'spki', format: 'pem' }))
  const RECONCILE_SIGNING_KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const signing = { ...env, RECONCILE_SIGNING_KEY }

  const unsigned = await run(env, 'reconcile', '--store', '--json')
  expect(unsigned.err).toContain('not signed: RECONCILE_SIGNING_KEY is not set')
  const clean = await run(signing, 'reconcile', '--store', '--report', file)
  expect([clean.code, clean.out[0]]).toEqual([0, 'No difference.'])
  expect(await jsonOf('status')).toMatchObject({ reconciliation: { result: 'clean' } })

  const data = await listed('/reconciliations')
  expect(data).toMatchObject([
    { result: 'clean', differences_total: 0, signed_by: expect.any(String) },
    { result: 'clean', signed_by: null },
  ])
  const kept = (await stack.balances.get(`/reconciliations/${data[0]?.id}`)).body
  expect(kept.jws).toBe(readFileSync(file, 'utf8').trim())
  expect((await stack.balances.get(`/reconciliations/${data[1]?.id}`)).body.report).toEqual(
    JSON.parse(unsigned.out[0] ?? ''),
  )
  expect(kept.report).toMatchObject({ result: 'clean', watermark: data[0]?.watermark })
  const { cluster_id, partitions } = (kept.report as ReportDocument).sources.kafka
  expect(cluster_id).toBeString()
  expect(partitions).toHaveLength(5 * stack.config.balances.kafka.partitions)
  expect(JSON.stringify(kept.report)).not.toContain(new URL(env.WALLET_DATABASE_URL ?? '').password)

  const verified = await run({}, 'reconcile', '--verify', file, '--key', pub, '--json')
  expect([verified.code, JSON.parse(verified.out[0] ?? '')]).toEqual([0, kept.report])
  expect((await run({ RECONCILE_SIGNING_KEY }, 'reconcile', '--verify', file)).code).toBe(0)
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, `${text.slice(0, 300)}${text[300] === 'A' ? 'B' : 'A'}${text.slice(301)}`)
  const changed = await run({}, 'reconcile', '--verify', file, '--key', pub)
  expect([changed.code, changed.out, changed.err]).toEqual([1, [], expect.stringMatching(/^Not valid: /)])
})

test('a difference comes first in status, and pages of reports are filtered', async () => {
  const owner = postgres(stack.databases.balances.url, { max: 1 })
  try {
    await owner`update balances set balance_minor = balance_minor + 1 where account_id = ${eva}`
    const found = await run(env, 'reconcile', '--store', '--limit', '0', '--json')
    expect([found.code, JSON.parse(found.out[0] ?? '')]).toEqual([
      1,
      expect.objectContaining({ result: 'different', differences_total: 1, differences: [] }),
    ])
    // Evidence stays, also where the password of the service is known.
    const service = postgres(stack.databases.balances.serviceUrl, { max: 1 })
    await expect(service`delete from reconciliations`.then()).rejects.toThrow('permission denied')
    await service.end()
  } finally {
    await owner.end()
  }
  expect((await run(env, 'status')).out[0]).toMatch(
    /^reconciliation: different, 1 differences, as of \S+: GET /,
  )
  const { body } = await stack.balances.get('/reconciliations?result=different&limit=1')
  expect(body).toMatchObject({ data: [{ result: 'different', differences_total: 1 }], next_cursor: null })
  const first = (await stack.balances.get('/reconciliations?limit=2')).body
  const rest = await listed(`/reconciliations?limit=2&cursor=${first.next_cursor}`)
  expect([...(first.data as Row[]), ...rest].map(({ result }) => result)).toEqual([
    'different',
    'clean',
    'clean',
  ])
  expect((await stack.balances.get('/reconciliations?result=bad')).status).toBe(422)
  expect((await stack.balances.get('/reconciliations/0')).status).toBe(404)
})
