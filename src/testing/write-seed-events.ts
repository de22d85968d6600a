/**
 * Writes `seed/events.jsonl`, the events of the seed, from `seed/wallet.json`. A test fails when the
 * two differ.
 */
import { join } from 'node:path'
import { optionsOrExit } from '../platform/process/options.ts'
import { readSeedEvents } from '../wallet/seed/seed'

optionsOrExit(
  'Usage: bun src/testing/write-seed-events.ts\n  Writes seed/events.jsonl from seed/wallet.json.',
  {},
)
const file = join(import.meta.dir, '../../seed/events.jsonl')
await Bun.write(
  file,
  readSeedEvents().map((value) => `${value}\n`),
)
console.log(`wrote ${file}`)
