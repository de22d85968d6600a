/** Dead letters: which there are, why, and what becomes of them when they are redriven. */

import { type Static, type TProperties, Type } from '@sinclair/typebox'
import { problems } from '../../contract/problems'
import { time } from '../../contract/schemas'
import { refuse } from '../../platform/http/app'
import { encodeCursor, type Filter } from '../../platform/http/cursor'
import { responseHeaders } from '../../platform/http/headers'
import { InvalidValue } from '../../platform/http/invalid'
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
import type { DeadLetterGroup, ListedLetter } from '../dead-letters/dead-letters-store'
import type { DeadLetterQueries } from '../dead-letters/queries'
import {
  type RedriveReport,
  type RedriveSelection,
  redriveMax,
  redriveOutcomes,
} from '../dead-letters/redrive'
import type { Once } from '../idempotency/once'
import { deadLetterExamples } from './examples/dead-letters'
import { answerOnce } from './keyed'
import { parseRowId, rowIdPattern } from './row-ids'
import { revalidated, revalidatedHeaders } from './values'

const letters = {
  cause: Type.Optional(
    Type.String({
      pattern: '^[a-z_]{1,50}$',
      expected: 'must be a cause such as not_json',
      description: 'Those of this cause.',
      examples: ['not_json'],
    }),
  ),
  topic: Type.Optional(
    Type.String({
      pattern: '^[a-zA-Z0-9._-]{1,249}$',
      expected: 'must be the name of a topic',
      description: 'Those of this topic.',
      examples: ['balances'],
    }),
  ),
}
const DeadLetterQuery = Type.Object({ ...letters, ...paging }, closed)
const NoQuery = Type.Object({}, closed)
const NewRedrive = closedObject('NewRedrive', {
  ids: Type.Optional(
    Type.Array(Type.String({ pattern: '^\\d{1,18}$', expected: 'must be the id of a dead letter' }), {
      minItems: 1,
      maxItems: redriveMax,
      expected: `must be a list of 1 to ${redriveMax} ids`,
      description: 'These. One of `ids`, `all` and `cause` is required.',
    }),
  ),
  all: Type.Optional(Type.Literal(true, { expected: 'must be true', description: 'All there are.' })),
  ...letters,
  cursor: Type.Optional(Type.String({ description: '`next_cursor` of the answer before.' })),
  dry_run: Type.Optional(
    Type.Boolean({ expected: 'must be true or false', description: 'Only report what would happen.' }),
  ),
})

/** Bytes as text where they are UTF-8, else in base64 under another name. Null has the name of the text. */
const bytes = <Name extends string>(name: Name) => ({
  [name]: Type.Optional(nullable(Type.String(), 'As text, if it is UTF-8.')),
  [`${name}_base64`]: Type.Optional(
    Type.String({ contentEncoding: 'base64', description: 'Instead, if it is not.' }),
  ),
})
const count = (description: string) => Type.Integer({ minimum: 0, description })

const DeadLetterResponse = closedObject('DeadLetter', {
  id: Type.String({ description: 'A number, as text.' }),
  topic: Type.String({ description: 'Of the record.' }),
  partition: count('Of the record.'),
  offset: count('Of the record.'),
  offset_last: nullable(count('The last one, where a whole batch cannot be read.')),
  cause: Type.String({ description: 'For programs.', examples: ['not_json'] }),
  detail: Type.String({ description: 'For people.' }),
  ...(bytes('key') as TProperties),
  ...(bytes('value') as TProperties),
  key_bytes: nullable(count('Length of the whole key.')),
  value_bytes: nullable(count('Length of the whole value.')),
  truncated: Type.Boolean({ description: 'Whether the list leaves out a part; `href` has it all.' }),
  href: Type.String({ format: 'uri-reference', description: 'The path of the whole letter.' }),
  headers: Type.Array(
    closedObject('RecordHeader', { ...(bytes('name') as TProperties), ...(bytes('value') as TProperties) }),
    { description: 'Of the record.' },
  ),
  record_at: nullable(time('The timestamp of the record.')),
  recorded_at: time('When it failed first.'),
  attempts: count('How often it was processed.'),
  sent_at: nullable(time('When the newest attempt was published to the dead-letter topic.')),
})

