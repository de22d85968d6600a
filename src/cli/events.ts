/** `events`: the records of the topics, decoded, for people and for programs. Commits nothing. */
import { createRecordReader, type ReadRecord } from '../balances/projection/topics'
import { readTopicsConfig } from '../config/config'
import { integer } from '../config/parsers'
import { events as definitions, topics } from '../contract/events/events'
import { parseInstant } from '../contract/time'
import { messageOf, SetupError, UsageError } from '../platform/fault'
import { connectKafka, type Kafka } from '../platform/kafka/client'
import { type OffsetRange, partitionName } from '../platform/kafka/offsets'
import { pause } from '../platform/process/retry'
import { createLog } from '../platform/telemetry/log'
import { type Context, defineCommand } from './command'
import { type DecodedRecord, type EventFilter, lineOf, presentRecord, select } from './event-lines'
import { anyText, flag, refuse, value, valueOr, values } from './options'

/** Without it, personal data would be on every screen that shows events. */
const topicsByDefault = topics.filter((topic) => topic !== definitions.PersonalDataRecorded.topic)
const pollMs = 500

export const events = defineCommand({
  about: 'shows the records of the topics, decoded and in the order of their time',
  details: [
    'Reads without a consumer group and commits nothing. A record that cannot be read is shown as such,',
    'with its cause. Personal data is shown with --topic personal-data only.',
  ],
  options: {
    topic: values('TOPIC', `of these topics; without it ${topicsByDefault.join(', ')}`, anyText),
    partition: value('NUMBER', 'of this partition', integer(0, 100_000)),
    from: valueOr(
      'beginning',
      'PLACE',
      'beginning, end, an offset, -N for the last N of each partition, or a time in RFC 3339',
      parsePlace,
    ),
    account: value('ID', 'only events with this account on either side', (id) => anyText(id).toLowerCase()),
    type: value('EVENT', 'only events of this name, such as BalanceUpdated', anyText),
    limit: value('RECORDS', 'ends after so many', integer(1, 999_999_999)),
    follow: flag('waits for further records at the end'),
  },
  examples: [
    'saldo events --follow --from end',
    'saldo events --account d6a41403-bbd0-11ee-8a24-0242ac120003 --type TransactionCreated',
    'docker compose exec wallet saldo events --topic balances --from -10 --json',
  ],
  json: {
    perLine: true,
    example: {
      topic: 'accounts',
      partition: 0,
      offset: 12,
      time: '2026-01-31T00:00:00.000Z',
      key: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
      event: 'AccountOpened',
      payload: definitions.AccountOpened.example,
      unreadable: null,
      value: null,
    },
  },
  exits: { failed: 'The broker cannot be reached, or lost what was being read.' },
  interrupted: 'Nothing is committed: the next run begins where its --from says.',
  async run(options, context) {
    const { kafka: settings, events: verification, remedy } = readTopicsConfig(context.env)
    const { type, account, from } = options
    if (type !== undefined && !Object.hasOwn(definitions, type))
      refuse('type', `is unknown: there are ${Object.keys(definitions).join(', ')}`)
    const kafka = connectKafka(settings, createLog({ service: 'events', level: 'error', format: 'pretty' }))
    const names = options.topic.length > 0 ? options.topic : topicsByDefault
    const source = { kafka, topics: names.map((topic) => settings.topicPrefix + topic) }
    const sinceMs = from.kind === 'time' ? from.ms : Number.NEGATIVE_INFINITY
    const filter = { account, type, sinceMs }
    try {
      await tail({ ...source, ...options, filter, read: createRecordReader(verification) }, context)
      return 0
    } catch (error) {
      if (error instanceof UsageError) throw error
      if (context.signal.aborted) return 0
      throw new SetupError(`${messageOf(error)}. ${remedy}`)
    } finally {
      await kafka.close()
    }
  },
})

export type Place =
  | { kind: 'beginning' | 'end' }
  | { kind: 'offset'; offset: bigint }
  | { kind: 'last'; count: bigint }
  | { kind: 'time'; ms: number }

