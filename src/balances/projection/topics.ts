import type { KafkaConfig } from '../../config/config'
import { type Decoded, decodeRecord, type ReceivedRecord } from '../../contract/wire/envelope'

/** What the read side needs. `transactions` is not among them: a BalanceUpdated carries all that is kept. */
export const topics = ['clients', 'accounts', 'balances'] as const

/**
 * Reads a record of a topic, prefix and all. On topic `balances` nothing but its one event belongs:
 * the course's readers take every record there for it, so what is called otherwise has changed
 * somebody's balance, and is not skipped.
 */
export function decodeFrom(topic: string | undefined, record: ReceivedRecord): Decoded {
  const decoded = decodeRecord(record)
  if (decoded.kind !== 'unknown' || !topic?.endsWith('balances')) return decoded
  const detail = `events called ${decoded.name.slice(0, nameLengthMax)} are not known here, and only BalanceUpdated belongs on this topic`
  return { kind: 'unreadable', reason: { cause: 'unknown_event', detail } }
}

const nameLengthMax = 100

/** By whom they are consumed in an installation, and what they are called there. */
export const consumingOf = ({ topicPrefix, groupId, partitions }: KafkaConfig) => ({
  groupId: topicPrefix + groupId,
  topics: topics.map((topic) => topicPrefix + topic),
  partitions,
})
