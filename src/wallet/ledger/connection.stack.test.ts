/**
 * What becomes of a movement whose caller breaks the connection, or the rules of HTTP: nothing, as
 * far as it is known in time; the key tells.
 */
import { expect, test } from 'bun:test'
import { type RawPart, rawRequest } from '../../testing/raw-http'
import { type Answer, startStack } from '../../testing/stack'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const amount = '{"amount":1}'
const headers = 'Host: localhost\r\nContent-Type: application/json\r\n'
const begin = `POST /accounts/${eva}/deposits HTTP/1.1\r\n${headers}`
const whole = `${begin}Content-Length: ${amount.length}\r\n\r\n${amount}`
const chunked = `${begin}Transfer-Encoding: chunked\r\n`
const chunks = `${amount.length.toString(16)}\r\n${amount}\r\n0\r\n`

const unfinished: [string, RawPart[]][] = [
  ['a second request behind the first', [whole + whole]],
  ['a read behind the first', [`${whole}GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n`]],
  ['something that is no request behind the body', [`${whole}\r\n\r\n`]],
  ['a line behind the body', [`${whole}GARBAGE\r\n\r\n`]],
  ['a trailer', [`${chunked}Trailer: X-Sum\r\n\r\n${chunks}X-Sum: 1\r\n\r\n`]],
  ['half a body, and our side closed', [`${begin}Content-Length: 50\r\n\r\n${amount}`, 'end']],
  ['a chunk of another length', [`${chunked}\r\n3\r\n${amount}\r\n0\r\n\r\n`]],
  [
    'chunks without an end, and our side closed',
    [`${chunked}\r\n${amount.length.toString(16)}\r\n${amount}\r\n`, 'end'],
  ],
]

test.each(unfinished)('%s: refused or unanswered, and no money has moved', async (_, parts) => {
  await using stack = await startStack({ start: ['wallet'] })
  const { port } = stack.wallet
  const answer = await rawRequest(port, parts)
  expect([answer.status === 0 || answer.status === 400, answer.isClosed]).toEqual([true, true])
  // Everything queued before is done first.
  const after = await stack.wallet.post(`/accounts/${eva}/deposits`, { amount: 1 })
  expect(after.body).toMatchObject({ version_account_id_to: 5 })
})

test('our side closed right behind the body: it may have happened, once, and the key tells', async () => {
  await using stack = await startStack({ start: ['wallet'] })
  const { wallet } = stack
  for (let round = 1; round <= 20; round++) {
    const key = `half-closed-${round}`
    const keyed = whole.replace('Content-Type', `Idempotency-Key: ${key}\r\nContent-Type`)
    const answer = await rawRequest(wallet.port, [keyed, 'end'])
    expect(answer.isClosed).toBe(true)
    const again = async (): Promise<Answer> => {
      const answered = await wallet.post(
        `/accounts/${eva}/deposits`,
        { amount: 1 },
        { 'idempotency-key': key },
      )
      return answered.status === 409 ? again() : answered
    }
    expect((await again()).status).toBe(201)
    expect((await wallet.get(`/accounts/${eva}`)).body).toMatchObject({
      version: 4 + round,
      balance: 800 + round,
    })
  }
})
