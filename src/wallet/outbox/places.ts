/**
 * Where the events of an append are on the broker, in few words: their subjects, run by run, and of each run
 * its topic, partition, first offset and length.
 */
import type { RecordCoordinates } from '../../platform/kafka/offsets'
import type { OutboxEvent } from './lines'

export type PublishedEvent = RecordCoordinates & { event: Pick<OutboxEvent, 'topic' | 'subject' | 'time'> }

/** Events that happened at the same time. */
export type AppendDelivery = {
  occurredAt: string
  /** `topic/partition/offset/length` of each run, with spaces between them. */
  runs: string
  /** Without their legs, in the order of the runs. */
  subjects: string[]
  /** Of the same length. Null where all are 0. */
  legs: number[] | null
}

export type Place = RecordCoordinates & { topic: string; leg: number }

type Run = { topic: string; partition: number; offset: bigint; subjects: string[] }

/** One for each time: an append has one, and what is republished has many. */
export function deliveriesOf(published: readonly PublishedEvent[]): AppendDelivery[] {
  const times = Map.groupBy(published, ({ event }) => event.time)
  return Array.from(times, ([occurredAt, events]) => {
    const runs = runsOf(events)
    const named = runs.flatMap((run) => run.subjects).map((subject) => subject.split('/'))
    const legs = named.map(([, leg]) => Number(leg ?? 0))
    return {
      occurredAt,
      runs: runs
        .map((run) => [run.topic, run.partition, run.offset, run.subjects.length].join('/'))
        .join(' '),
      subjects: named.map(([id = '']) => id),
      legs: legs.some((leg) => leg > 0) ? legs : null,
    }
  })
}

function runsOf(events: readonly PublishedEvent[]): Run[] {
  const [runs, newest]: [Run[], Map<string, Run>] = [[], new Map()]
  for (const { event, partition, offset } of events) {
    const name = `${event.topic}/${partition}`
    let run = newest.get(name)
    if (run?.offset !== offset - BigInt(run?.subjects.length ?? 0)) {
      run = { topic: event.topic, partition, offset, subjects: [] }
      newest.set(name, run)
      runs.push(run)
    }
    run?.subjects.push(event.subject)
  }
  return runs
}

/** Of the events with these positions among the subjects, from 1 on. */
export function placesAt(
  positions: readonly number[],
  { runs, legs }: Pick<AppendDelivery, 'runs' | 'legs'>,
): Place[] {
  const places: Place[] = []
  let before = 0
  for (const run of runs.split(' ')) {
    const [topic = '', partition, offset, length] = run.split('/')
    for (const position of positions) {
      const index = position - 1 - before
      if (index < 0 || index >= Number(length)) continue
      const leg = legs?.[position - 1] ?? 0
      places.push({ topic, partition: Number(partition), offset: BigInt(offset ?? 0) + BigInt(index), leg })
    }
    before += Number(length)
  }
  return places
}