/** Key and value may be cut in a list; `href` has the whole letter. */
const presentDeadLetter = (letter: ListedLetter): Static<typeof DeadLetterResponse> => ({
  id: String(letter.id),
  topic: letter.topic,
  partition: letter.partition,
  offset: Number(letter.recordOffset),
  offset_last: letter.lastOffset === null ? null : Number(letter.lastOffset),
  cause: letter.cause,
  detail: letter.detail,
  ...presentBytes('key', letter.key, letter.cut?.keyBytes),
  ...presentBytes('value', letter.value, letter.cut?.valueBytes),
  key_bytes: letter.cut ? letter.cut.keyBytes : (letter.key?.length ?? null),
  value_bytes: letter.cut ? letter.cut.valueBytes : (letter.value?.length ?? null),
  truncated: letter.cut !== undefined,
  href: `/dead-letters/${letter.id}`,
  headers: letter.headers.map(([name, value]) => ({
    ...presentBytes('name', name),
    ...presentBytes('value', value),
  })),
  record_at: letter.recordAt,
  recorded_at: letter.recordedAt,
  attempts: letter.attempts,
  sent_at: letter.sentAt,
})

function presentBytes<Name extends 'key' | 'name' | 'value'>(
  name: Name,
  bytes: Buffer | null,
  /** Of the whole, where `bytes` may be only its beginning. */
  length: number | null = null,
): Record<string, string | null> {
  if (!bytes) return { [name]: null }
  // The end may be in the middle of a character.
  const cuts = (length ?? 0) > bytes.length ? [0, 1, 2, 3] : [0]
  for (const cut of cuts) {
    const part = bytes.subarray(0, bytes.length - cut)
    const text = part.toString('utf8')
    if (Buffer.from(text).equals(part)) return { [name]: text }
  }
  return { [`${name}_base64`]: bytes.toString('base64') }
}

const DeadLetterGroupResponse = closedObject('DeadLetterGroup', {
  cause: Type.String({ description: 'For programs.' }),
  topic: Type.String({ description: 'The topic of the records.' }),
  count: Type.Integer({ minimum: 1, description: 'How many there are.' }),
  first_recorded_at: time('Of the oldest.'),
  last_recorded_at: time('Of the newest.'),
  example_id: Type.String({ description: 'One of them.' }),
})

const presentGroup = (group: DeadLetterGroup): Static<typeof DeadLetterGroupResponse> => ({
  cause: group.cause,
  topic: group.topic,
  count: group.count,
  first_recorded_at: group.firstAt,
  last_recorded_at: group.lastAt,
  example_id: String(group.exampleId),
})

const RedriveResponse = listResponse(
  'Redrive',
  closedObject('RedriveResult', {
    id: Type.String({ description: 'The dead letter.' }),
    outcome: oneOf(redriveOutcomes, 'What became of it.'),
    cause: nullable(Type.String(), 'Why it fails still.'),
    detail: nullable(Type.String(), 'The same, for people.'),
  }),
  {
    dry_run: Type.Boolean({ description: 'Whether nothing was done.' }),
    counts: Type.Record(oneOf(redriveOutcomes), count('How many.'), {
      ...closed,
      description: 'By outcome.',
    }),
  },
)

/** A reason may quote a record. */
const reasonLengthMax = 500

const presentRedrive = (
  { letters, next }: RedriveReport,
  { dryRun, filter }: { dryRun: boolean; filter: Filter },
): Static<typeof RedriveResponse> => ({
  dry_run: dryRun,
  counts: Object.fromEntries(
    redriveOutcomes.map((outcome) => [
      outcome,
      letters.filter((letter) => letter.outcome === outcome).length,
    ]),
  ),
  data: letters.map(({ id, outcome, reason }) => ({
    id: String(id),
    outcome,
    cause: reason?.cause ?? null,
    detail: reason?.detail.slice(0, reasonLengthMax) ?? null,
  })),
  next_cursor: next === undefined ? null : encodeCursor(String(next), filter),
})

const respondToRedrive = (body: Static<typeof RedriveResponse>, headers: Record<string, string>): Response =>
  Response.json(body, { headers: { 'cache-control': 'no-store', ...headers } })

const tag = { name: 'Dead letters', description: 'Records that could not be read or applied.' }
const headers = [...pageHeaders, ...revalidatedHeaders]

