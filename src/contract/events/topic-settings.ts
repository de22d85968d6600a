/** What topics need so that the events of the ledger are there for as long as they are needed. Pure. */
import { PersonalDataRecorded } from './events'

/** A topic as the broker describes it. A setting that it does not have, or does not show, is absent. */
export type TopicDescription = {
  topic: string
  /** Of the partition that has the fewest. */
  replicas: number
  settings: Readonly<Record<string, string>>
}

/** A value that breaks a promise, of the topics that share it. */
export type TopicFault = { topics: string[]; setting: string; value: string; breaks: string; wanted: string }

const isPersonal = (topic: string): boolean => topic.endsWith(PersonalDataRecorded.topic)

/** How many brokers have each event, and how many of them before it counts as published. */
const [replicasMax, acknowledging] = [3, 2]
export const replicasFor = (brokers: number): number => Math.min(replicasMax, brokers)

/**
 * What a new topic needs beside the broker's defaults, by its name with any prefix. All events stay: the read
 * model is rebuilt from them, and none replaces another, so none can be compacted away. Personal data stays
 * until it is erased; short segments leave the disk soon after.
 */
export const topicSettings = (topic: string, replicas: number): Readonly<Record<string, string>> => ({
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  // For the largest send of the relay, and the largest dead letter. A cluster may have less by default.
  'max.message.bytes': '1048588',
  ...(replicas >= replicasMax ? { 'min.insync.replicas': String(acknowledging) } : {}),
  ...(isPersonal(topic) ? { 'segment.ms': '600000' } : {}),
})

/** Room for the largest event, in bytes. */
const messageBytesMin = 16_384

type Broken = { breaks: string; wanted: string }
/** By setting: what a value breaks, and what it has to be instead. */
type Rule = (value: string, described: TopicDescription) => Broken | undefined

const unlimited =
  (of: (value: string) => string): Rule =>
  (value, { settings }) => {
    const deletes = /\bdelete\b/.test(settings['cleanup.policy'] ?? 'delete')
    if (Number(value) < 0 || !deletes) return undefined
    return { breaks: `events ${of(value)} are deleted, and nothing can be rebuilt from them`, wanted: '-1' }
  }

const rules: Readonly<Record<string, Rule>> = {
  'cleanup.policy': (value, { topic }) => {
    if (!/\bcompact\b/.test(value)) return undefined
    const breaks = isPersonal(topic)
      ? 'personal data may outlive its erasure'
      : 'all but the last event of a key are deleted, and nothing can be rebuilt from them'
    return { breaks, wanted: 'delete' }
  },
  'retention.ms': unlimited((ms) => `older than ${duration(Number(ms))}`),
  'retention.bytes': unlimited((bytes) => `beyond the last ${bytes} bytes of a partition`),
  'max.message.bytes': (value) =>
    Number(value) < messageBytesMin
      ? { breaks: 'large events are refused, and stay in the outbox', wanted: '1048588' }
      : undefined,
  'min.insync.replicas': (value, { replicas }) => {
    const wanted = replicas >= replicasMax ? acknowledging : 1
    if (Number(value) > replicas) return { breaks: 'nothing can be published', wanted: String(wanted) }
    if (Number(value) >= wanted) return undefined
    return { breaks: 'an event may be lost with the one broker that acknowledged it', wanted: String(wanted) }
  },
  'unclean.leader.election.enable': (value) =>
    value === 'true' ? { breaks: 'acknowledged events may be lost', wanted: 'false' } : undefined,
  // Of Redpanda.
  'write.caching': (value) =>
    value === 'true'
      ? { breaks: 'events are acknowledged before they are on a disk, and may be lost', wanted: 'false' }
      : undefined,
}

function duration(ms: number): string {
  const [size, unit] =
    ms < 3_600_000 ? [1000, 's'] : ms < 86_400_000 ? [3_600_000, 'h'] : [86_400_000, 'days']
  return `${Math.round((10 * ms) / size) / 10} ${unit}`
}

type Found = Omit<TopicFault, 'topics'> & { topic: string }

/** What breaks a promise. Topics with the same value and consequence are one fault. */
export function findTopicFaults(described: readonly TopicDescription[], brokers: number): TopicFault[] {
  const found = described.flatMap((one) => [...ofReplicas(one, brokers), ...ofSettings(one)])
  const same = Map.groupBy(found, ({ setting, value, breaks }) => [setting, value, breaks].join())
  return [...same.values()].map((faults) => {
    const [{ topic: _, ...fault }] = faults as [Found]
    return { ...fault, topics: faults.map(({ topic }) => topic).sort() }
  })
}

function ofSettings(described: TopicDescription): Found[] {
  const { topic, settings } = described
  return Object.entries(rules).flatMap(([setting, rule]) => {
    const value = settings[setting]
    const broken = value === undefined ? undefined : rule(value, described)
    return value !== undefined && broken ? [{ topic, setting, value, ...broken }] : []
  })
}

function ofReplicas({ topic, replicas }: TopicDescription, brokers: number): Found[] {
  const wanted = replicasFor(brokers)
  if (replicas >= wanted) return []
  const breaks = `events are lost with ${replicas} of ${brokers} brokers`
  return [{ topic, setting: replicationFactor, value: String(replicas), breaks, wanted: String(wanted) }]
}

/** A setting of Redpanda. With Apache Kafka partitions are reassigned. */
const replicationFactor = 'replication.factor'

/** Of topics that were described: each fault as text, with commands for the cluster at these addresses. */
export const explainTopicFaults =
  (addresses: readonly string[]) => (described: readonly TopicDescription[], brokers: number) =>
    findTopicFaults(described, brokers).map((fault) => describeTopicFault(fault, addresses))

/** For people: topics, setting, value, what it breaks, and the commands that mend it. */
function describeTopicFault(fault: TopicFault, addresses: readonly string[]): string {
  const { topics, setting, value, breaks, wanted } = fault
  const rpk = `rpk topic alter-config ${topics.join(' ')} --set ${setting}=${wanted}`
  const configs = `kafka-configs.sh --bootstrap-server ${addresses.join()} --alter`
  const kafka =
    setting === replicationFactor
      ? 'kafka-reassign-partitions.sh with more replicas'
      : topics.map((topic) => `${configs} --topic ${topic} --add-config ${setting}=${wanted}`).join('; ')
  return `${topics.join(', ')}: ${setting}=${value}: ${breaks}. Redpanda: ${rpk}. Apache Kafka: ${kafka}`
}