export function parsePlace(text: string): Place {
  if (text === 'beginning' || text === 'end') return { kind: text }
  if (/^\d{1,18}$/.test(text)) return { kind: 'offset', offset: BigInt(text) }
  if (/^-[1-9]\d{0,8}$/.test(text)) return { kind: 'last', count: BigInt(text.slice(1)) }
  const { ms } = parseInstant(text) ?? {}
  if (ms !== undefined) return { kind: 'time', ms }
  throw new Error(
    'must be beginning, end, an offset, -N, or a time such as 2026-01-31T00:00:00Z, ' +
      `but is ${JSON.stringify(text)}`,
  )
}

type Tail = {
  kafka: Kafka
  topics: string[]
  partition: number | undefined
  from: Place
  follow: boolean
  limit: number | undefined
  filter: EventFilter
  read: ReadRecord
}

async function tail(options: Tail, { signal, json, print }: Context): Promise<void> {
  const { kafka, topics, partition, from, follow, limit = Number.POSITIVE_INFINITY, filter, read } = options
  const next = new Map<string, bigint>()
  let [shown, unread] = [0, 0]
  do {
    const all = await kafka.endOffsets(topics)
    const ranges = all.filter((range) => partition === undefined || range.partition === partition)
    if (ranges.length === 0) refuse('partition', 'is not one of the topics')
    const begun = ranges.map(async (range): Promise<OffsetRange> => {
      const name = partitionName(range.topic, range.partition)
      const first = next.get(name) ?? (await startOf(kafka, range, from))
      next.set(name, laterOf(first, range.offset))
      return { ...range, first }
    })
    const pending = (await Promise.all(begun)).filter(({ first, offset }) => first < offset)
    for await (const one of merged(pending.map((range) => recordsOf(kafka, range, read)))) {
      const selection = select(one, filter)
      if (selection === 'unread') unread++
      if (selection !== 'shown') continue
      await print(json ? JSON.stringify(presentRecord(one)) : lineOf(one))
      if (++shown >= limit || signal.aborted) return
    }
    if (follow) await pause(pollMs, signal)
  } while (follow && !signal.aborted)
  if (unread > 0) console.error(`${unread} records cannot be read, and may match: shown without a filter.`)
}

async function startOf(kafka: Kafka, range: OffsetRange, from: Place): Promise<bigint> {
  const { first, offset: end } = range
  switch (from.kind) {
    case 'beginning':
      return first
    case 'end':
      return end
    case 'offset':
      return laterOf(first, from.offset)
    case 'last':
      return laterOf(first, end - from.count)
    case 'time':
      return offsetSince(kafka, range, from.ms)
  }
}

const laterOf = (one: bigint, other: bigint): bigint => (one < other ? other : one)

/**
 * An offset before which no record is as new. Where there is no record at an offset that is looked at, it
 * stays further ahead; older records are not shown.
 */
async function offsetSince(kafka: Kafka, range: OffsetRange, ms: number): Promise<bigint> {
  const { topic, partition } = range
  let [low, high] = [range.first, range.offset]
  while (low < high) {
    const middle = (low + high) / 2n
    const [record] = await kafka.recordsAt([{ topic, partition, offset: middle }])
    if (record && record.timestampMs < ms) low = middle + 1n
    else high = middle
  }
  return low
}

async function* recordsOf(kafka: Kafka, range: OffsetRange, read: ReadRecord): AsyncGenerator<DecodedRecord> {
  for await (const { topic, partition, records } of kafka.read([range]))
    for (const record of records) yield { topic, partition, record, decoded: read(topic, record) }
}

/** In the order of time, as far as each source is in order itself. */
export async function* merged(
  sources: readonly AsyncGenerator<DecodedRecord>[],
): AsyncGenerator<DecodedRecord> {
  try {
    const heads = await Promise.all(sources.map((source) => source.next()))
    for (;;) {
      let oldest = -1
      for (const [index, { done, value }] of heads.entries()) {
        if (done) continue
        const { value: other } = heads[oldest] ?? {}
        if (oldest < 0 || value.record.timestampMs < other.record.timestampMs) oldest = index
      }
      const head = heads[oldest]
      if (!head || head.done) return
      yield head.value
      heads[oldest] = (await sources[oldest]?.next()) ?? { done: true, value: undefined }
    }
  } finally {
    await Promise.all(sources.map((source) => source.return(undefined)))
  }
}
