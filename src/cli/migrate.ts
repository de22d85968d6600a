/** `migrate`: what a service does when it starts with MIGRATE_ON_START=true, as a step of its own. */
import { grants as balancesGrants } from '../balances/db/grants'
import { grantAllAsLive } from '../balances/rebuild/shadow-store'
import { readServiceConfig } from '../config/config'
import { integer } from '../config/parsers'
import { SetupError } from '../platform/fault'
import { databaseFault, isConnectionLost } from '../platform/postgres/failures'
import { prepareDatabase } from '../platform/postgres/migrate'
import { createLog } from '../platform/telemetry/log'
import { grants as walletGrants } from '../wallet/db/grants'
import { connectTimeoutMs, defineCommand, migrationsOf } from './command'
import { exitCodes } from './exit-codes'
import { valueOr } from './options'

const rights = {
  wallet: { grants: walletGrants },
  balances: { grants: balancesGrants, grantMore: grantAllAsLive },
}

export const migrate = defineCommand({
  about: 'brings the database of one service to the schema of this version',
  details: [
    'The environment is that of the service: SERVICE, DATABASE_URL, MIGRATION_DATABASE_URL.',
    'For services that run with MIGRATE_ON_START=false. Running it again changes nothing. While another',
    'session holds a lock that it needs, it says which one, and tries again: it never keeps others waiting',
    'for more than two seconds.',
  ],
  options: {
    wait: valueOr('60', 'SECONDS', 'how long it may wait for locks of other sessions', integer(0, 86_400)),
  },
  examples: ['docker compose run --rm wallet saldo migrate'],
  json: { example: { service: 'wallet', schema: 'current' } },
  exits: { undecided: 'A lock was not to be had within `--wait`. Run it again, once its holder is gone.' },
  interrupted: 'A migration is one transaction: it was done as a whole, or not at all. Run it again.',
  async run({ wait }, { env, signal, json, print }) {
    const { service, database } = readServiceConfig(env)
    const { url, migrationUrl } = database
    const log = createLog({ service: 'migrate', level: 'error', format: 'pretty' })
    const patience = createPatience(wait)
    try {
      await prepareDatabase({
        ...{ url, ownerUrl: migrationUrl, folder: migrationsOf(service), migrate: true, log },
        ...rights[service],
        onWait: patience.onWait,
        signal: AbortSignal.any([signal, patience.signal]),
      })
    } catch (error) {
      const { waitsFor } = patience
      if (signal.aborted || !patience.signal.aborted) throw error
      if (waitsFor === undefined || isConnectionLost(error)) {
        const remedy = 'Check DATABASE_URL and MIGRATION_DATABASE_URL.'
        throw new SetupError(`${(databaseFault(error) ?? (error as Error)).message}. ${remedy}`)
      }
      console.error(
        `Not migrated: after ${wait} s it still waits for ${waitsFor}. End that session (select ` +
          'pg_terminate_backend(PID)), or run it again with a longer --wait. Earlier migrations stay.',
      )
      return exitCodes.undecided
    } finally {
      patience.end()
    }
    await print(
      json
        ? JSON.stringify({ service, schema: 'current' })
        : `The ${service} database has the schema of this version.`,
    )
    return exitCodes.done
  },
})

/** Between two lines that say for what it waits, in milliseconds. */
const sayEveryMs = 5000

/** A database that does not answer is given up soon; one that does, and waits, after `waitSeconds`. */
function createPatience(waitSeconds: number) {
  const limit = new AbortController()
  const startedMs = performance.now()
  let timer = setTimeout(() => limit.abort(), connectTimeoutMs)
  let [waitsFor, saidMs]: [string | undefined, number] = [undefined, 0]
  return {
    signal: limit.signal,
    get waitsFor() {
      return waitsFor
    },
    onWait(what: string): void {
      const waitedMs = performance.now() - startedMs
      if (waitsFor === undefined) {
        clearTimeout(timer)
        timer = setTimeout(() => limit.abort(), Math.max(0, waitSeconds * 1000 - waitedMs))
      }
      waitsFor = what
      if (saidMs > 0 && waitedMs - saidMs < sayEveryMs) return
      saidMs = waitedMs
      console.error(`Waiting, for ${Math.round(waitedMs / 1000)} s of ${waitSeconds}, for ${what}`)
    },
    end: () => clearTimeout(timer),
  }
}
