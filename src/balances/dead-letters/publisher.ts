/**
 * Tells the dead-letter topics what was kept aside, for whoever watches topics and not tables. The
 * rows are the truth: each is sent, as it came, until the broker has it, at least once. Whatever
 * becomes of that, nobody waits for it.
 */

import { messageOf } from '../../platform/fault'
import type { Kafka } from '../../platform/kafka/client'
import { bytesOnWire, requestBytesMax } from '../../platform/kafka/publisher'
import type { RecordHeader } from '../../platform/kafka/record-set'
import type { OutgoingRecord } from '../../platform/kafka/records'
import type { Database } from '../../platform/postgres/database'
import { keepTrying } from '../../platform/process/retry'
import { createWakeup } from '../../platform/process/wakeup'
import type { Log } from '../../platform/telemetry/log'
import { type DeadLetter, sendUnsent } from './dead-letters-store'

/** How long it sleeps when nobody wakes it, in milliseconds. */
const pollMs = 10_000
const backoff = { firstMs: 200, limitMs: 5000 }
/** Letters that are read at once. */
const lettersMax = 50

export type DeadLetterPublisher = {
  /** Says that letters were written. */
  wake(): void
  /** What was not sent is sent by whoever comes next. */
  stop(): Promise<void>
}

/** `groupId` with the installation's prefix. */
export function startDeadLetterPublisher(options: {
  database: Database
  kafka: Kafka
  groupId: string
  log: Log
}): DeadLetterPublisher {
  const { database, kafka, groupId, log } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const wakeup = createWakeup()
  const publisher = kafka.publisher()

  /** As many as the broker takes at once. */
  const send = async (letters: DeadLetter[]): Promise<DeadLetter[]> => {
    let bytes = 0
    const records = letters.map((letter) => recordOf(letter, groupId))
    const first = records.filter((record) => {
      bytes += bytesOnWire(record)
      return bytes <= requestBytesMax
    })
    await kafka.ensureTopics([...new Set(first.map(({ topic }) => topic))], 1)
    const sent = await publisher.send(first)
    // The topic may take less than others do.
    const refused = letters.map((letter, index) =>
      sent[index] === 'too_large' ? recordOf(letter, groupId, 0) : undefined,
    )
    const again = refused.filter((record) => record !== undefined)
    const sentAgain = again.length > 0 ? await publisher.send(again) : []
    const isSent = (index: number) => {
      const record = refused[index]
      const place = record ? sentAgain[again.indexOf(record)] : sent[index]
      return typeof place === 'object'
    }
    return letters.slice(0, first.length).filter((_, index) => isSent(index))
  }
  const drain = async () => {
    while (!signal.aborted)
      if ((await sendUnsent(database.sql, { limit: lettersMax, bytesMax: requestBytesMax }, send)) === 0)
        return
  }
  const run = async () => {
    while (!signal.aborted) {
      await keepTrying(drain, {
        backoff,
        signal,
        isRetryable: () => true,
        onFailure: (error, failures) =>
          log.warn({ failures }, `dead letters wait to be sent: ${messageOf(error)}`),
      })
      await wakeup.wait(pollMs, signal)
    }
  }
  const running = run().catch((error) => {
    if (!signal.aborted) throw error
  })

  return {
    wake: wakeup.notify,
    async stop() {
      stopping.abort()
      await running
      await publisher.close().catch(() => {})
    },
  }
}

/** A group may be called anything, a topic may not. */
export const deadLetterTopic = (topic: string, groupId: string): string =>
  `${topic}.${groupId.replace(/[^\w.-]/g, '_')}.dlq`

/** A complaint may quote what was sent. */
const messageLengthMax = 1000

/** As it came. One that is too large beside its reasons goes without what it held; the table has it. */
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
  // After those it came with: of a name that is repeated the last counts.
  const whole = { topic, key, value, headers: [...letter.headers, ...headers] }
  if (bytesOnWire(whole) <= bytesMax) return whole
  const omitted = [Buffer.from('dlq-omitted'), Buffer.from('key, value, headers')] as const
  return { topic, key: null, value: null, headers: [...headers, omitted] }
}
