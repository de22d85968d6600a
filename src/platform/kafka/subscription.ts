/**
 * Consumes topics as a member of a consumer group. What one fetch brought is handled together, each
 * partition in order, and an offset is committed only after its batch. While much of it is handled, the
 * next is fetched.
 */
import type { ConsumerConfig, EachBatchPayload, Kafka as KafkaClient } from 'kafkajs'
import { brokerFault, onTopics } from './broker-fault'
import type { Fetched } from './fetch-response'
import { HandOver } from './hand-over'
import { OffsetCommits } from './offset-commits'
import type { PartitionOffset } from './offsets'
import { type IncomingBatch, toIncomingBatch } from './records'

export type SubscriptionOptions = {
  groupId: string
  topics: string[]
  /**
   * Handles batches, one of each partition, and returns for each the offset to continue from: its `next`
   * when all of it is done, any other offset to seek there. Not called again before it has returned. It
   * may take long: heartbeats go on meanwhile. `signal` is aborted when the partitions were lost; a new
   * assignment may then begin before this call has returned.
   */
  onBatches: (batches: IncomingBatch[], signal: AbortSignal) => Promise<bigint[]>
  /**
   * Called with the partitions of each topic at each new assignment; offsets known before no longer
   * hold. Returns where to continue; a partition that is left out continues from the group's offset.
   * No batch is handled before it has returned; when it throws, the subscription ends. `signal` as above.
   */
  onAssigned: (partitions: Record<string, number[]>, signal: AbortSignal) => Promise<PartitionOffset[]>
  fetching?: Fetching
  /** Consuming was interrupted. It resumes by itself, unless `final`: then close, and subscribe again. */
  onTrouble: (error: unknown, final: boolean) => void
}

export type Fetching = {
  /** The broker answers once it has as many, or after `waitMs`, which is also how long `close` waits. */
  bytesMin?: number
  /** 500 by default. */
  waitMs?: number
  /** Of one partition: 1 MB by default. */
  batchBytesMax?: number
}

/** More partitions than this, fetched at once, are handled in turns. */
const partitionsMax = 64

/** Throws a `Fault` when there is no broker to begin with. */
export async function subscribe(client: KafkaClient, options: SubscriptionOptions, sessionTimeoutMs: number) {
  const { topics, onBatches, onAssigned, onTrouble } = options
  const everyMs = sessionTimeoutMs / 6
  const rights = `Read ${onTopics(topics)} and on the group ${options.groupId}`
  const consumer = client.consumer(configOf(options, sessionTimeoutMs, everyMs))
  /** Aborted when the assignment ends. */
  let lost = new AbortController()
  /** Settles once the partitions of this assignment stand where to continue. */
  let positioned: Promise<void> = Promise.resolve()
  const commits = new OffsetCommits()

  const seek = ({ topic, partition, offset }: PartitionOffset) =>
    consumer.seek({ topic, partition, offset: String(offset) })

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    lost.abort()
    lost = new AbortController()
    commits.forget()
    const { signal } = lost
    positioned = handOver
      .idle()
      .then(() => onAssigned(payload.memberAssignment, signal))
      .then((offsets) => {
        if (!signal.aborted) offsets.forEach(seek)
      })
    positioned.catch((error) => {
      if (!signal.aborted) onTrouble(error, true)
    })
  })
  consumer.on(consumer.events.REBALANCING, () => {
    // Sent before the request to join: still accepted, and the next owner begins there.
    void commits.flush()
    lost.abort()
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    lost.abort()
    const isOfBroker = payload.error.name.startsWith('KafkaJS')
    onTrouble(isOfBroker ? brokerFault(payload.error, rights) : payload.error, !payload.restart)
  })

  const handle = async (handed: Handed[]) => {
    const assignment = lost
    const current = handed.filter(({ payload }) => payload.isRunning() && !payload.isStale())
    const [first] = current
    if (!first) return
    const { commitOffsetsIfNecessary, isRunning } = first.payload
    const beating = { ...first.payload, everyMs, lost: lost.signal }
    const handled = await whileBeating(beating, async (signal) => {
      await positioned
      return handleFresh(current, (batches) => onBatches(batches, signal))
    }).catch((error) => {
      if (assignment === lost) for (const { batch } of current) seek({ ...batch, offset: batch.fetchedFrom })
      throw error
    })
    if (assignment !== lost) return
    const isDone = ({ batch, offset }: Handled) => offset === batch.next
    for (const one of handled) if (!isDone(one)) seek(placeOf(one))
    commits.add(handled.filter(isDone).map(placeOf), commitOffsetsIfNecessary)
    if (!isRunning()) await commits.flush()
  }
  const handOver = new HandOver(handle, isLarge)

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
    // The library hands over all partitions of an answer within one turn.
    partitionsConsumedConcurrently: partitionsMax,
    eachBatch: (payload) =>
      handOver.add({ payload, batch: toIncomingBatch(payload.batch as unknown as Fetched) }),
  })

  return {
    /** Stops fetching, lets the batches in hand finish, leaves the group. */
    async close() {
      lost.abort()
      await handOver.idle()
      await commits.flush()
      await consumer.disconnect()
      await handOver.idle()
      commits.forget()
    },
  }
}

const configOf = (
  { groupId, fetching = {} }: SubscriptionOptions,
  sessionTimeout: number,
  heartbeatInterval: number,
): ConsumerConfig => ({
  ...{ groupId, sessionTimeout, heartbeatInterval },
  minBytes: fetching.bytesMin ?? 1,
  maxWaitTimeInMs: fetching.waitMs ?? 500,
  ...(fetching.batchBytesMax === undefined ? {} : { maxBytesPerPartition: fetching.batchBytesMax }),
  allowAutoTopicCreation: false,
  retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 8, restartOnFailure: async () => true },
})

type Handed = { payload: EachBatchPayload; batch: IncomingBatch }
/** With the offset to continue from. */
type Handled = Handed & { offset: bigint }

const placeOf = ({ batch: { topic, partition }, offset }: Handled): PartitionOffset => ({
  topic,
  partition,
  offset,
})

/** Fewer are handled faster than the next are fetched. */
const recordsOfLarge = 1000
const isLarge = (handed: Handed[]): boolean =>
  handed.reduce((sum, { batch }) => sum + batch.records.length, 0) >= recordsOfLarge

/** Without those that were fetched before their partition was positioned, or that are seeked meanwhile. */
async function handleFresh(
  handed: Handed[],
  onBatches: (batches: IncomingBatch[]) => Promise<bigint[]>,
): Promise<Handled[]> {
  const fresh = handed.filter(({ payload }) => !payload.isStale())
  if (fresh.length === 0) return []
  // The next fetch may begin before these are handled; if they end elsewhere, the partition is seeked.
  for (const { payload, batch } of fresh) payload.resolveOffset(String(batch.next - 1n))
  const offsets = await onBatches(fresh.map(({ batch }) => batch))
  const handled = fresh.map((one, index) => ({ ...one, offset: offsets[index] ?? one.batch.fetchedFrom }))
  return handled.filter(({ payload }) => !payload.isStale())
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
