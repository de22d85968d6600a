/**
 * Consumes topics as a member of a consumer group. Batches of a partition are handled in order, and
 * an offset is committed only after its batch.
 */
import type { Consumer, EachBatchPayload, Kafka as KafkaClient } from 'kafkajs'
import { brokerFault } from './broker-fault'
import type { Fetched } from './kafkajs-internals'
import type { PartitionOffset } from './offsets'
import { type IncomingBatch, toIncomingBatch } from './records'

/** Partitions by topic. */
export type Assignment = Record<string, number[]>

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
   * Called with each new assignment; offsets known before no longer hold. Returns where to continue;
   * a partition that is left out continues from the group's offset. No batch is handled before it
   * has returned; when it throws, the subscription ends. `signal` as above.
   */
  onAssigned: (assignment: Assignment, signal: AbortSignal) => Promise<PartitionOffset[]>
  /** Partitions whose batches are handled at the same time, and bytes of one: 1, and 1 MB. */
  ahead?: { concurrency: number; batchBytesMax: number }
  /** Consuming was interrupted. It resumes by itself, unless `final`: then close, and subscribe again. */
  onTrouble: (error: unknown, final: boolean) => void
}

export type Subscription = {
  /** Partitions assigned at the moment; undefined while the group is being joined. */
  assignment(): Assignment | undefined
  /** Stops fetching, lets the batch in hand finish, leaves the group. */
  close(): Promise<void>
}

/** Throws a `Fault` when there is no broker to begin with. */
export async function subscribe(
  client: KafkaClient,
  options: SubscriptionOptions,
  sessionTimeoutMs: number,
): Promise<Subscription> {
  const subscription = new GroupSubscription(client, options, sessionTimeoutMs)
  await subscription.start()
  return subscription
}

class GroupSubscription implements Subscription {
  readonly #options: SubscriptionOptions
  readonly #heartbeatMs: number
  readonly #consumer: Consumer
  #assignment: Assignment | undefined
  /** Aborted when the assignment ends. */
  #lost = new AbortController()
  /** Settles once the partitions of this assignment stand where to continue. */
  #positioned: Promise<void> = Promise.resolve()

  constructor(client: KafkaClient, options: SubscriptionOptions, sessionTimeoutMs: number) {
    const { groupId, ahead } = options
    this.#options = options
    this.#heartbeatMs = sessionTimeoutMs / 6
    this.#consumer = client.consumer({
      groupId,
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: this.#heartbeatMs,
      // Also the longest that `close` waits for a fetch.
      maxWaitTimeInMs: ahead ? 100 : 500,
      ...(ahead ? { maxBytesPerPartition: ahead.batchBytesMax } : {}),
      allowAutoTopicCreation: false,
      retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 8, restartOnFailure: async () => true },
    })
    const { events } = this.#consumer
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => this.#begin(payload.memberAssignment))
    this.#consumer.on(events.REBALANCING, () => this.#end())
    this.#consumer.on(events.CRASH, ({ payload }) => {
      this.#end()
      options.onTrouble(payload.error, !payload.restart)
    })
  }

  async start(): Promise<void> {
    try {
      await this.#consumer.connect()
      await this.#consumer.subscribe({ topics: this.#options.topics, fromBeginning: true })
    } catch (error) {
      await this.#consumer.disconnect().catch(() => {})
      throw brokerFault(error)
    }
    await this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      // Batches share accounts: handled concurrently they would wait for each other's rows.
      partitionsConsumedConcurrently: this.#options.ahead?.concurrency ?? 1,
      eachBatch: (payload) => this.#handle(payload),
    })
  }

  assignment(): Assignment | undefined {
    return this.#assignment
  }

  async close(): Promise<void> {
    this.#lost.abort()
    await this.#consumer.disconnect()
  }

  #begin(assignment: Assignment): void {
    this.#lost.abort()
    this.#lost = new AbortController()
    this.#assignment = assignment
    const { signal } = this.#lost
    this.#positioned = this.#options.onAssigned(assignment, signal).then((offsets) => {
      if (signal.aborted) return
      for (const one of offsets) this.#seek(one)
    })
    this.#positioned.catch((error) => {
      if (!signal.aborted) this.#options.onTrouble(error, true)
    })
  }

  #end(): void {
    this.#assignment = undefined
    this.#lost.abort()
  }

  #seek({ topic, partition, offset }: PartitionOffset): void {
    this.#consumer.seek({ topic, partition, offset: String(offset) })
  }

  async #handle(payload: EachBatchPayload): Promise<void> {
    const { batch, heartbeat, isRunning, isStale } = payload
    if (!isRunning() || isStale()) return
    const { topic, partition } = batch
    const incoming = toIncomingBatch(batch as unknown as Fetched)
    const beating = { heartbeat, everyMs: this.#heartbeatMs, isRunning, lost: this.#lost.signal }
    const next = await whileBeating(beating, async (signal) => {
      await this.#positioned
      // Fetched before the partition was positioned.
      return isStale() ? undefined : this.#options.onBatch(incoming, signal)
    })
    if (next === undefined || isStale()) return
    if (next !== incoming.next) return this.#seek({ topic, partition, offset: next })
    payload.resolveOffset(String(next - 1n))
    await payload.commitOffsetsIfNecessary({
      topics: [{ topic, partitions: [{ partition, offset: String(next) }] }],
    })
  }
}

type Beating = {
  heartbeat: () => Promise<void>
  everyMs: number
  isRunning: () => boolean
  lost: AbortSignal
}

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
