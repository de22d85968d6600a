/**
 * The numbers of all advisory locks, in one place so that no two are the same: PostgreSQL knows one
 * space of numbers per database, for session and transaction locks alike. A released number keeps
 * its meaning, since replicas of two versions run side by side.
 */
export const advisoryLocks = {
  /** Migrations and seed, in either database. */
  preparation: 7_236_015_001,
  /** The leader that publishes the wallet's outbox. */
  relay: 7_236_015_002,
  /** Wallet batches that lost too many races. */
  contention: 7_236_015_003,
  /** Events without versions count on from what is stored. */
  projection: 7_236_015_004,
  /** The process that carries a rebuild out. */
  rebuild: 7_236_015_005,
  /** The process that publishes dead letters. */
  deadLetterPublisher: 7_236_015_006,
  /** Whoever changes what there is of a rebuild: starts, swaps, rolls back or cancels it. */
  rebuildRequest: 7_236_015_007,
} as const
