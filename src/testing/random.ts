/**
 * Randomness that can be replayed. A run has one seed, from the variable SEED or random, and every
 * generator and every property starts with it.
 */
import { relative, resolve } from 'node:path'
import fc from 'fast-check'

export const seed: number = Number(process.env.SEED || Math.floor(Math.random() * 2 ** 31))

export function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * How many random cases or rounds a test with many tries: a quarter, drawn each time, in a run of all
 * tests by hand; all of them in the gate, and where files are named. See `install.ts`.
 */
export const casesOf = (all: number): number => (process.env.TEST_CASES === 'few' ? Math.ceil(all / 4) : all)

/** Those of a list to try: as many as `casesOf` says, drawn by the seed. */
export function drawn<T>(all: readonly T[]): T[] {
  const random = mulberry32(seed)
  const ranked = all.map((one, index) => ({ one, index, rank: random() }))
  const chosen = ranked.sort((a, b) => a.rank - b.rank).slice(0, casesOf(all.length))
  return chosen.sort((a, b) => a.index - b.index).map(({ one }) => one)
}

/** For benches, which share one generator. */
export const random: () => number = mulberry32(seed)

/** The command that runs the current test file with a seed. */
export function replayOf(seed: number): string {
  return `To replay: SEED=${seed} npm test -- ${relative(resolve(import.meta.dir, '../..'), Bun.main)}`
}

/** A test with random choices. When it fails, the error ends with the command that replays it. */
export function seeded<Row extends unknown[]>(
  run: (random: () => number, ...row: Row) => Promise<void>,
): (...row: Row) => Promise<void> {
  return async (...row) => {
    try {
      await run(mulberry32(seed), ...row)
    } catch (error) {
      if (error instanceof Error) error.message += `\n${replayOf(seed)}`
      throw error
    }
  }
}

const report = (details: fc.RunDetails<unknown>): void => {
  if (!details.failed) return
  const message = `${fc.defaultReportMessage(details)}\n${replayOf(details.seed)}`
  throw new Error(message, { cause: details.errorInstance })
}

/** Applies seed and reporter to all properties. */
export function configureProperties(): void {
  fc.configureGlobal({ seed, reporter: report })
}
