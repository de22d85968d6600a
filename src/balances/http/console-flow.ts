/** The live flow of the console, as server-sent events. */
import { type Static, Type } from '@sinclair/typebox'
import { canonicalId } from '../../contract/id'
import { Money, time } from '../../contract/schemas'
import { requestHeaders, responseHeaders } from '../../platform/http/headers'
import { MalformedRequest } from '../../platform/http/invalid'
import { admissionOf } from '../../platform/http/principal'
import { answer, route, type Trait } from '../../platform/http/route'
import { closed, closedObject, nullable, oneOf } from '../../platform/http/schemas'
import type { FlowEncoder } from '../console/flow-channel'
import type { FlowFeed } from '../console/flow-feed'
import { type hopNames, type Lane, outcomes } from '../console/flow-lanes'
import type { FlowSample } from '../console/flow-sample'
import { consoleTag } from './console-tag'
import { consoleFlowExamples } from './examples/console-flow'
import { id, showMoney } from './values'

const text = (description: string) => nullable(Type.String(), description)
const count = (description: string) => Type.Integer({ minimum: 0, description })
const ms = (description: string) => nullable(Type.Number(), description)

const hops = {
  requested: ms('The wallet received the request.'),
  decided: ms('The wallet decided on it. From the event itself where the record has no `ce_timeline`.'),
  appended: ms('The ledger and the outbox had committed it.'),
  published: ms('The relay took it up.'),
  received: ms('The consumer here took it up.'),
  applied: ms('It was committed here.'),
  visible: ms('Readers that wait were woken.'),
} satisfies Record<(typeof hopNames)[number], unknown>

const LaneEvent = closedObject('FlowLane', {
  key: Type.String({
    description: 'A lane with the same key is the same movement, with more or less of it.',
  }),
  name: text('The event. Null where the record cannot be read.'),
  transaction_id: text('The transaction, hold, release or change.'),
  hold_id: text('The hold that was placed, extended or ended.'),
  trace_id: text('The trace of the request.'),
  amount: nullable(Money, 'What was moved; 0 where nothing was. Null where it is not known.'),
  currency: text('ISO 4217.'),
  account_id_from: text('The account that pays.'),
  account_id_to: text('The account that is paid, or that it is about.'),
  topic: text(
    'With its prefix. Null, as are `partition` and `offset`, where the lane is of the tables: it was ' +
      'applied by another process, or before.',
  ),
  partition: nullable(Type.Integer({ minimum: 0 }), 'Its partition.'),
  offset: nullable(Type.Integer({ minimum: 0 }), 'Its offset.'),
  outcome: oneOf(
    outcomes,
    '`repeated`: it was delivered again, and changed nothing. `skipped`: no event that is known here.',
  ),
  dead_letter: nullable(
    closedObject('FlowDeadLetter', {
      id: text('As in `GET /dead-letters`. Null where it is not known yet.'),
      cause: Type.String({ description: 'As in `GET /dead-letters`.' }),
      detail: Type.String({ description: 'What is wrong with it.' }),
    }),
    'Where it could not be applied.',
  ),
  hops: closedObject('FlowHops', hops),
})

const SampleEvent = closedObject('FlowSample', {
  at: time('When it was taken.'),
  seconds: Type.Number({ description: 'Since the sample before.' }),
  records: count('Records that this process has applied since then.'),
  events_per_second: Type.Number({ description: 'The same, for each second.' }),
  offered: count('Records since then that the filter lets through.'),
  shown: count('How many of them were sent as lanes.'),
  sampled: Type.Boolean({ description: 'Whether some of them were not sent.' }),
  entries_elsewhere: count('Entries that other processes have applied since then.'),
  lag: nullable(
    Type.Array(
      closedObject('FlowLag', {
        topic: Type.String({ description: 'With its prefix.' }),
        partition: Type.Integer({ minimum: 0, description: 'Its number.' }),
        records: count('Records that are not applied yet.'),
        oldest_age_seconds: nullable(Type.Number(), 'How long ago the oldest of them was published.'),
      }),
    ),
    'By partition. Null while the log ends are not known.',
  ),
  latency_ms: nullable(
    closedObject('FlowLatency', {
      p50: Type.Number({ description: 'Half of them took no longer.' }),
      p99: Type.Number({ description: '99 of 100 took no longer.' }),
    }),
    'From the decision at the wallet to the commit here, of what was applied since then.',
  ),
  dead_letters: nullable(Type.Integer({ minimum: 0 }), 'How many there are, counted up to 10,001.'),
  paused: Type.Boolean({ description: 'Whether the projection is paused.' }),
  streams: count('Open streams of this process.'),
  rebuild: nullable(
    closedObject('FlowRebuild', {
      state: Type.String({ description: 'As in `GET /rebuild`.' }),
      progress: nullable(
        Type.Number({ minimum: 0, maximum: 1 }),
        'The share of the records that is applied.',
      ),
    }),
    'The current rebuild, or the last one. Null without one, or where it is not known.',
  ),
})

