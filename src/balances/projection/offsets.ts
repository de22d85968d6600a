/** Offsets by `partitionName`: where logs begin or end, or the next record to apply. */
export type Offsets = ReadonlyMap<string, bigint>

/** Records in the logs that were not applied. */
export function lagOf(ends: Offsets, applied: Offsets): bigint {
  let lag = 0n
  for (const [partition, end] of ends) {
    const missing = end - (applied.get(partition) ?? 0n)
    if (missing > 0n) lag += missing
  }
  return lag
}
