/** Which partition a key belongs to: what Java's clients answer, by the library's own partitioner. */
import { type ICustomPartitioner, type Message, type PartitionerArgs, Partitioners } from 'kafkajs'

/** Carries the partition that was chosen, since the broker's answer does not say which record went where. */
export type PlacedMessage = Message & { partition: number }

const choosePartition = Partitioners.DefaultPartitioner()
/** By number of partitions and key: the library takes 17 µs for a key, and accounts recur. */
const memo = new Map<string, number>()
const memoSizeMax = 10_000

/** A record without a key goes where an empty key goes, so that such records keep their order, too. */
export function partitionOf(key: Message['key'], target: Omit<PartitionerArgs, 'message'>): number {
  const choose = () => choosePartition({ ...target, message: { key: key ?? '', value: null } })
  if (typeof key !== 'string') return choose()
  const id = `${target.partitionMetadata.length}/${key}`
  let partition = memo.get(id)
  if (partition === undefined) {
    partition = choose()
    if (memo.size >= memoSizeMax) memo.clear()
    memo.set(id, partition)
  }
  return partition
}

export const notingPartitioner: ICustomPartitioner =
  () =>
  ({ message, ...target }) => {
    const placed = message as PlacedMessage
    placed.partition = partitionOf(message.key, target)
    return placed.partition
  }
