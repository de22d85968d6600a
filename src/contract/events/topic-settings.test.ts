import { expect, test } from 'bun:test'
import { topics } from './events'
import { explainTopicFaults, findTopicFaults, replicasFor, topicSettings } from './topic-settings'

test.each([1, 2, 3, 5])(
  'topics that are created by this version break nothing, with %d brokers',
  (brokers) => {
    const replicas = replicasFor(brokers)
    const described = ['', 'eu.'].flatMap((prefix) =>
      [...topics, 'balances.balances.dlq'].map((name) => ({
        topic: prefix + name,
        replicas,
        settings: { 'min.insync.replicas': '1', ...topicSettings(prefix + name, replicas) },
      })),
    )
    expect(findTopicFaults(described, brokers)).toEqual([])
    expect(replicas).toBe(Math.min(3, brokers))
    expect(topicSettings('balances', replicas)['min.insync.replicas']).toBe(brokers >= 3 ? '2' : undefined)
    expect(topicSettings('eu.personal-data', replicas)).toMatchObject({ 'segment.ms': '600000' })
  },
)

const deleted = 'are deleted, and nothing can be rebuilt from them'

test.each([
  [{ 'retention.ms': '604800000' }, 1, `retention.ms=604800000: events older than 7 days ${deleted}`],
  [{ 'retention.ms': '5400000' }, 1, `retention.ms=5400000: events older than 1.5 h ${deleted}`],
  [{ 'retention.ms': '0' }, 1, `retention.ms=0: events older than 0 s ${deleted}`],
  [
    { 'retention.bytes': '1' },
    1,
    `retention.bytes=1: events beyond the last 1 bytes of a partition ${deleted}`,
  ],
  [
    { 'cleanup.policy': 'compact,delete' },
    1,
    `cleanup.policy=compact,delete: all but the last event of a key ${deleted}`,
  ],
  [
    { 'max.message.bytes': '1000' },
    1,
    'max.message.bytes=1000: large events are refused, and stay in the outbox',
  ],
  [{ 'min.insync.replicas': '2' }, 1, 'min.insync.replicas=2: nothing can be published'],
  [
    { 'min.insync.replicas': '1' },
    3,
    'min.insync.replicas=1: an event may be lost with the one broker that acknowledged it',
  ],
  [
    { 'unclean.leader.election.enable': 'true' },
    3,
    'unclean.leader.election.enable=true: acknowledged events may be lost',
  ],
  [
    { 'write.caching': 'true' },
    1,
    'write.caching=true: events are acknowledged before they are on a disk, and may be lost',
  ],
  // Nothing expires; and a broker may show none of them.
  [{ 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' }, 1, undefined],
  [{ 'max.message.bytes': '1048588', 'min.insync.replicas': '2' }, 3, undefined],
  [{ 'min.insync.replicas': '1' }, 2, undefined],
  [{}, 1, undefined],
] as const)('%p with %d replicas: %p', (settings, replicas, expected) => {
  const explained = explainTopicFaults(['a:9092', 'b:9092'])(
    [{ topic: 'balances', replicas, settings }],
    replicas,
  )
  expect(explained).toHaveLength(expected ? 1 : 0)
  if (!expected) return
  const [setting = ''] = Object.keys(settings)
  expect(explained[0]).toStartWith(
    `balances: ${expected}. Redpanda: rpk topic alter-config balances --set ${setting}=`,
  )
  expect(explained[0]).toContain(
    `kafka-configs.sh --bootstrap-server a:9092,b:9092 --alter --topic balances --add-config ${setting}=`,
  )
})

test('too few replicas break a promise only where there are more brokers', () => {
  const one = { topic: 'balances', replicas: 1, settings: {} }
  expect(findTopicFaults([one], 1)).toEqual([])
  expect(explainTopicFaults([])([one], 3)).toEqual([
    'balances: replication.factor=1: events are lost with 1 of 3 brokers. Redpanda: rpk topic alter-config ' +
      'balances --set replication.factor=3. Apache Kafka: kafka-reassign-partitions.sh with more replicas',
  ])
})

test('topics with the same value are one fault, and personal data has its own reason', () => {
  const settings = { 'cleanup.policy': 'compact' }
  const described = ['p.clients', 'p.accounts', 'p.personal-data'].map((topic) => ({
    topic,
    replicas: 1,
    settings,
  }))
  expect(findTopicFaults(described, 1)).toMatchObject([
    { topics: ['p.accounts', 'p.clients'], breaks: expect.stringContaining('nothing can be rebuilt') },
    { topics: ['p.personal-data'], breaks: 'personal data may outlive its erasure' },
  ])
})
