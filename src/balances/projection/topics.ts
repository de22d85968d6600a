import { events } from '../../contract/events/events'
import { type Decoded, decodeRecord, type ReceivedRecord } from '../../contract/wire/envelope'
import { createVerifier, type SigningKey } from '../../contract/wire/signature'

/**
 * Topics of the projection. Not `transactions`: BalanceUpdated carries all that is stored. Not `clients`:
 * nothing is stored of a client but its name, which `personal-data` has.
 */
export const topics = ['personal-data', 'accounts', 'balances'] as const

/** With any prefix. What is erased from it is kept nowhere else: neither in dead letters nor in logs. */
export const isPersonalTopic = (topic: string): boolean => topic.endsWith(events.PersonalDataRecorded.topic)

/** Whether events have to be signed, and the keys that are accepted. */
export type Verification = { verify: 'off' | 'required' | undefined; verifyKeys: readonly SigningKey[] }

/** Reads a record of a topic, which has the installation's prefix. */
export type ReadRecord = (topic: string, record: ReceivedRecord & { key: Uint8Array | null }) => Decoded

/**
 * What everything that takes effect is read by. Verified before it is decoded, so that no header or
 * value of a forged record is looked at.
 */
export function createRecordReader({ verify, verifyKeys }: Verification): ReadRecord {
  if (verify !== 'required') return decodeFrom
  const findFault = createVerifier(verifyKeys)
  return (topic, record) => {
    // A batch that cannot be read has no record to verify, and takes no effect.
    const reason = record.unreadable ? undefined : findFault(topic, record)
    return reason ? { kind: 'unreadable', reason } : decodeFrom(topic, record)
  }
}

/**
 * Decodes a record of a topic, which has the installation's prefix. On topic `balances` an unknown
 * event is not skipped: the course's readers take every record there for a BalanceUpdated, so it may
 * have changed a balance.
 */
export function decodeFrom(topic: string, record: ReceivedRecord): Decoded {
  const decoded = decodeRecord(record)
  if (decoded.kind !== 'unknown' || !topic.endsWith('balances')) return decoded
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
