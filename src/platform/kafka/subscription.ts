/**
 * Consumes topics as a member of a consumer group. Batches of a partition are handled in order, and
 * an offset is committed only after its batch.
 */
import type { EachBatchPayload, Kafka as KafkaClient } from 'kafkajs'
import { brokerFault, onTopics } from './broker-fault'
import type { Fetched } from './kafkajs-internals'
import type { PartitionOffset } from './offsets'
import { type IncomingBatch, toIncomingBatch } from './records'

export type SubscriptionOptions = {
  groupId: string
  topics: string[]
  /**
   * Handles a batch and returns the offset to continue from: `next` of the batch when all of it is
   * done, any other offset to seek there. Called for one batch at a time, with `ahead` for one batch
   * of each partition. It may take long: heartbeats go on meanwhile. `signal` is aborted when the
   * partition was lost; a new assignment may then begin before this call has returned.
   */
  onBatch: (batch: IncomingBatch, signal: AbortSignal) => Promise<bigint>
  /**
   * Called with the partitions of each topic at each new assignment; offsets known before no longer
   * hold. Returns where to continue; a partition that is left out continues from the group's offset.
   * No batch is handled before it has returned; when it throws, the subscription ends. `signal` as above.
   */
  onAssigned: (partitions: Record<string, number[]>, signal: AbortSignal) => Promise<PartitionOffset[]>
  /** Partitions whose batches are handled at the same time, and bytes of one: 1, and 1 MB. */
  ahead?: { concurrency: number; batchBytesMax: number }
  /** Consuming was interrupted. It resumes by itself, unless `final`: then close, and subscribe again. */
  onTrouble: (error: unknown, final: boolean) => void
}

/** Throws a `Fault` when there is no broker to begin with. */
export async function subscribe(client: KafkaClient, options: SubscriptionOptions, sessionTimeoutMs: number) {
  const { topics, ahead, onBatch, onAssigned, onTrouble } = options
  const everyMs = sessionTimeoutMs / 6
  const rights = `Read ${onTopics(topics)} and on the group ${options.groupId}`
  const consumer = client.consumer({
    groupId: options.groupId,
    sessionTimeout: sessionTimeoutMs,
    heartbeatInterval: everyMs,
    // Also the longest that `close` waits for a fetch.
    maxWaitTimeInMs: ahead ? 100 : 500,
    ...(ahead ? { maxBytesPerPartition: ahead.batchBytesMax } : {}),
    allowAutoTopicCreation: false,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 8, restartOnFailure: async () => true },
  })
  /** Aborted when the assignment ends. */
  let lost = new AbortController()
  /** Settles once the partitions of this assignment stand where to continue. */
  let positioned: Promise<void> = Promise.resolve()

  const seek = ({ topic, partition, offset }: PartitionOffset) =>
    consumer.seek({ topic, partition, offset: String(offset) })

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    lost.abort()
    lost = new AbortController()
    const { signal } = lost
    positioned = onAssigned(payload.memberAssignment, signal).then((offsets) => {
      if (!signal.aborted) offsets.forEach(seek)
    })
    positioned.catch((error) => {
      if (!signal.aborted) onTrouble(error, true)
    })
  })
  consumer.on(consumer.events.REBALANCING, () => lost.abort())
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    lost.abort()
    const isOfBroker = payload.error.name.startsWith('KafkaJS')
    onTrouble(isOfBroker ? brokerFault(payload.error, rights) : payload.error, !payload.restart)
  })

  const handle = async (payload: EachBatchPayload) => {
    const { batch, isRunning, isStale } = payload
    if (!isRunning() || isStale()) return
    const { topic, partition } = batch
    const incoming = toIncomingBatch(batch as unknown as Fetched)
    const next = await whileBeating({ ...payload, everyMs, lost: lost.signal }, async (signal) => {
      await positioned
      // Fetched before the partition was positioned.
      return isStale() ? undefined : onBatch(incoming, signal)
    })
    if (next === undefined || isStale()) return
    if (next !== incoming.next) return seek({ topic, partition, offset: next })
    payload.resolveOffset(String(next - 1n))
    await payload.commitOffsetsIfNecessary({
      topics: [{ topic, partitions: [{ partition, offset: String(next) }] }],
    })
  }

  try {
    await consumer.connect()
    await consumer.subscribe({ topics, fromBeginning: true })
  } catch (error) {
    await consumer.disconnect().catch(() => {})
    throw brokerFault(error, rights)
  }
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    // Batches share accounts: handled concurrently they would wait for each other's rows.
    partitionsConsumedConcurrently: ahead?.concurrency ?? 1,
    eachBatch: handle,
  })

  return {
    /** Stops fetching, lets the batch in hand finish, leaves the group. */
    async close() {
      lost.abort()
      await consumer.disconnect()
    },
  }
}

type Beating = Pick<EachBatchPayload, 'heartbeat' | 'isRunning'> & { everyMs: number; lost: AbortSignal }

/** Sends heartbeats during `work`. After one that failed, another member may have the partition. */
async function whileBeating<T>(
  { heartbeat, everyMs, isRunning, lost }: Beating,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  let failure: unknown
  // Of this batch alone: the next one may be handled again after a heartbeat that failed.
  const failed = new AbortController()
  const beat = setInterval(() => {
    if (!isRunning()) return failed.abort()
    heartbeat().catch((error) => {
      failure ??= error
      failed.abort()
    })
  }, everyMs)
  try {
    const result = await work(AbortSignal.any([lost, failed.signal]))
    await heartbeat()
    return result
  } catch (error) {
    throw failure ?? error
  } finally {
    clearInterval(beat)
  }
}
