/** Large movements, recorded by a consumer of its own. Neither tokens nor freshness headers apply to it. */
import { type Static, Type } from '@sinclair/typebox'
import { canonicalId } from '../../contract/id'
import { presentMoney } from '../../contract/money'
import { time } from '../../contract/schemas'
import {
  listResponse,
  pageHeaders,
  pageOf,
  pageSizeOf,
  paging,
  parsePosition,
  respondWithPage,
} from '../../platform/http/list'
import { answer, route } from '../../platform/http/route'
import { closed, closedObject, described, nullable } from '../../platform/http/schemas'
import type { LargeMovement, LargeMovementCursor } from '../reactions/large-movements-store'
import { CurrencyCode, id, MoneyOrUnknown, revalidated, revalidatedHeaders } from './values'

const LargeMovementsQuery = Type.Object(
  { account_id: Type.Optional(id('To or from this account.')), ...paging },
  closed,
)

const LargeMovementResponse = closedObject('LargeMovement', {
  transaction_id: Type.String({ description: 'The transaction.' }),
  leg: Type.Integer({ minimum: 0, description: 'Which leg of it, from 0; 0 where it has no other.' }),
  account_id_from: Type.String({ description: 'The account that was debited.' }),
  account_id_to: Type.String({ description: 'The account that was credited.' }),
  amount: described(MoneyOrUnknown, 'What was moved.'),
  currency: CurrencyCode,
  reference: nullable(Type.String(), "A text of the payer's own."),
  created_at: time('When the transaction was written.'),
})

const presentLargeMovement = (movement: LargeMovement): Static<typeof LargeMovementResponse> => ({
  transaction_id: movement.transactionId,
  leg: movement.leg,
  account_id_from: movement.accountIdFrom,
  account_id_to: movement.accountIdTo,
  amount: presentMoney(movement.amountMinor, movement.currency),
  currency: movement.currency,
  reference: movement.reference,
  created_at: movement.createdAt,
})

const formatMovement = ({ transactionId, leg }: LargeMovement): string => `${leg}:${transactionId}`

/** Earlier cursors have the transaction alone. */
function parseMovement(position: string): LargeMovementCursor {
  const [, leg, transactionId] = /^(\d{1,4}):(.*)$/s.exec(position) ?? []
  return { transactionId: transactionId ?? position, leg: Number(leg ?? 0) }
}

/** By account, where one is given, newest first. */
export type ListLargeMovements = (
  accountId: string | undefined,
  page: { after: LargeMovementCursor | undefined; limit: number },
) => Promise<LargeMovement[]>

export const largeMovementRoutes = (largeMovements: ListLargeMovements) => [
  route({
    method: 'GET',
    path: '/large-movements',
    id: 'listLargeMovements',
    scope: 'read',
    tag: { name: 'Large movements', description: 'Recorded by a consumer of their own.' },
    summary: 'Large movements, newest first.',
    query: LargeMovementsQuery,
    responses: {
      200: answer(listResponse('LargeMovements', LargeMovementResponse), {
        headers: [...pageHeaders, ...revalidatedHeaders],
      }),
    },
    examples: {
      ofEva: {
        query: { account_id: 'd6a41403-bbd0-11ee-8a24-0242ac120003', limit: '10' },
        status: 200,
        response: { data: [], next_cursor: null },
      },
    },
    subjects: ({ query: { account_id } }) => (account_id === undefined ? [] : [{ account: account_id }]),
    async handle({ query: { limit, cursor, account_id }, request }) {
      const accountId = account_id && canonicalId(account_id)
      const filter = { list: 'large-movements', accountId }
      const size = pageSizeOf(limit)
      const position = parsePosition(cursor, filter)
      const after = position === undefined ? undefined : parseMovement(position)
      const rows = await largeMovements(accountId, { after, limit: size + 1 })
      const { page, next } = pageOf(rows, size, { filter, positionOf: formatMovement })
      return respondWithPage(request, { data: page.map(presentLargeMovement) }, next, revalidated)
    },
  }),
]
