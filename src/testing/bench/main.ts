/**
 * Measures by name: `bun run bench broker`. What is measured runs beside it as processes of its own; all of them end with this one.
 */
import { benchBroker } from './broker.ts'
import { killBroker } from './broker-kill.ts'
import { benchLedger } from './ledger.ts'

import { benchReads } from './reads.ts'
import { benchRebuild } from './rebuild.ts'
import { benchReconcile } from './reconcile.ts'
import { killRelay } from './relay-kill.ts'

import { benchReplicas } from './replicas.ts'
import { benchStreams } from './streams.ts'

const benches: Record<string, { about: string; run(args: string[]): Promise<void> }> = {
  broker: { about: 'the embedded broker, beside the one KAFKA_BROKERS names if any', run: benchBroker },
  'broker-kill': { about: 'kill -9 while producing, 200 times: [rounds] [seed]', run: killBroker },
  ledger: {
    about: 'transfers, beside the usual way and beside PostgreSQL alone: [--full] [--plot=file.svg]',
    run: benchLedger,
  },
  reads: { about: 'balances asked for, and transfers until they can be read: [samples]', run: benchReads },
  rebuild: { about: 'the tables of the read side from a topic, while they serve: [events]', run: benchRebuild },
  'relay-kill': { about: 'kill -9 of the leading relay during transfers: [kills] [transfers]', run: killRelay },
  reconcile: { about: 'how long reconcile takes for so many events: [events]', run: benchReconcile },
  replicas: { about: 'four wallets on one database while connections are cut: [seconds] [--calm]', run: benchReplicas },
  streams: { about: 'a thousand open streams while money moves: [seconds]', run: benchStreams },
}

const [name = '', ...args] = process.argv.slice(2).filter((argument) => argument !== '--lifeline')
const bench = benches[name]
if (!bench) {
  console.log('bun run bench NAME, where NAME is')
  for (const [each, { about }] of Object.entries(benches)) console.log(`  ${each.padEnd(12)} ${about}`)
  process.exit(1)
}
// The launcher holds the other end: when it is gone, so is whoever wanted to know.
if (process.argv.includes('--lifeline')) process.stdin.on('end', () => process.exit(1)).resume()
await bench.run(args)
process.exit(0)
