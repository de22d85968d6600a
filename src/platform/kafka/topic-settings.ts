/** Settings of topics that exist, compared with what is needed: a part that warns, and never fails. */
import { messageOf } from '../fault'
import { pause } from '../process/retry'
import type { Check, Part } from '../process/service'
import type { Log } from '../telemetry/log'
import { onTopics } from './broker-fault'
import type { Kafka } from './client'
import type { DescribedTopic } from './topics'

type Options = {
  kafka: Pick<Kafka, 'describeTopics'>
  /** With the installation's prefix. */
  topics: readonly string[]
  /** What is wrong with them, each with its remedy, for people. */
  findFaults: (described: readonly DescribedTopic[], brokers: number) => string[]
  log: Log
  everyMs?: number
  missingMs?: number
}

/** How often to look, and how soon again while a topic or the broker is missing, in milliseconds. */
const patience = { everyMs: 60_000, missingMs: 2000 }

/** A value that was mended is noticed within `everyMs`. */
export function watchTopicSettings(options: Options): Part {
  const { kafka, topics, findFaults, log, everyMs, missingMs } = { ...patience, ...options }
  let faults: string[] = []
  let hidden: string[] = []

  /** Returns whether all topics were there. */
  async function look(): Promise<boolean> {
    const { described, brokers, refused } = await kafka.describeTopics(topics)
    const found = findFaults(described, brokers)
    for (const fault of found)
      if (!faults.includes(fault)) log.warn({}, `topic setting breaks a promise: ${fault}`)
    if (faults.length > 0 && found.length === 0) log.info({}, 'topic settings are as they should be')
    if (refused.length > 0 && hidden.length === 0) log.info({ topics: refused }, notAllowed(refused))
    faults = found
    hidden = refused
    return described.length === topics.length
  }

  return {
    name: 'topic_settings',
    async run(signal) {
      const stopped = pause(neverMs, signal)
      while (!signal.aborted) {
        // A broker that is away is reported by what needs it.
        const failed = (error: unknown) => log.debug({}, `topic settings unknown: ${messageOf(error)}`)
        const isComplete = await Promise.race([look().catch(failed), stopped])
        await pause(isComplete ? everyMs : missingMs, signal)
      }
    },
    health(): Check {
      if (faults.length > 0) return { status: 'warn', output: faults.join('\n') }
      return hidden.length > 0 ? { status: 'pass', output: notAllowed(hidden) } : { status: 'pass' }
    },
  }
}

/** The longest that a timer can wait. */
const neverMs = 2 ** 31 - 1

const notAllowed = (topics: string[]): string =>
  `topic settings are not checked. To have them checked, allow DescribeConfigs ${onTopics(topics)}`
