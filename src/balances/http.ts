/** The read side over HTTP. The only file of balances that knows status codes and snake_case. */
import { Type } from '@sinclair/typebox'
import { parseJson } from '../contract/json'
import { presentMoney } from '../contract/money'
import { problems } from '../contract/problems'
import { reaching } from '../platform/database'
import { createHttp, type Health, refuse } from '../platform/http'
import type { Log } from '../platform/log'
import type { Balance } from './store/balances'
import type { DeadLetter } from './store/dead-letters'

const accountIdLengthMax = 255

// As text, because that is what a query is made of.
const DeadLetterQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.String({ pattern: '^([1-9]\\d?|1\\d\\d|200)$', wanted: 'must be a whole number from 1 to 200' }),
    ),
  },
  { additionalProperties: false },
)
const deadLetterLimit = 50

export type BalancesHttp = {
  findBalance: (accountId: string) => Promise<Balance | undefined>
  listDeadLetters: (limit: number) => Promise<DeadLetter[]>
  log: Log
  health: Health
  isReady: () => boolean
}

export function balancesHttp({ findBalance, listDeadLetters, log, health, isReady }: BalancesHttp) {
  const answerBalance = async ({ params, request }: { params: { account_id: string | null }; request: Request }) => {
    const accountId = params.account_id
    const balance = canExist(accountId) ? await reaching(findBalance(accountId)) : undefined
    if (!balance)
      return refuse(request, problems.accountNotFound, {
        detail: `account ${accountId ?? 'of that name'} is not known here; if it was opened just now, its event may not have arrived yet`,
      })

    const headers = { etag: `"${balance.version}"`, 'cache-control': 'private, no-cache' }
    if (isMatch(request.headers.get('if-none-match'), headers.etag)) return new Response(null, { status: 304, headers })
    return Response.json(presentBalance(balance), { headers })
  }

  return (
    createHttp({ log, parseJson, problems: [problems.accountNotFound], health, isReady })
      .get('/balances/:account_id', answerBalance)
      // The course's other spelling.
      .get('/accounts/:account_id', answerBalance)
      .get(
        '/dead-letters',
        async ({ query }) => {
          const letters = await reaching(listDeadLetters(Number(query.limit ?? deadLetterLimit)))
          return Response.json({ data: letters.map(presentDeadLetter) }, { headers: { 'cache-control': 'no-store' } })
        },
        { query: DeadLetterQuery },
      )
  )
}

/** Ids are opaque to the read side. What no event can have brought is not asked for; null is what the router makes of a path that is not UTF-8. */
const canExist = (accountId: string | null): accountId is string =>
  accountId !== null && accountId.length <= accountIdLengthMax && accountId.isWellFormed() && !accountId.includes('\0')

/** If-None-Match (RFC 9110): any of a list of entity tags, compared weakly, or `*` for whatever there is. */
function isMatch(header: string | null, etag: string): boolean {
  if (header === null) return false
  if (header.trim() === '*') return true
  const tags: readonly string[] = header.match(/"[^"]*"/g) ?? []
  return tags.includes(etag)
}

const presentBalance = (balance: Balance) => ({
  id: balance.accountId,
  account_id: balance.accountId,
  balance: presentMoney(balance.balanceMinor, balance.currency),
  currency: balance.currency,
  version: Number(balance.version),
  client_id: balance.clientId,
  owner_name: balance.ownerName,
  created_at: balance.createdAt,
  updated_at: balance.updatedAt,
})

/** Key and value are shown as text where they are text, else in base64: what cannot be read need not be UTF-8. */
const presentDeadLetter = (letter: DeadLetter) => ({
  id: String(letter.id),
  topic: letter.topic,
  partition: letter.partition,
  offset: Number(letter.recordOffset),
  cause: letter.cause,
  detail: letter.detail,
  ...presentBytes('key', letter.key),
  ...presentBytes('value', letter.value),
  headers: letter.headers,
  record_at: letter.recordAt,
  recorded_at: letter.recordedAt,
})

function presentBytes<Name extends 'key' | 'value'>(name: Name, bytes: Buffer | null): Record<string, string | null> {
  if (!bytes) return { [name]: null }
  const text = bytes.toString('utf8')
  return Buffer.from(text).equals(bytes) ? { [name]: text } : { [`${name}_base64`]: bytes.toString('base64') }
}
