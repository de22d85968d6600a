/** Reports of `reconcile --store`: the evidence that both sides agreed, or where they did not. */
import { type Static, Type } from '@sinclair/typebox'
import { problems } from '../../contract/problems'
import { time } from '../../contract/schemas'
import { refuse } from '../../platform/http/app'
import {
  listResponse,
  pageHeaders,
  pageOf,
  pageSizeOf,
  paging,
  parseNumbers,
  respondWithPage,
} from '../../platform/http/list'
import { answer, route } from '../../platform/http/route'
import { closed, closedObject, nullable, oneOf } from '../../platform/http/schemas'
import type { ReconciliationQueries } from '../reconciliations/queries'
import type { ListedReconciliation, Reconciliation } from '../reconciliations/reconciliations-store'
import { reconciliationExamples } from './examples/reconciliations'
import { parseRowId, rowIdPattern } from './row-ids'
import { revalidated, revalidatedHeaders } from './values'

const results = ['clean', 'different', 'pending'] as const

const ReconciliationQuery = Type.Object(
  { result: Type.Optional(oneOf(results, 'Those with this result.')), ...paging },
  closed,
)

const members = {
  id: Type.String({ description: 'A number, as text.' }),
  result: oneOf(
    results,
    '`clean`: no difference; `different`; `pending`: none so far, but events were in flight.',
  ),
  watermark: time('Everything committed by then was compared.'),
  differences_total: Type.Integer({ minimum: 0, description: 'How many there were.' }),
  signed_by: nullable(
    Type.String(),
    'The thumbprint (RFC 7638) of the key that signed the report; null where there was none.',
  ),
  stored_at: time('When the report was kept.'),
  href: Type.String({ format: 'uri-reference', description: 'The path of the report.' }),
}
const ReconciliationResponse = closedObject('Reconciliation', members)
const ReconciliationReportResponse = closedObject('ReconciliationReport', {
  ...members,
  report: Type.Record(Type.String(), Type.Unknown(), {
    description:
      'What was read, up to where, by which version, and what was found, as `saldo reconcile --json`.',
  }),
  jws: nullable(Type.String(), 'The same, signed: JWS in compact serialization (RFC 7515) with Ed25519.'),
})

const present = (row: ListedReconciliation): Static<typeof ReconciliationResponse> => ({
  id: String(row.id),
  result: row.result as (typeof results)[number],
  watermark: row.watermark,
  differences_total: row.differencesTotal,
  signed_by: row.keyId,
  stored_at: row.storedAt,
  href: `/reconciliations/${row.id}`,
})

const presentReport = (row: Reconciliation): Static<typeof ReconciliationReportResponse> => ({
  ...present(row),
  report: JSON.parse(row.report),
  jws: row.jws,
})

const tag = { name: 'Reconciliations', description: 'Reports of comparisons with the ledger.' }

export const reconciliationRoutes = (reconciliations: ReconciliationQueries) => [
  route({
    method: 'GET',
    path: '/reconciliations',
    id: 'listReconciliations',
    scope: 'read',
    tag,
    summary: 'Reports of comparisons with the ledger, newest first.',
    query: ReconciliationQuery,
    responses: {
      200: answer(listResponse('Reconciliations', ReconciliationResponse), {
        headers: [...pageHeaders, ...revalidatedHeaders],
      }),
    },
    examples: reconciliationExamples.listReconciliations,
    async handle({ query: { limit, cursor, result }, request }) {
      const size = pageSizeOf(limit)
      const filter = { list: 'reconciliations', result }
      const [before] = parseNumbers(cursor, filter, rowIdPattern) ?? []
      const rows = await reconciliations.list(result, { before, limit: size + 1 })
      const { page, next } = pageOf(rows, size, { filter, positionOf: (last) => String(last.id) })
      return respondWithPage(request, { data: page.map(present) }, next, revalidated)
    },
  }),
  route({
    method: 'GET',
    path: '/reconciliations/:id',
    id: 'getReconciliation',
    scope: 'read',
    tag,
    summary: 'A report in full, with its signature.',
    params: { id: Type.String({ description: 'The report.' }) },
    responses: { 200: answer(ReconciliationReportResponse, { headers: revalidatedHeaders }) },
    problems: [problems.reconciliationNotFound],
    examples: reconciliationExamples.getReconciliation,
    async handle({ params: { id }, request }) {
      const number = parseRowId(id)
      const row = number === undefined ? undefined : await reconciliations.find(number)
      if (row) return Response.json(presentReport(row), { headers: revalidated })
      return refuse(request, problems.reconciliationNotFound, { detail: `there is no report ${id}` })
    },
  }),
]
