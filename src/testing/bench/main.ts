/**
 * Measures by name: `bun run bench broker`. What is measured runs beside it as processes of its
 * own; all of them end with this one.
 */

import { asksForHelp, refuseUsage, showHelp } from '../../platform/process/options.ts'
import { seed } from '../random.ts'
import { benchBroker } from './broker.ts'
import { killBroker } from './broker-kill.ts'
import { benchLedger } from './ledger.ts'

import { benchReads } from './reads.ts'
import { benchRebuild } from './rebuild.ts'
import { benchReconcile } from './reconcile.ts'
import { killRelay } from './relay-kill.ts'

import { benchReplicas } from './replicas.ts'
import { benchStreams } from './streams.ts'

/** What it takes stands in brackets behind what it does. */
type Bench = { about: string; run(args: string[]): Promise<void> }

const benches: Record<string, Bench> = {
  broker: { about: 'the embedded broker, beside the one KAFKA_BROKERS names if any', run: benchBroker },
  'broker-kill': { about: 'kill -9 while producing, 200 times: [rounds] [seed]', run: killBroker },
  ledger: {
    about: 'transfers, beside the usual way and beside PostgreSQL alone: [--full] [--plot=file.svg]',
    run: benchLedger,
  },
  reads: { about: 'balances asked for, and transfers until they can be read: [samples]', run: benchReads },
  rebuild: {
    about: 'the tables of the read side from a topic, while they serve: [events]',
    run: benchRebuild,
  },
  'relay-kill': {
    about: 'kill -9 of the leading relay during transfers: [kills] [transfers]',
    run: killRelay,
  },
  reconcile: { about: 'how long reconcile takes for so many events: [events]', run: benchReconcile },
  replicas: {
    about: 'four wallets on one database while connections are cut: [seconds] [--calm]',
    run: benchReplicas,
  },
  streams: { about: 'a thousand open streams while money moves: [seconds]', run: benchStreams },
}

const [name = '', ...args] = process.argv.slice(2).filter((argument) => argument !== '--lifeline')
const bench = Object.hasOwn(benches, name) ? benches[name] : undefined
if (!bench && (name === 'help' || asksForHelp([name]))) showHelp(usage())
if (!bench) refuseUsage(name && `There is no bench ${name}.`, usage())
if (asksForHelp(args)) showHelp(usageOf(name, bench))
const notUnderstood = findNotUnderstood(args, bench.about)
if (notUnderstood) refuseUsage(notUnderstood, usageOf(name, bench))
// The launcher holds the other end: when it is gone, so is whoever wanted to know.
if (process.argv.includes('--lifeline')) process.stdin.on('end', () => process.exit(1)).resume()
await bench.run(args).catch((error) => {
  console.error(error)
  console.error(`To replay: SEED=${seed} npm run bench -- ${[name, ...args].join(' ')}`)
  process.exit(1)
})
process.exit(0)

function usage(): string {
  const lines = Object.entries(benches).map(([each, { about }]) => `  ${each.padEnd(12)} ${about}`)
  return ['Usage: npm run bench -- NAME, where NAME is', ...lines].join('\n')
}

function usageOf(name: string, { about }: Bench): string {
  const [does, takes = ''] = about.split(': [')
  return `Usage: npm run bench -- ${name} ${takes && `[${takes}`}\n  ${does}`
}

/** By what the bench says that it takes: whole numbers, in their order, and the options it names. */
function findNotUnderstood(args: string[], about: string): string | undefined {
  const takes = [...about.matchAll(/\[(-*)([\w-]+)/g)].map(([, dashes = '', word = '']) => `${dashes}${word}`)
  const options = takes.filter((one) => one.startsWith('-'))
  const numbers = args.filter((one) => !one.startsWith('-'))
  const stranger = args.find((one) => one.startsWith('-') && !options.includes(one.split('=')[0] ?? ''))
  if (stranger) return `Unknown option '${stranger}'.`
  const notNumber = numbers.find((one) => !/^\d+$/.test(one))
  if (notNumber) return `'${notNumber}' is not a whole number.`
  return numbers.length > takes.length - options.length ? 'Too many arguments.' : undefined
}
