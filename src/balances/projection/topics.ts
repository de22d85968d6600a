import { type Decoded, decodeRecord, type ReceivedRecord } from '../../contract/wire/envelope'

/** Topics of the projection. Not `transactions`: BalanceUpdated carries all that is stored. */
export const topics = ['clients', 'accounts', 'balances'] as const

/**
 * Decodes a record of a topic, which has the installation's prefix. On topic `balances` an unknown
 * event is not skipped: the course's readers take every record there for a BalanceUpdated, so it may
 * have changed a balance.
 */
export function decodeFrom(topic: string | undefined, record: ReceivedRecord): Decoded {
  const decoded = decodeRecord(record)
  if (decoded.kind !== 'unknown' || !topic?.endsWith('balances')) return decoded
  const name = decoded.name.slice(0, nameLengthMax)
  const detail = `unknown event ${name}: only BalanceUpdated belongs on this topic`
  return { kind: 'unreadable', reason: { cause: 'unknown_event', detail } }
}

const nameLengthMax = 100

/** Consumer group and topics of an installation, with its prefix. */
export const subscriptionOf = (kafka: { topicPrefix: string; groupId: string; partitions: number }) => ({
  groupId: kafka.topicPrefix + kafka.groupId,
  topics: topics.map((topic) => kafka.topicPrefix + topic),
  partitions: kafka.partitions,
})
