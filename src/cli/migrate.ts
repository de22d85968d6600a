/** `migrate`: what a service does when it starts with MIGRATE_ON_START=true, as a step of its own. */
import { parseArgs } from 'node:util'
import { readServiceConfig } from '../config/config'
import { grants } from '../wallet/db/grants'
import { type Command, withDatabase } from './command'

export const migrate: Command = {
  usage: 'migrate',
  about:
    'migrates the database of one service, with the environment of that service (SERVICE, DATABASE_URL …)',
  async run(args, env, signal) {
    parseArgs({ args, options: {} })
    const { service, database } = readServiceConfig(env)
    const { url, migrationUrl } = database
    const owner = migrationUrl === undefined ? {} : { ownerUrl: migrationUrl }
    const migration = service === 'wallet' ? { ...owner, grants } : owner
    const remedy = 'Check DATABASE_URL and MIGRATION_DATABASE_URL.'
    await withDatabase({ name: 'migrate', service, url, migration, remedy, signal }, async () => {})
    console.log(`The ${service} database has the schema of this version.`)
    return 0
  },
}
