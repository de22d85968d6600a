/** Questions about topics and the cluster. */
import type { Admin, Kafka as KafkaClient } from 'kafkajs'
import { Fault, messageOf } from '../fault'
import type { Log } from '../telemetry/log'
import { brokerFault } from './broker-fault'
import type { OffsetRange } from './offsets'

/** One connection for all questions, opened at the first and replaced after a failure. */
export class TopicAdmin {
  readonly #client: KafkaClient
  readonly #log: Log
  #connected: Promise<Admin> | undefined

  constructor(client: KafkaClient, log: Log) {
    this.#client = client
    this.#log = log
  }

  /** Creates missing topics, and waits until each has leaders. Existing ones stay as they are. */
  ensureTopics(topics: string[], partitions: number): Promise<void> {
    return this.#withOwnConnection(async (admin) => {
      const existing = new Set(await admin.listTopics())
      const missing = topics.filter((topic) => !existing.has(topic))
      if (missing.length > 0) {
        const { brokers } = await admin.describeCluster()
        const replicationFactor = Math.min(3, brokers.length)
        const created = missing.map((topic) => ({ topic, numPartitions: partitions, replicationFactor }))
        await admin.createTopics({ topics: created, waitForLeaders: true }).catch((error) => {
          // Another replica was faster.
          if (!/already exists/i.test(messageOf(error))) throw error
        })
        this.#log.info({ topics: missing, partitions, replicationFactor }, 'topics created')
      }
      await admin.fetchTopicMetadata({ topics })
    })
  }

  clusterId(): Promise<string> {
    return this.#ask(async (admin) => {
      const { clusterId } = await admin.describeCluster()
      // Redpanda reports this placeholder until it has a cluster id.
      if (!clusterId || clusterId === 'redpanda.initializing')
        throw new Fault('broker_unavailable', 'broker has no cluster id yet')
      return clusterId
    })
  }

  endOffsets(topics: string[]): Promise<OffsetRange[]> {
    return this.#ask(async (admin) => {
      const ofTopics = topics.map(async (topic) => {
        const partitions = await admin.fetchTopicOffsets(topic)
        return partitions.map(({ partition, low, high }) => ({
          topic,
          partition,
          first: BigInt(low),
          offset: BigInt(high),
        }))
      })
      return (await Promise.all(ofTopics)).flat()
    })
  }

  isReachable(): Promise<boolean> {
    return this.#ask((admin) => admin.describeCluster()).then(
      () => true,
      () => false,
    )
  }

  async close(): Promise<void> {
    await this.#connected?.then((admin) => admin.disconnect()).catch(() => {})
  }

  async #ask<T>(question: (admin: Admin) => Promise<T>): Promise<T> {
    this.#connected ??= this.#connect()
    const current = this.#connected
    try {
      return await question(await current)
    } catch (error) {
      if (this.#connected === current) this.#connected = undefined
      current.then((admin) => admin.disconnect()).catch(() => {})
      throw brokerFault(error)
    }
  }

  async #connect(): Promise<Admin> {
    const admin = this.#client.admin()
    await admin.connect()
    return admin
  }

  /**
   * kafkajs remembers every topic that a connection has asked about, and one that is just being
   * created fails all further questions of that connection.
   */
  async #withOwnConnection<T>(question: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.#client.admin()
    try {
      await admin.connect()
      return await question(admin)
    } catch (error) {
      throw brokerFault(error)
    } finally {
      admin.disconnect().catch(() => {})
    }
  }
}
