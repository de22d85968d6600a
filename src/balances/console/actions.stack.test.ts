/** Actions of the console, on running services: what they cause, and who may not cause it. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { parseJson } from '../../contract/wire/json'
import { NotPossible, serveControl } from '../../local/control'
import { openKeys } from '../../testing/api-keys'
import { log } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { callerOf, type Stack, startStack } from '../../testing/stack'
import { eva, frank } from '../../testing/wallets'
import { startBalances } from '../service'
import { courseRecord } from './actions'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack[Symbol.asyncDispose]())

const act = (name: string, headers: Record<string, string> = {}) =>
  stack.balances.post(`/console/actions/${name}`, undefined, headers)

const balanceOf = async (id: string) => (await stack.balances.get(`/balances/${id}`)).body.balance

type Place = { topic: string; partition: number; offset: number }
const becomes = (record: unknown, outcome: object) =>
  eventually(async () => {
    const { topic, partition, offset } = record as Place
    const { body } = await stack.balances.get(`/console/records/${topic}/${partition}/${offset}`)
    expect(body).toMatchObject(outcome)
  })

test('a paused projection applies nothing, says so, and catches up when it is resumed', async () => {
  const before = Number(await balanceOf(frank))
  expect((await act('pause-projection')).body).toEqual({
    action: 'pause-projection',
    done: 'the projection of this process is paused',
  })
  const paid = await stack.wallet.post('/transactions', {
    ...{ account_id_from: eva, account_id_to: frank, amount: 1 },
  })
  const id = String(paid.body.id)
  const place = await eventually(async () => {
    const { body } = await stack.wallet.get(`/transactions/${id}/delivery`)
    const events = body.events as (Place & { status: string })[]
    const published = events.find(({ topic, status }) => topic.endsWith('balances') && status === 'published')
    if (!published) throw new Error(`not published yet: ${JSON.stringify(body)}`)
    return published
  })
  const ready = await stack.balances.get('/readyz')
  const warning = expect.stringContaining('paused on purpose: POST /console/actions/resume-projection')
  expect([ready.status, ready.body]).toMatchObject([
    200,
    { status: 'warn', checks: { consumer: { status: 'warn', output: warning } } },
  ])
  await becomes(place, { applied: false, paused: true, consumer: { status: 'warn', output: warning } })
  expect(Number(await balanceOf(frank))).toBe(before)

  // Each is idempotent.
  expect((await act('pause-projection')).status).toBe(200)
  for (let times = 0; times < 2; times++) expect((await act('resume-projection')).status).toBe(200)
  await becomes(place, { applied: true, paused: false })
  expect(Number(await balanceOf(frank))).toBe(before + 1)
  await eventually(async () =>
    expect((await stack.balances.get('/readyz')).body.checks).toMatchObject({ consumer: { status: 'pass' } }),
  )
})

test('a poison record becomes a dead letter, and the answer says where it is', async () => {
  const { body } = await act('poison-record')
  expect(body.record).toMatchObject({ topic: `${stack.config.balances.kafka.topicPrefix}balances` })
  await becomes(body.record, { dead_letter: { cause: 'not_json' } })
})

test("the course's own record is applied to the accounts of its documentation", async () => {
  for (let times = 0; times < 2; times++) {
    const { body } = await act('course-record')
    expect(body.account_ids).toEqual(['ana', 'bia'])
    await becomes(body.record, { applied: true, dead_letter: null })
    expect(Number(await balanceOf('ana')) + Number(await balanceOf('bia'))).toBe(2000)
  }
})

test('the record has the form of the course', () => {
  expect(parseJson(courseRecord(775n))).toEqual({
    Name: 'BalanceUpdated',
    Payload: {
      account_id_from: 'ana',
      account_id_to: 'bia',
      balance_account_id_from: 775,
      balance_account_id_to: 1225,
    },
  })
})

test('an action under a key is done once', async () => {
  const headers = { 'idempotency-key': '"poison"' }
  const first = await act('poison-record', headers)
  const second = await act('poison-record', headers)
  expect([second.body, second.headers.get('idempotency-replayed')]).toEqual([first.body, 'true'])
})

test('what is no action is not found, and what needs npm start says so', async () => {
  for (const name of ['unknown', 'constructor', 'Pause-Projection', 'pause-projection%00'])
    expect([name, (await act(name)).body.code]).toEqual([name, 'NOT_FOUND'])
  for (const name of ['stop-broker', 'start-broker', 'kill-wallet', 'kill-balances'])
    expect([name, (await act(name)).body.code]).toEqual([name, 'NEEDS_LOCAL_RUN'])
})

const port = () => stack.balances.port

test.each([
  ['a page of another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }, 'ORIGIN'],
  ['one whose browser sends no site', { origin: 'https://evil.example' }, 'ORIGIN'],
  ['one whose browser sends no origin', { 'sec-fetch-site': 'cross-site' }, 'ORIGIN'],
  ['a page of another port', { origin: 'http://localhost:1', 'sec-fetch-site': 'same-site' }, 'ORIGIN'],
  ['the same without a site', { origin: 'http://localhost:1' }, 'ORIGIN'],
  ['an opaque origin', { origin: 'null', 'sec-fetch-site': 'cross-site' }, 'ORIGIN'],
  ['an address that was typed', { 'sec-fetch-site': 'none' }, 'ORIGIN'],
  ['DNS rebinding', { host: 'evil.example', 'sec-fetch-site': 'same-origin' }, 'HOST'],
  [
    'DNS rebinding, with its origin',
    { host: 'evil.example', origin: 'http://evil.example', 'sec-fetch-site': 'same-origin' },
    'HOST',
  ],
] as [string, Record<string, string>, string][])('%s may not act', async (_, headers, reason) => {
  expect((await act('pause-projection', headers)).body.code).toBe(`${reason}_NOT_ALLOWED`)
  expect((await stack.balances.get('/readyz')).body.status).toBe('pass')
})

test('the page of the service may act, by the name under which it was opened', async () => {
  for (const host of [`localhost:${port()}`, `127.0.0.1:${port()}`])
    for (const headers of [{ 'sec-fetch-site': 'same-origin' }, {}] as Record<string, string>[]) {
      const { status } = await act('resume-projection', { host, origin: `http://${host}`, ...headers })
      expect(status).toBe(200)
    }
})

test('nothing is done where actions are off, and the supervisor is asked where there is one', async () => {
  const asked: string[] = []
  const control = serveControl({
    async 'stop-broker'() {
      asked.push('stop-broker')
      return 'the broker is stopped'
    },
    async 'kill-wallet'() {
      throw new NotPossible('the wallet does not run')
    },
  })
  const starts = [
    { consoleActions: false, consoleControl: control },
    { consoleControl: control },
    { consoleControl: { url: control.url, token: 'of-another-run' } },
    { consoleControl: { url: control.url, token: '' } },
    { consoleControl: { url: 'http://127.0.0.1:1', token: control.token } },
  ]
  const answers: unknown[] = []
  try {
    for (const more of starts) {
      const service = await startBalances({ ...stack.config.balances, seedOnStart: false, ...more }, log)
      const caller = callerOf('balances', service.port)
      for (const name of ['stop-broker', 'kill-wallet']) {
        const { status, body } = await caller.post(`/console/actions/${name}`, undefined)
        answers.push([status, body.code ?? body.action, body.detail ?? body.done])
      }
      await service.stop()
    }
  } finally {
    await control.stop()
  }
  const off = [403, 'CONSOLE_ACTIONS_OFF', 'CONSOLE_ACTIONS is not true at this service']
  const refused = [409, 'NOT_POSSIBLE', 'the token of this run is missing or wrong']
  const gone = [409, 'NOT_POSSIBLE', 'npm start, which would do it, does not answer']
  expect(answers).toEqual([
    ...[off, off],
    ...[
      [200, 'stop-broker', 'the broker is stopped'],
      [409, 'NOT_POSSIBLE', 'the wallet does not run'],
    ],
    ...[refused, refused, refused, refused],
    ...[gone, gone],
  ])
  expect(asked).toEqual(['stop-broker'])
})

// The last: from here on requests need a key.
test('a key needs the scope admin, no restriction, and gives no page the right to act', async () => {
  await using keys = openKeys(stack.databases.balances)
  const admin = await keys.create({ scopes: ['admin'] })
  await eventually(async () => expect((await act('resume-projection')).body.code).toBe('KEY_MISSING'))
  const codeOf = async (headers: Record<string, string>) => {
    const { status, body } = await act('resume-projection', headers)
    return [status, body.code]
  }
  expect(await codeOf(admin)).toEqual([200, undefined])
  expect(await codeOf(await keys.create({ scopes: ['read', 'write'] }))).toEqual([403, 'INSUFFICIENT_SCOPE'])
  expect(await codeOf(await keys.create({ accountIds: [eva] }))).toEqual([403, 'KEY_RESTRICTED'])
  for (const headers of [
    { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    { origin: 'https://evil.example' },
    { host: 'evil.example', origin: 'http://localhost' },
  ] as Record<string, string>[])
    expect(await codeOf({ ...admin, ...headers })).toEqual([403, 'ORIGIN_NOT_ALLOWED'])
})