export const deadLetterRoutes = (
  deadLetters: DeadLetterQueries,
  redrive: (selection: RedriveSelection, dryRun: boolean) => Promise<RedriveReport>,
  once: Once,
) => [
  route({
    method: 'GET',
    path: '/dead-letters',
    id: 'listDeadLetters',
    scope: 'admin',
    tag,
    summary: 'Records that could not be read or applied, newest first.',
    query: DeadLetterQuery,
    responses: { 200: answer(listResponse('DeadLetters', DeadLetterResponse), { headers }) },
    examples: deadLetterExamples.listDeadLetters,
    async handle({ query: { limit, cursor, cause, topic }, request }) {
      const size = pageSizeOf(limit)
      const filter = { letters: '', cause, topic }
      const [before] = parseNumbers(cursor, filter, rowIdPattern) ?? []
      const rows = await deadLetters.list({ cause, topic }, { before, limit: size + 1 })
      const { page, next } = pageOf(rows, size, { filter, positionOf: (last) => String(last.id) })
      return respondWithPage(request, { data: page.map(presentDeadLetter) }, next, revalidated)
    },
  }),
  route({
    method: 'GET',
    path: '/dead-letters/causes',
    id: 'listDeadLetterCauses',
    scope: 'admin',
    tag,
    summary: 'How many dead letters there are of each cause and topic, with an example.',
    query: NoQuery,
    responses: {
      200: answer(listResponse('DeadLetterGroups', DeadLetterGroupResponse), {
        headers: revalidatedHeaders,
      }),
    },
    examples: deadLetterExamples.listDeadLetterCauses,
    handle: async ({ request }) =>
      respondWithPage(request, { data: (await deadLetters.groups()).map(presentGroup) }, null, revalidated),
  }),
  route({
    method: 'GET',
    path: '/dead-letters/:id',
    id: 'getDeadLetter',
    scope: 'admin',
    tag,
    summary: 'A dead letter in full.',
    params: { id: Type.String({ description: 'The dead letter.' }) },
    responses: { 200: answer(DeadLetterResponse, { headers: revalidatedHeaders }) },
    problems: [problems.deadLetterNotFound],
    examples: deadLetterExamples.getDeadLetter,
    async handle({ params: { id }, request }) {
      const row = parseRowId(id)
      const letter = row === undefined ? undefined : await deadLetters.find(row)
      if (letter) return Response.json(presentDeadLetter(letter), { headers: revalidated })
      return refuse(request, problems.deadLetterNotFound, { detail: `there is no dead letter ${id}` })
    },
  }),
  route({
    method: 'POST',
    path: '/dead-letters/redrive',
    id: 'redriveDeadLetters',
    scope: 'admin',
    tag,
    summary: 'Reprocesses dead letters; those that can be applied leave the list.',
    body: NewRedrive,
    responses: {
      200: answer(RedriveResponse, { headers: [responseHeaders.cacheControl('no-store')] }),
    },
    examples: deadLetterExamples.redriveDeadLetters,
    async handle({ body, ...call }) {
      const { dry_run: dryRun = false } = body
      const { selection, filter } = parseRedrive(body)
      const answerNow = async () => presentRedrive(await redrive(selection, dryRun), { dryRun, filter })
      if (dryRun) return respondToRedrive(await answerNow(), {})
      return answerOnce<Static<typeof RedriveResponse>>(once, call, {
        meaning: selection,
        act: async (store) => store(await answerNow()),
        present: respondToRedrive,
      })
    },
  }),
]

/** `filter` is what a cursor of the answer is sealed to. */
function parseRedrive({ ids, all, cause, topic, cursor }: Static<typeof NewRedrive>): {
  selection: RedriveSelection
  filter: Filter
} {
  const filter = { redrive: '', cause, topic }
  if ([ids, all, cause].filter((one) => one !== undefined).length !== 1)
    throw new InvalidValue({
      pointer: '#',
      detail: 'say which letters are meant by one of ids, cause and all',
    })
  if (ids && (topic !== undefined || cursor !== undefined))
    throw new InvalidValue({ pointer: '#/ids', detail: 'ids go with neither topic nor cursor' })
  if (ids) return { selection: { ids: [...new Set(ids.map(BigInt))] }, filter }
  const [after] = parseNumbers(cursor, filter, rowIdPattern) ?? []
  return { selection: { filter: { cause, topic }, after }, filter }
}
