/**
 * All advisory lock numbers, in one place so that they differ: PostgreSQL has a single space of
 * numbers per database, for session and transaction locks alike. A released number keeps its meaning,
 * since replicas of two versions run side by side.
 */
export const advisoryLocks = {
  /** Migrations and seeds, in either database. */
  preparation: 7_236_015_001,
  /** The leader that publishes the wallet's outbox. */
  relay: 7_236_015_002,
  /** Wallet batches that lost too many races. */
  contention: 7_236_015_003,
  /** Assigns versions to events without one. */
  projection: 7_236_015_004,
  /** The process that runs a rebuild. */
  rebuild: 7_236_015_005,
  /** The process that publishes dead letters. */
  deadLetterPublisher: 7_236_015_006,
  /** Starting, swapping, rolling back or cancelling a rebuild. */
  rebuildRequest: 7_236_015_007,
} as const
