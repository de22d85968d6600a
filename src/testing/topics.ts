/** Topics that a test creates itself. */
import type { ITopicConfig, Kafka } from 'kafkajs'
import { untilServed } from '../platform/kafka/topics'

/**
 * Creates them, and waits until they can be used. Existing ones stay as they are. On a connection of its
 * own: all further requests of one that has asked about a topic fail once that is deleted.
 */
export async function createServedTopics(client: Kafka, topics: ITopicConfig[]): Promise<void> {
  const admin = client.admin()
  await admin.connect()
  try {
    await admin.createTopics({ topics, waitForLeaders: false })
    const names = topics.map(({ topic }) => topic)
    await untilServed(admin, names)
  } finally {
    await admin.disconnect()
  }
}
