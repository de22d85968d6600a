/** What became of a record here: applied, a dead letter, or not reached yet, and what it may wait for. */
import { partitionName } from '../../platform/kafka/offsets'
import type { Database } from '../../platform/postgres/database'
import { withUnavailableFault } from '../../platform/postgres/failures'
import { late, within } from '../../platform/process/retry'
import type { Check } from '../../platform/process/service'
import type { Offsets } from '../projection/offsets'
import { topics } from '../projection/topics'
import { findRecord, type RecordLetter, type RecordPlace, type StoredRecord } from './records-store'

export type RecordOutcome = {
  /** With its prefix. */
  topic: string
  /** Whether the projection reads the topic at all. */
  isConsumed: boolean
  /** Whether the projection is done with it, and it is no dead letter. */
  isApplied: boolean
  /** Undefined where the partition was never assigned. */
  nextOffset: bigint | undefined
  /** Undefined while the broker does not answer, and for a partition that it does not have. */
  endOffset: bigint | undefined
  deadLetter: RecordLetter | undefined
  isPaused: boolean
  consumer: Check
}

/** Older ends of logs say nothing about now, in milliseconds. */
const endsAgeMaxMs = 5000
/** How long a health check may take before the answer goes without it, in milliseconds. */
const healthMs = 500

/** The projection's own name of a topic, which may come with the prefix of the installation or without it. */
export function consumedTopic(name: string, prefix: string): string | undefined {
  const bare = topics.find((topic) => name === prefix + topic) ?? topics.find((topic) => name === topic)
  return bare && prefix + bare
}

/** Behind the applied offset it took effect, was superseded or was skipped, unless it is a dead letter. */
export const isApplied = ({ nextOffset, deadLetter }: StoredRecord, offset: bigint): boolean =>
  nextOffset !== undefined && offset < nextOffset && deadLetter === undefined

type RecordsOptions = {
  sql: Database['sql']
  topicPrefix: string
  /** The last one that the broker named. */
  clusterId: () => string | undefined
  projection: { health: () => Check | Promise<Check>; isPaused: () => boolean }
}

export function openRecords({ sql, topicPrefix, clusterId, projection }: RecordsOptions) {
  let last: { ends: Offsets; atMs: number } | undefined

  const endOf = ({ topic, partition }: RecordPlace): bigint | undefined =>
    last && performance.now() - last.atMs <= endsAgeMaxMs
      ? last.ends.get(partitionName(topic, partition))
      : undefined

  return {
    /** Called with every sample of the log ends; undefined where there was none. */
    observe(ends: Offsets | undefined): void {
      if (ends) last = { ends, atMs: performance.now() }
    },
    async find(place: RecordPlace): Promise<RecordOutcome> {
      const topic = consumedTopic(place.topic, topicPrefix)
      const asked = { ...place, topic: topic ?? place.topic }
      const [stored, health] = await Promise.all([
        topic === undefined
          ? { nextOffset: undefined, deadLetter: undefined }
          : withUnavailableFault(findRecord(sql, asked, clusterId())),
        within(Promise.resolve(projection.health()), healthMs),
      ])
      return {
        ...stored,
        topic: asked.topic,
        isConsumed: topic !== undefined,
        isApplied: isApplied(stored, place.offset),
        endOffset: endOf(asked),
        isPaused: projection.isPaused(),
        consumer:
          health === late ? { status: 'warn', output: `no answer within ${healthMs / 1000} s` } : health,
      }
    },
  }
}

export type Records = Pick<ReturnType<typeof openRecords>, 'find'>
