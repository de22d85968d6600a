/**
 * Runs one benchmark: `npm run bench -- broker`. Its subjects are child processes, which end with
 * this one.
 */

import { asksForHelp, refuseUsage, showHelp } from '../../platform/process/options.ts'
import { seed } from '../random.ts'
import { benchBroker } from './broker.ts'
import { killBroker } from './broker-kill.ts'
import { benchClientFaults } from './client-faults.ts'
import { benchGrowth } from './growth.ts'
import { benchLedger } from './ledger.ts'
import { benchPath } from './path.ts'
import { benchPreview } from './preview.ts'
import { benchReads } from './reads.ts'
import { benchRebuild } from './rebuild.ts'
import { benchReconcile } from './reconcile.ts'
import { killRelay } from './relay-kill.ts'

import { benchReplicas } from './replicas.ts'
import { benchSignatures } from './signatures.ts'
import { benchStreams } from './streams.ts'

/** `about` ends with the arguments in brackets. */
type Bench = { about: string; run(args: string[]): Promise<void> }

const benches: Record<string, Bench> = {
  broker: { about: 'the local broker, compared with the one in KAFKA_BROKERS if set', run: benchBroker },
  'broker-kill': { about: 'kill -9 while producing, 200 times: [rounds] [seed]', run: killBroker },
  'client-faults': {
    about: 'transfers by the client while a fifth of its requests is cut: [transfers] [seed]',
    run: benchClientFaults,
  },
  growth: {
    about:
      'a ledger filled to each size, and measured: [--at=100000,1000000] [--accounts=n] ' +
      '[--directory=dir] [--fill] [--seconds=n] [--rounds=n] [--reconcile=max] [--json=file]',
    run: benchGrowth,
  },
  ledger: {
    about: 'transfers, compared with a naive service and pgbench: [--full] [--plot=file.svg]',
    run: benchLedger,
  },
  path: {
    about:
      'the whole path of a transfer with npm start: [--quick] [--against=checkout] [--connections=1,64] ' +
      '[--seconds=n] [--rounds=n] [--accounts=n] [--uniform] [--hot] [--batch=n] [--json=file] ' +
      '[--plot=file.svg]',
    run: benchPath,
  },
  preview: {
    about: 'random commands, each previewed and then executed: [commands] [seed]',
    run: benchPreview,
  },
  reads: { about: 'balance reads, and delay from transfer to read: [samples]', run: benchReads },
  rebuild: {
    about: 'building and rebuilding the read model while it serves: [events]',
    run: benchRebuild,
  },
  'relay-kill': {
    about: 'kill -9 of the leading relay during transfers: [kills] [transfers]',
    run: killRelay,
  },
  reconcile: { about: 'duration of reconcile: [events]', run: benchReconcile },
  replicas: {
    about: 'four wallets on one database while connections are cut: [seconds] [--calm]',
    run: benchReplicas,
  },
  signatures: { about: 'processor time of signing and verifying events: [events]', run: benchSignatures },
  streams: { about: 'a thousand open streams while money moves: [seconds]', run: benchStreams },
}

const [name = '', ...given] = process.argv.slice(2).filter((argument) => argument !== '--lifeline')
const bench = Object.hasOwn(benches, name) ? benches[name] : undefined
const args = joinValues(given, bench?.about ?? '')
if (!bench && (name === 'help' || asksForHelp([name]))) showHelp(usage())
if (!bench) refuseUsage(name && `There is no bench ${name}.`, usage())
if (asksForHelp(args)) showHelp(usageOf(name, bench))
const notUnderstood = findNotUnderstood(args, bench.about)
if (notUnderstood) refuseUsage(notUnderstood, usageOf(name, bench))
// The launcher holds the other end of stdin: exit when it dies.
if (process.argv.includes('--lifeline')) process.stdin.on('end', () => process.exit(1)).resume()
await bench.run(args).catch((error) => {
  console.error(error)
  console.error(`To replay: SEED=${seed} npm run bench -- ${[name, ...args].join(' ')}`)
  process.exit(1)
})
process.exit(0)

function usage(): string {
  const lines = Object.entries(benches).map(([each, { about }]) => `  ${each.padEnd(13)} ${about}`)
  return ['Usage: npm run bench -- NAME, where NAME is', ...lines].join('\n')
}

function usageOf(name: string, { about }: Bench): string {
  const [does, takes = ''] = about.split(': [')
  return `Usage: npm run bench -- ${name} ${takes && `[${takes}`}\n  ${does}`
}

/** `--rounds 3` becomes `--rounds=3`, of options that have a value in `about`. */
function joinValues(args: string[], about: string): string[] {
  const withValues = [...about.matchAll(/\[(--[\w-]+)=/g)].map(([, option]) => option)
  return args.flatMap((argument, index) => {
    if (withValues.includes(args[index - 1])) return []
    return withValues.includes(argument) ? [`${argument}=${args[index + 1] ?? ''}`] : [argument]
  })
}

/** Checks arguments against `about`: whole numbers in order, and the options it lists. */
function findNotUnderstood(args: string[], about: string): string | undefined {
  const takes = [...about.matchAll(/\[(-*)([\w-]+)/g)].map(([, dashes = '', word = '']) => `${dashes}${word}`)
  const options = takes.filter((one) => one.startsWith('-'))
  const numbers = args.filter((one) => !one.startsWith('-'))
  const stranger = args.find((one) => one.startsWith('-') && !options.includes(one.split('=')[0] ?? ''))
  if (stranger) return `Unknown option '${stranger}'.`
  const twice = args.find(
    (one, index) => one.startsWith('-') && args.findIndex((other) => nameOf(other) === nameOf(one)) < index,
  )
  if (twice) return `${nameOf(twice)} is given twice.`
  const fault = args
    .filter((one) => one.startsWith('-'))
    .map((one) => faultOfOption(one, about))
    .find((one) => one !== undefined)
  if (fault) return fault
  const notNumber = numbers.find((one) => !/^\d+$/.test(one))
  if (notNumber) return `'${notNumber}' is not a whole number.`
  return numbers.length > takes.length - options.length ? 'Too many arguments.' : undefined
}

function nameOf(argument: string): string {
  return argument.split('=')[0] ?? ''
}

/** By the form of its value in `about`: `=n` and `=max` are numbers, `=1,64` a list of them, none a flag. */
function faultOfOption(argument: string, about: string): string | undefined {
  const [, name = '', value] = /^(--[\w-]+)(?:=(.*))?$/s.exec(argument) ?? []
  const [, form] = new RegExp(`\\[${name}(?:=([^\\]]+))?\\]`).exec(about) ?? []
  if (form === undefined) return value === undefined ? undefined : `${name} takes no value.`
  if (!value) return `${name} needs a value: ${name}=${form}.`
  const isNumber = /^(n|max)$/.test(form)
  if (isNumber && !/^[1-9]\d{0,8}$/.test(value))
    return `${name} must be a whole number of 1 or more, but is '${value}'.`
  if (/^\d/.test(form) && !/^[1-9]\d{0,8}(,[1-9]\d{0,8})*$/.test(value))
    return `${name} must be whole numbers with commas such as ${form}, but is '${value}'.`
  return undefined
}
