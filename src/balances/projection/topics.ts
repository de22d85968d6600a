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

/** Consumer group and topics of an installation, with its prefix. */
export const subscriptionOf = (kafka: { topicPrefix: string; groupId: string; partitions: number }) => ({
  groupId: kafka.topicPrefix + kafka.groupId,
  topics: topics.map((topic) => kafka.topicPrefix + topic),
  partitions: kafka.partitions,
})
