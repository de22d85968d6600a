/** Where records are: partitions and offsets. */

/** One name for a partition, as a key of maps and in messages. */
export const partitionName = (topic: string, partition: number): string => `${topic}/${partition}`

/** Where a record is, within its topic. */
export type RecordCoordinates = { partition: number; offset: bigint }

export type PartitionOffset = { topic: string; partition: number; offset: bigint }

/**
 * What the log of a partition holds: from `first`, which is above 0 once old records were deleted,
 * to below `offset`.
 */
export type OffsetRange = PartitionOffset & { first: bigint }
