/** A rebuild creates, moves and drops tables, which only their owner may. */
import type { ServiceConfig } from '../../config/config'
import { type Database, openDatabase } from '../../platform/postgres/database'
import { ownsTables } from './rebuild-store'

/** Without a role of its own, the service is the owner. */
export const ownerUrlOf = ({ database }: ServiceConfig): string => database.migrationUrl ?? database.url

/** Whether this process has the password of the owner. */
export const mayRebuild = async (config: ServiceConfig, sql: Database['sql']): Promise<boolean> =>
  config.database.migrationUrl !== undefined || (await ownsTables(sql))

/** On a connection of the owner, opened for as long as the work takes. */
export async function asOwner<T>(
  config: ServiceConfig,
  work: (sql: Database['sql']) => Promise<T>,
): Promise<T> {
  const { prepare } = config.database
  const options = { url: ownerUrlOf(config), prepare, poolMax: 1, applicationName: 'saldo-balances-rebuild' }
  const owner = openDatabase(options)
  try {
    return await work(owner.sql)
  } finally {
    await owner.close()
  }
}
