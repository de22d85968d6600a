/**
 * Publishes dead letters to the topics `<topic>.<group>.dlq`, at least once. The table is
 * authoritative: a letter is published until the broker has it, and nothing waits for that.
 */
import type { Kafka } from '../../platform/kafka/client'
import { bytesOnWire, type Publisher, requestBytesMax } from '../../platform/kafka/publisher'
import type { RecordHeader } from '../../platform/kafka/record-set'
import type { OutgoingRecord } from '../../platform/kafka/records'
import type { Database } from '../../platform/postgres/database'
import type { Part } from '../../platform/process/service'
import { createWakeup } from '../../platform/process/wakeup'
import { type DeadLetter, publishUnsent } from './dead-letters-store'

/** How long it sleeps unless it is woken, in milliseconds. */
const pollMs = 10_000
/** Letters read at once. */
const page = { limit: 50, bytesMax: requestBytesMax }

/** `wake` is for letters that were just written. What is unsent at the end is left to the next process. */
export function createDeadLetterPublisher(options: {
  database: Pick<Database, 'sql'>
  kafka: Kafka
  /** With the installation's prefix. */
  groupId: string
}) {
  const { database, kafka, groupId } = options
  const wakeup = createWakeup()
  const publisher = kafka.publisher()

  const publish = async (letters: DeadLetter[]): Promise<DeadLetter[]> => {
    const records = firstRequest(letters.map((letter) => recordOf(letter, groupId)))
    await kafka.ensureTopics([...new Set(records.map(({ topic }) => topic))], 1)
    return publishBatch(publisher, letters.slice(0, records.length), records, groupId)
  }
  return {
    name: 'dead_letters',
    failure: 'cannot publish dead letters',
    wake: wakeup.notify,
    async run(signal, onProgress) {
      while (!signal.aborted) {
        const sent = await publishUnsent(database.sql, page, publish)
        onProgress()
        if (sent === 0) await wakeup.wait(pollMs, signal)
      }
    },
    stop: () => publisher.close().catch(() => {}),
  } satisfies Part & { wake: () => void }
}

/** As many as the broker accepts in one request. */
function firstRequest<Sized extends OutgoingRecord>(records: Sized[]): Sized[] {
  let bytes = 0
  return records.filter((record) => {
    bytes += bytesOnWire(record)
    return bytes <= requestBytesMax
  })
}

/** Returns the letters that the broker has. A topic may accept less than others do: then bare. */
async function publishBatch(
  publisher: Publisher,
  letters: DeadLetter[],
  records: OutgoingRecord[],
  groupId: string,
): Promise<DeadLetter[]> {
  const results = await publisher.send(records)
  const tooLarge = letters.filter((_, index) => results[index] === 'too_large')
  const bare =
    tooLarge.length === 0 ? [] : await publisher.send(tooLarge.map((letter) => recordOf(letter, groupId, 0)))
  return letters.filter((letter, index) => {
    const result = results[index]
    return typeof (result === 'too_large' ? bare[tooLarge.indexOf(letter)] : result) === 'object'
  })
}

/** Topic names allow fewer characters than group ids. */
export const deadLetterTopic = (topic: string, groupId: string): string =>
  `${topic}.${groupId.replace(/[^\w.-]/g, '_')}.dlq`

/** An error may quote the record. */
const messageLengthMax = 1000

/** The record as it came. One too large goes without key, value and headers: the table has them. */
export function recordOf(
  letter: DeadLetter,
  groupId: string,
  bytesMax = requestBytesMax,
): OutgoingRecord & { headers: RecordHeader[] } {
  const topic = deadLetterTopic(letter.topic, groupId)
  const reasons = {
    'dlq-topic': letter.topic,
    'dlq-partition': String(letter.partition),
    'dlq-offset': String(letter.recordOffset),
    ...(letter.lastOffset !== null && { 'dlq-offset-last': String(letter.lastOffset) }),
    'dlq-group': groupId,
    'dlq-error-type': letter.cause,
    'dlq-error-message': letter.detail.slice(0, messageLengthMax),
    'dlq-attempts': String(letter.attempts),
    'dlq-first-failed-at': letter.recordedAt,
  }
  const { key, value } = letter
  const headers = Object.entries(reasons).map(
    ([name, text]) => [Buffer.from(name), Buffer.from(text)] as const,
  )
  // After its own headers: of a repeated name the last counts.
  const whole = { topic, key, value, headers: [...letter.headers, ...headers] }
  if (bytesOnWire(whole) <= bytesMax) return whole
  const omitted = [Buffer.from('dlq-omitted'), Buffer.from('key, value, headers')] as const
  return { topic, key: null, value: null, headers: [...headers, omitted] }
}
