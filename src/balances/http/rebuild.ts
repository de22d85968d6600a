/** The rebuild of the read model: how far it is, and requests that start, swap, roll back or cancel it. */

import { type Static, Type } from '@sinclair/typebox'
import { problems } from '../../contract/problems'
import { time } from '../../contract/schemas'
import { refuse } from '../../platform/http/app'
import { responseHeaders } from '../../platform/http/headers'
import { InvalidValue } from '../../platform/http/invalid'
import { answer, route } from '../../platform/http/route'
import { closedObject, nullable, oneOf } from '../../platform/http/schemas'
import type { Once } from '../idempotency/once'
import type { RebuildCoordinator, RebuildOutcome } from '../rebuild/coordinator'
import { presentRebuild } from '../rebuild/presentation'
import { rebuildStates } from '../rebuild/rebuild-store'
import {
  contradictionIn,
  type RebuildRefusal,
  type RebuildRequest,
  rebuildActions,
} from '../rebuild/transitions'
import { rebuildExamples } from './examples/rebuild'
import { answerOnce } from './keyed'

const NewRebuild = closedObject('NewRebuild', {
  action: Type.Optional(oneOf(rebuildActions, '`start` when absent.')),
  manual: Type.Optional(Type.Boolean({ description: 'Start: wait for a swap by hand.' })),
  force: Type.Optional(Type.Boolean({ description: 'Start or swap: also when the tables differ.' })),
})

const count = (description: string) => Type.Integer({ minimum: 0, description })
const RebuildResponse = Type.Union([
  closedObject('NoRebuild', { state: Type.Literal('none', { description: 'There was none.' }) }),
  closedObject('Rebuild', {
    state: oneOf(rebuildStates, 'How far it is.'),
    records: closedObject('RebuildRecords', {
      done: count('Read so far.'),
      total: count('In the topics when it began.'),
    }),
    per_second: count('Records, on average since it began.'),
    seconds_left: nullable(count('Estimated by that average.'), 'Null before the first record.'),
    divergence: nullable(
      closedObject('RebuildDivergence', {
        accounts: count('That differ from the live tables.'),
        entries: count('That differ from the live tables.'),
        clients: count('That differ from the live tables.'),
        accounts_added: count('That only the new tables have.'),
        entries_added: count('That only the new tables have.'),
        examples: Type.Array(Type.String(), { description: 'Some differences, in words.' }),
      }),
      'Null before the tables were compared.',
    ),
    message: nullable(Type.String(), 'How it ended, or why it waits.'),
    manual: Type.Boolean({ description: 'Whether it waits for a swap by hand.' }),
    force: Type.Boolean({ description: 'Whether it is swapped although the tables differ.' }),
    started_at: time('When it began.'),
    ended_at: nullable(time('When it ended.')),
  }),
])

const tag = { name: 'Rebuild', description: 'The read model made new from the events, while it serves.' }
const headers = [responseHeaders.cacheControl('no-store')]

type Rebuilding = Pick<RebuildCoordinator, 'status' | 'request'>

export const rebuildRoutes = (rebuilding: Rebuilding, once: Once) => [
  route({
    method: 'GET',
    path: '/rebuild',
    id: 'getRebuild',
    scope: 'admin',
    tag,
    summary: 'The newest rebuild: how far it is, what differs, and how it ended.',
    responses: { 200: answer(RebuildResponse, { headers }) },
    examples: rebuildExamples.getRebuild,
    handle: async () => answerWith(presentRebuild(await rebuilding.status()), 200, {}),
  }),
  route({
    method: 'POST',
    path: '/rebuild',
    id: 'requestRebuild',
    scope: 'admin',
    tag,
    summary: 'Starts a rebuild; swaps, rolls back or cancels one.',
    body: NewRebuild,
    responses: { 202: answer(RebuildResponse, { headers }) },
    examples: rebuildExamples.requestRebuild,
    problems: [problems.rebuildConflict],
    handle({ body, ...call }) {
      const command = parseRebuild(body)
      return answerOnce<RebuildAnswer>(once, call, {
        meaning: command,
        act: (store) => rebuilding.request(command, (outcome, tx) => store(answerOf(outcome), tx)),
        present: (stored, headers) =>
          'refusal' in stored
            ? refuse(call.request, problems.rebuildConflict, { detail: refusals[stored.refusal], headers })
            : answerWith(stored.rebuild, 202, headers),
      })
    },
  }),
]

/** As it is stored under a key. */
type RebuildAnswer = { rebuild: Static<typeof RebuildResponse> } | { refusal: RebuildRefusal }

const answerOf = (outcome: RebuildOutcome): RebuildAnswer =>
  outcome.kind === 'refused' ? { refusal: outcome.refusal } : { rebuild: presentRebuild(outcome.progress) }

const answerWith = (
  body: Static<typeof RebuildResponse>,
  status: number,
  headers: Record<string, string>,
): Response => Response.json(body, { status, headers: { 'cache-control': 'no-store', ...headers } })

function parseRebuild({
  action = 'start',
  manual = false,
  force = false,
}: Static<typeof NewRebuild>): RebuildRequest {
  const request = { action, manual, force }
  const fault = contradictionIn(request)
  if (fault)
    throw new InvalidValue({ pointer: `#/${fault.member}`, detail: `has no meaning with action ${action}` })
  return request
}

const refusals = {
  already_building: 'a rebuild is building: wait for it, or cancel it first',
  nothing_to_swap: 'there is no rebuild that is ready to be swapped',
  diverges:
    'the rebuild was refused because the tables differ (see GET /rebuild): swap it with force, or cancel it',
  nothing_to_roll_back: 'no previous generation to roll back to',
  nothing_to_cancel: 'there is no rebuild that could be cancelled',
  owner_needed:
    'a rebuild needs the owner of the tables, which this service does not have: ' +
    'set MIGRATION_DATABASE_URL, or run `npm run rebuild` with it',
} as const satisfies Record<RebuildRefusal, string>
