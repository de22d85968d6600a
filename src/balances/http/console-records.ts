/** What became of a record here, for the console. */

import { type Static, Type } from '@sinclair/typebox'
import { time } from '../../contract/schemas'
import { responseHeaders } from '../../platform/http/headers'
import { InvalidValue } from '../../platform/http/invalid'
import { answer, route } from '../../platform/http/route'
import { closedObject, documentedAs, nullable, oneOf } from '../../platform/http/schemas'
import type { RecordOutcome, Records } from '../console/records'
import { consoleTag } from './console-tag'
import { consoleRecordExamples } from './examples/console-records'

const count = (description: string) => Type.Integer({ minimum: 0, description })
const number = (description: string) =>
  Type.String({ description, [documentedAs]: { type: 'integer', minimum: 0 } })

const RecordResponse = closedObject('RecordOutcome', {
  topic: Type.String({ description: 'With the prefix of the installation.' }),
  partition: count('Of the record.'),
  offset: count('Of the record.'),
  consumed: Type.Boolean({ description: 'Whether balances are made from this topic at all.' }),
  applied: Type.Boolean({
    description: 'Whether it took effect, repeated or was superseded by what did. A dead letter did not.',
  }),
  next_offset: nullable(count('The next record of the partition that is due.'), 'Null before the first.'),
  end_offset: nullable(count('Where the log ended, a second ago or so.'), 'Null while the broker is away.'),
  dead_letter: nullable(
    closedObject('RecordLetter', {
      id: Type.String({ description: 'The dead letter.' }),
      cause: Type.String({ description: 'For programs.', examples: ['not_json'] }),
      detail: Type.String({ description: 'For people. At most 500 characters.' }),
      recorded_at: time('When it failed first.'),
    }),
    'Null unless it could not be read or applied.',
  ),
  paused: Type.Boolean({ description: 'Whether the projection was paused by hand, in this process.' }),
  consumer: closedObject('ConsumerHealth', {
    status: oneOf(['pass', 'warn', 'fail'], 'As `/readyz` has it.'),
    output: nullable(Type.String(), 'For people.'),
  }),
})

const numberOrNull = (value: bigint | undefined): number | null =>
  value === undefined ? null : Number(value)

const presentRecord = (
  { partition, offset }: { partition: number; offset: bigint },
  { topic, isConsumed, nextOffset, endOffset, deadLetter, consumer, ...outcome }: RecordOutcome,
): Static<typeof RecordResponse> => ({
  topic,
  partition,
  offset: Number(offset),
  consumed: isConsumed,
  applied: outcome.isApplied,
  next_offset: numberOrNull(nextOffset),
  end_offset: numberOrNull(endOffset),
  dead_letter: deadLetter
    ? {
        id: String(deadLetter.id),
        cause: deadLetter.cause,
        detail: deadLetter.detail,
        recorded_at: deadLetter.recordedAt,
      }
    : null,
  paused: outcome.isPaused,
  consumer: { status: consumer.status, output: consumer.output ?? null },
})

/** Restricted keys are refused, as for dead letters: which accounts a record is about is not stored. */
export const consoleRecordRoutes = (records: Records) => [
  route({
    method: 'GET',
    path: '/console/records/:topic/:partition/:offset',
    id: 'getRecordOutcome',
    scope: 'read',
    tag: consoleTag,
    summary: 'What became of a record here, and what it may be waiting for.',
    description:
      'Of a topic that balances are not made from, only `consumed` and `end_offset` mean something.',
    params: {
      topic: Type.String({ description: 'Its topic, with the prefix of the installation or without it.' }),
      partition: number('Its partition.'),
      offset: number('Its offset.'),
    },
    responses: {
      200: answer(RecordResponse, { headers: [responseHeaders.cacheControl('no-store')] }),
    },
    examples: consoleRecordExamples.getRecordOutcome,
    async handle({ params }) {
      const place = {
        topic: parseParameter('topic', params.topic, topicPattern, 'must be the name of a topic'),
        partition: Number(parseParameter('partition', params.partition, /^\d{1,9}$/, 'must be a number')),
        offset: BigInt(parseParameter('offset', params.offset, /^\d{1,15}$/, 'must be a number')),
      }
      const body = presentRecord(place, await records.find(place))
      return Response.json(body, { headers: { 'cache-control': 'no-store' } })
    },
  }),
]

const topicPattern = /^[a-zA-Z0-9._-]{1,249}$/

/** Null is what the router makes of a path that is not UTF-8. */
function parseParameter(name: string, text: string | null, pattern: RegExp, expected: string): string {
  if (text !== null && pattern.test(text)) return text
  throw new InvalidValue({ pointer: `#/${name}`, detail: `${name} ${expected}` })
}
