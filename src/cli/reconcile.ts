/** `reconcile` at a terminal: compares, reports, signs and keeps the report, or verifies one. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { addReconciliation } from '../balances/reconciliations/reconciliations-store'
import { ConfigError, readReconcileConfig, readReportKey } from '../config/config'
import { integer } from '../config/parsers'
import { Fault, messageOf, SetupError, UsageError, withoutQuery } from '../platform/fault'
import { isConnectionLost } from '../platform/postgres/failures'
import { showProgressBar } from '../platform/process/progress-bar'
import { CannotCompare, reconcile } from '../reconcile/reconcile'
import { documentOf, type ReportDocument } from '../reconcile/report'
import { type Context, defineCommand, withDatabase } from './command'
import { exitCodes } from './exit-codes'
import { anyText, flag, refuse, value, valueOr } from './options'
import { describeReport } from './reconcile-text'

/** By result; 2 when the comparison failed. */
const exitsOfResults = {
  clean: exitCodes.done,
  different: exitCodes.failed,
  pending: exitCodes.undecided,
} as const

const comparing = ['wait', 'limit', 'store', 'report']

export const reconcileCommand = defineCommand({
  about: 'compares ledger, outbox, topics and read model, and reports every difference',
  details: [
    'With RECONCILE_SIGNING_KEY the report that is kept is signed, and can be verified offline:',
    'docs/reconcile.md#evidence.',
  ],
  options: {
    wait: valueOr(
      '30',
      'SECONDS',
      'how long the read side may take to catch up; 0 does not wait',
      integer(0, 86_400),
    ),
    limit: valueOr(
      '20',
      'DIFFERENCES',
      'how many to show of each source; all are counted',
      integer(0, 100_000),
    ),
    store: flag('keeps the report in balances: GET /reconciliations'),
    report: value('FILE', 'writes the report to a new file', anyText),
    verify: value('FILE', 'verifies a signed report instead of comparing; - is standard input', anyText),
    key: value(
      'FILE',
      'the public key for --verify, in PEM; that of RECONCILE_SIGNING_KEY otherwise',
      anyText,
    ),
  },
  exclusive: comparing.map((option) => ['verify', option]),
  examples: [
    'saldo reconcile --json --wait 0',
    'docker compose run --rm saldo reconcile --store',
    'saldo reconcile --report 2026-01-31.jws',
    'saldo reconcile --verify 2026-01-31.jws --key reconcile.pub',
  ],
  json: {
    example: {
      type: 'saldo.reconciliation.v1',
      software: { name: 'saldo', version: '0.2.0' },
      result: 'different',
      watermark: '2026-01-31T00:00:00.000Z',
      ended_at: '2026-01-31T00:00:01.000Z',
      sources: {
        wallet: { host: 'wallet-db', port: 5432, database: 'wallet' },
        balances: { host: 'balances-db', port: 5432, database: 'balances' },
        kafka: {
          brokers: ['redpanda:9092'],
          cluster_id: 'redpanda.1c5b',
          partitions: [{ topic: 'balances', partition: 0, first: 0, end: 34, applied: 34 }],
        },
      },
      signatures_lack_keys: false,
      counts: {
        ...{ waiting: 0, behind: 0, unchecked: 0, lost: 0, outbox: 0, records: 55, shown: 34, entries: 34 },
        ...{ skipped: 0, lag: 0, unsigned: null },
      },
      differences_total: 1,
      differences: [
        {
          where: 'read model',
          problem: 'missing although its event was consumed',
          account_id: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
          version: 3,
        },
      ],
    },
  },
  exits: {
    done: 'No difference; with `--verify`: the report is as it was signed.',
    failed: 'Differences; with `--verify`: the report is not as it was signed.',
    usage:
      'Wrong usage; or nothing was compared or kept: a database or the broker is down, a setting is missing.',
    undecided: 'No difference so far, but events are in flight.',
  },
  interrupted: 'Reconcile changes nothing, and no report was kept.',
  async run(options, context) {
    if (options.key !== undefined && options.verify === undefined)
      refuse('key', 'has no effect without --verify: leave it out')
    if (options.report !== undefined && existsSync(options.report))
      refuse('report', 'names a file that exists: choose another')
    try {
      if (options.verify !== undefined) return await verify(options.verify, options.key, context)
      return await compare(options, context)
    } catch (error) {
      // A failed comparison must not look like a difference, whose exit code is 1.
      if (error instanceof UsageError) throw error
      if (error instanceof CannotCompare || error instanceof ConfigError || error instanceof SetupError)
        console.error(error.message)
      else if (error instanceof Fault || isConnectionLost(error))
        console.error(`Comparison incomplete, run it again: ${messageOf(error)}`)
      else if (!context.signal.aborted) console.error(withoutQuery(error))
      return exitCodes.usage
    }
  },
})

