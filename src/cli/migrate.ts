/** `migrate`: what a service does when it starts with MIGRATE_ON_START=true, as a step of its own. */
import { parseArgs } from 'node:util'
import { grants as balancesGrants } from '../balances/db/grants'
import { grantAllAsLive } from '../balances/rebuild/shadow-store'
import { readServiceConfig } from '../config/config'
import { grants as walletGrants } from '../wallet/db/grants'
import { type Command, withDatabase } from './command'

const rights = {
  wallet: { grants: walletGrants },
  balances: { grants: balancesGrants, grantMore: grantAllAsLive },
}

export const migrate: Command = {
  usage: 'migrate',
  about:
    'migrates the database of one service, with the environment of that service (SERVICE, DATABASE_URL …)',
  async run(args, env, signal) {
    parseArgs({ args, options: {} })
    const { service, database } = readServiceConfig(env)
    const { url, migrationUrl } = database
    const migration = { ownerUrl: migrationUrl, ...rights[service] }
    const remedy = 'Check DATABASE_URL and MIGRATION_DATABASE_URL.'
    await withDatabase({ name: 'migrate', service, url, migration, remedy, signal }, async () => {})
    console.log(`The ${service} database has the schema of this version.`)
    return 0
  },
}
