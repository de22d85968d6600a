import type { KafkaConfig } from '../config'

/** What the read side needs. `transactions` is not among them: a BalanceUpdated carries all that is kept. */
export const topics = ['clients', 'accounts', 'balances'] as const

/** By whom they are consumed in an installation, and what they are called there. */
export const consumingOf = ({ topicPrefix, groupId, partitions }: KafkaConfig) => ({
  groupId: topicPrefix + groupId,
  topics: topics.map((topic) => topicPrefix + topic),
  partitions,
})