type CompareOptions = { wait: number; limit: number; store: boolean; report: string | undefined }

async function compare(options: CompareOptions, { env, signal, json, print }: Context): Promise<number> {
  const config = readReconcileConfig(env)
  const key = readReportKey(env)
  const found = await reconcile(config, {
    ...{ waitMs: options.wait * 1000, differencesMax: options.limit },
    showProgress: showProgressBar,
    signal,
  })
  const report = documentOf(found, config, new Date())
  const text = JSON.stringify(report)
  // Before it is kept, because that may fail.
  await print(json ? text : describeReport(report.result, found))
  if (options.store || options.report !== undefined) {
    const signed = key && (await (await import('../reconcile/signed-report')).signReport(text, key))
    if (!signed) console.error('The report is not signed: RECONCILE_SIGNING_KEY is not set.')
    if (options.report !== undefined) writeNew(options.report, `${signed?.jws ?? text}\n`)
    if (options.store) await keep(config.balancesUrl, { report, text, signed }, signal)
  }
  return exitsOfResults[report.result]
}

function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx' })
  } catch (error) {
    throw new SetupError(`The report was not written: ${messageOf(error)}.`)
  }
}

type Kept = { report: ReportDocument; text: string; signed: { keyId: string; jws: string } | undefined }

async function keep(url: string, { report, text, signed }: Kept, signal: AbortSignal): Promise<void> {
  const remedy = 'The report was not kept. Check BALANCES_DATABASE_URL.'
  const options = { name: 'reconcile', service: 'balances', url, remedy, signal } as const
  const { watermark, result, differences_total: differencesTotal } = report
  const row = { watermark, result, differencesTotal, report: text }
  const id = await withDatabase(options, ({ sql }) =>
    addReconciliation(sql, { ...row, keyId: signed?.keyId ?? null, jws: signed?.jws ?? null }),
  )
  console.error(`Kept as /reconciliations/${id}.`)
}

async function verify(file: string, keyFile: string | undefined, { env, json, print }: Context) {
  const key = keyFile === undefined ? ownKey(env) : publicKeyIn(keyFile)
  const { verifyReport } = await import('../reconcile/signed-report')
  const verdict = await verifyReport(readText('verify', file === '-' ? '/dev/stdin' : file), key)
  if (!verdict.valid) {
    console.error(`Not valid: ${verdict.reason}.`)
    return exitCodes.failed
  }
  const { report, keyId, text } = verdict
  const { result, watermark, software, differences_total: differences } = report
  console.error(`Valid: signed with the key ${keyId}.`)
  await print(
    json
      ? text
      : `${result}, ${differences} differences, as of ${watermark}, by ${software.name} ${software.version}`,
  )
  return exitCodes.done
}

function ownKey(env: Context['env']): KeyObject {
  const key = readReportKey(env)
  if (!key) refuse('verify', 'needs --key FILE, or RECONCILE_SIGNING_KEY')
  return createPublicKey(key)
}

function publicKeyIn(file: string): KeyObject {
  const pem = readText('key', file)
  try {
    const key = createPublicKey(pem)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // The same refusal.
  }
  return refuse('key', 'must name a key of Ed25519 in PEM')
}

function readText(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    return refuse(option, `names a file that cannot be read: ${messageOf(error)}`)
  }
}