const ResetEvent = closedObject('FlowReset', {})

const presentLane = (lane: Lane): Static<typeof LaneEvent> => ({
  key: lane.key,
  name: lane.name,
  transaction_id: lane.transactionId,
  hold_id: lane.holdId,
  trace_id: lane.traceId,
  amount: lane.currency === null ? null : showMoney(lane.amountMinor, lane.currency),
  currency: lane.currency,
  account_id_from: lane.accountIdFrom,
  account_id_to: lane.accountIdTo,
  topic: lane.place?.topic ?? null,
  partition: lane.place?.partition ?? null,
  offset: lane.place ? Number(lane.place.offset) : null,
  outcome: lane.outcome,
  dead_letter: lane.deadLetter && {
    id: lane.deadLetter.id === null ? null : String(lane.deadLetter.id),
    cause: lane.deadLetter.cause,
    detail: lane.deadLetter.detail,
  },
  hops: lane.hops,
})

const rounded = (value: number) => Math.round(value * 10) / 10

const presentSample = (sample: FlowSample): Static<typeof SampleEvent> => ({
  at: new Date(sample.atMs).toISOString(),
  seconds: rounded(sample.seconds),
  records: sample.records,
  events_per_second: rounded(sample.records / sample.seconds),
  offered: sample.offered,
  shown: sample.shown,
  sampled: sample.shown < sample.offered,
  entries_elsewhere: sample.entriesElsewhere,
  lag:
    sample.lag?.map(({ oldestAgeSeconds, ...partition }) => ({
      ...partition,
      oldest_age_seconds: oldestAgeSeconds === null ? null : rounded(oldestAgeSeconds),
    })) ?? null,
  latency_ms: sample.latencyMs && { p50: rounded(sample.latencyMs.p50), p99: rounded(sample.latencyMs.p99) },
  dead_letters: sample.deadLetters,
  paused: sample.paused,
  streams: sample.streams,
  rebuild: sample.rebuild,
})

export const flowEncoder: FlowEncoder = { lane: presentLane, sample: presentSample }

const FlowQuery = Type.Object(
  {
    account: Type.Optional(id('Only lanes of this account.')),
    last_event_id: Type.Optional(Type.String({ description: 'As the header `Last-Event-ID`, for people.' })),
  },
  closed,
)

const resumable: Trait = { requestHeaders: [requestHeaders.lastEventId], responseHeaders: [], problems: [] }

export const consoleFlowRoutes = (flow: Pick<FlowFeed, 'open'>) => [
  route({
    method: 'GET',
    path: '/console/flow',
    id: 'streamFlow',
    scope: 'read',
    tag: consoleTag,
    summary:
      'Records as they are applied: some of them with the times of their hops, and the rest as counts.',
    description:
      'Events: `lane` (a record, or a movement of the tables), `sample` (once a second), `reset` (lanes ' +
      'were missed). It begins with the newest movements. At most about 20 lanes a second are sent, and ' +
      'all dead letters up to 50 a second; a sample counts all.',
    query: FlowQuery,
    responses: {
      200: answer(
        { mediaType: 'text/event-stream', schema: Type.Union([LaneEvent, SampleEvent, ResetEvent]) },
        {
          headers: [responseHeaders.cacheControl('no-store'), responseHeaders.accelBuffering],
          description: 'A stream that does not end. The schema is that of each event.',
        },
      ),
    },
    traits: [resumable],
    examples: consoleFlowExamples.streamFlow,
    handle({ query, request }) {
      const account = query.account === undefined ? undefined : canonicalId(query.account)
      return flow.open({ account, after: parseLastEventId(request, query) }, admissionOf(request))
    },
  }),
]

function parseLastEventId(request: Request, query: Static<typeof FlowQuery>): string | undefined {
  const id = request.headers.get('last-event-id') || query.last_event_id
  if (!id) return undefined
  if (!/^[0-9a-f]{8}-\d{1,15}$/.test(id))
    throw new MalformedRequest('Last-Event-ID is not an id of this stream; begin without one')
  return id
}
