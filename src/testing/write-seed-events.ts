/** Writes `seed/events.jsonl`, the seed as the read side hears it, from `seed/wallet.json`. A test fails when the two differ. */
import { join } from 'node:path'
import { readSeed, seedEvents } from '../wallet/seed'

const file = join(import.meta.dir, '../../seed/events.jsonl')
await Bun.write(
  file,
  seedEvents(readSeed()).map((event) => `${event.value}\n`),
)
console.log(`wrote ${file}`)
