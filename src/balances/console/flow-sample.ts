/** How the projection is, once a second while somebody watches. Unknown parts are null. */
export type FlowSample = {
  atMs: number
  /** Since the sample before. */
  seconds: number
  /** Records that were applied here, whether they are in the stream or not. */
  records: number
  /** Records that the filter of the stream lets through, and how many of them were sent. */
  offered: number
  shown: number
  /** Entries that other processes have applied. */
  entriesElsewhere: number
  lag: readonly PartitionLag[] | null
  /** From the decision at the wallet to the commit here, each by its own clock. */
  latencyMs: { p50: number; p99: number } | null
  deadLetters: number | null
  paused: boolean
  streams: number
  rebuild: { state: string; progress: number | null } | null
}

export type PartitionLag = {
  topic: string
  partition: number
  records: number
  /** Null where it is not known. */
  oldestAgeSeconds: number | null
}
