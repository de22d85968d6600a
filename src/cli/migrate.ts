/** `migrate`: what a service does when it starts with MIGRATE_ON_START=true, as a step of its own. */
import { grants as balancesGrants } from '../balances/db/grants'
import { grantAllAsLive } from '../balances/rebuild/shadow-store'
import { readServiceConfig } from '../config/config'
import { grants as walletGrants } from '../wallet/db/grants'
import { defineCommand, withDatabase } from './command'

const rights = {
  wallet: { grants: walletGrants },
  balances: { grants: balancesGrants, grantMore: grantAllAsLive },
}

export const migrate = defineCommand({
  about: 'brings the database of one service to the schema of this version',
  details: [
    'The environment is that of the service: SERVICE, DATABASE_URL, MIGRATION_DATABASE_URL.',
    'For services that run with MIGRATE_ON_START=false. Running it again changes nothing.',
  ],
  options: {},
  examples: ['docker compose run --rm wallet saldo migrate'],
  json: { example: { service: 'wallet', schema: 'current' } },
  interrupted: 'A migration is one transaction: it was done as a whole, or not at all. Run it again.',
  async run(_, { env, signal, json, print }) {
    const { service, database } = readServiceConfig(env)
    const { url, migrationUrl } = database
    const migration = { ownerUrl: migrationUrl, ...rights[service] }
    const remedy = 'Check DATABASE_URL and MIGRATION_DATABASE_URL.'
    await withDatabase({ name: 'migrate', service, url, migration, remedy, signal }, async () => {})
    await print(
      json
        ? JSON.stringify({ service, schema: 'current' })
        : `The ${service} database has the schema of this version.`,
    )
    return 0
  },
})
