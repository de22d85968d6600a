/** `backup`, `restore` and `verify`: the database of one service, with PostgreSQL's own tools. */
import { backUp, type Manifest, restore, verify } from '../backup/backup'
import { environmentOf, readOwnerUrl, remedyOf, type ServiceName } from '../config/config'
import { SetupError } from '../platform/fault'
import { type Database, openDatabase } from '../platform/postgres/database'
import { withUnavailableFault } from '../platform/postgres/failures'
import { startEpoch } from '../wallet/epochs/epochs-store'
import { type Context, defineCommand, serviceOf, serviceOption } from './command'
import { exitCodes } from './exit-codes'
import { anyText, flag, value } from './options'

const pgBin = value('DIR', 'the folder of pg_dump and pg_restore, where PATH has none that fit', anyText)
const positionals = [{ name: 'DIR', about: 'the folder of the backup' }] as const

const example = {
  ...{ service: 'wallet', taken_at: '2026-11-27T22:00:00.000Z', epoch: 1, bytes: 81_234 },
  counts: { clients: 10, accounts: 11, entries: 34, transactions: 17, holds: 0, outbox: 0 },
}

const presented = ({ service, taken_at, contents, dump }: Manifest) => ({
  ...{ service, taken_at, epoch: contents.epoch, bytes: dump.bytes, counts: contents.counts },
})

const describe = (manifest: Manifest): string => {
  const { service, taken_at, epoch, bytes, counts } = presented(manifest)
  const counted = Object.entries(counts).map(([name, count]) => `${count} ${name}`)
  return `${service} as of ${taken_at}, epoch ${epoch}: ${counted.join(', ')}; ${bytes} bytes`
}

/** The database as its owner. It may be empty, so nothing is migrated or checked. */
async function withOwner<T>(
  service: ServiceName,
  { env }: Pick<Context, 'env'>,
  work: (database: Database, url: string) => Promise<T>,
): Promise<T> {
  const own = environmentOf(env, service)
  const url = readOwnerUrl(own, service)
  const database = openOwner(url)
  try {
    return await withUnavailableFault(work(database, url))
  } catch (error) {
    if (error instanceof SetupError) throw error
    throw new SetupError(`${(error as Error).message}. ${remedyOf(own, ['DATABASE_URL'])}`)
  } finally {
    await database.close()
  }
}

const openOwner = (url: string): Database =>
  openDatabase({ url, prepare: false, poolMax: 1, applicationName: 'saldo-backup' })

export const backup = defineCommand({
  about: 'writes a backup of the database of one service: a folder with a dump and a manifest',
  details: [
    'The service may run. The manifest has counts, sums and a checksum, which restore and verify compare.',
    'It takes pg_dump of the major version of the server or a later one: docs/backup.md.',
  ],
  options: { service: serviceOption, 'pg-bin': pgBin },
  positionals,
  examples: ['saldo backup --service wallet /backups/wallet-2026-11-27'],
  json: { example },
  interrupted: 'The folder has no manifest, so it is no backup: delete it.',
  async run(options, { env, json, print, positionals: [folder = ''] }) {
    const service = serviceOf(options.service, env)
    return withOwner(service, { env }, async (database, url) => {
      const manifest = await backUp({ database, url, service, bin: options['pg-bin'], env }, folder)
      await print(json ? JSON.stringify(presented(manifest)) : describe(manifest))
      return exitCodes.done
    })
  },
})

export const restoreCommand = defineCommand({
  about: 'restores the database of one service from a backup; a restored wallet starts a new epoch',
  details: [
    'Stop the service first. Start it afterwards: it makes its role and migrates, if it may.',
    'What the ledger has lost is removed from balances: docs/backup.md.',
  ],
  options: {
    service: serviceOption,
    replace: flag('deletes what the database has; without it only an empty one is restored to'),
    'pg-bin': pgBin,
  },
  positionals,
  examples: ['saldo restore --service wallet --replace /backups/wallet-2026-11-27'],
  json: { example },
  interrupted: 'The database may be empty: run it again with --replace.',
  async run({ replace, ...options }, { env, json, print, positionals: [folder = ''] }) {
    const service = serviceOf(options.service, env)
    return withOwner(service, { env }, async (database, url) => {
      const target = { database, url, service, bin: options['pg-bin'], env }
      const manifest = await restore(target, folder, { replace })
      if (service === 'wallet')
        await startEpoch(database, { cause: 'restored', evidence: manifest.taken_at, above: 0 })
      await print(json ? JSON.stringify(presented(manifest)) : `Restored ${describe(manifest)}`)
      return exitCodes.done
    })
  },
})

export const verifyCommand = defineCommand({
  about: 'restores a backup into a database of its own, checks it against its manifest, and drops it',
  details: ['On the server of the service, whose owner has to have the right CREATEDB.'],
  options: { service: serviceOption, 'pg-bin': pgBin },
  positionals,
  examples: ['saldo verify --service wallet /backups/wallet-2026-11-27'],
  json: { example: { ...example, faults: [] } },
  interrupted: 'A database saldo_verify_… may be left: drop it.',
  async run(options, { env, json, print, positionals: [folder = ''] }) {
    const service = serviceOf(options.service, env)
    return withOwner(service, { env }, async (database, url) => {
      const { manifest, faults } = await verify(
        { database, url, bin: options['pg-bin'], env },
        folder,
        openOwner,
      )
      const text = faults.length === 0 ? `Sound: ${describe(manifest)}` : `Not sound: ${faults.join('; ')}`
      await print(json ? JSON.stringify({ ...presented(manifest), faults }) : text)
      return faults.length === 0 ? exitCodes.done : exitCodes.failed
    })
  },
})

export const epoch = defineCommand({
  about: 'shows the epoch of the ledger, or starts a new one after a restore by other means',
  details: [
    'The wallet starts one by itself where the broker has events that the ledger has lost.',
    'Start one by hand where ON_LOST_EVENTS=refuse, or where the topics were lost as well.',
  ],
  options: { start: flag('starts a new epoch') },
  examples: ['saldo epoch', 'docker compose exec wallet saldo epoch --start'],
  json: { example: { epoch: 2, cause: 'restored', complete: true, clients: 10, accounts: 11 } },
  interrupted: 'An epoch was started, or not: run it again without --start.',
  async run({ start }, { env, json, print }) {
    const { findEpoch } = await import('../wallet/epochs/epochs-store')
    return withOwner('wallet', { env }, async (database) => {
      if (start) await startEpoch(database, { cause: 'requested', evidence: null, above: 0 })
      const { epoch, cause, isComplete: complete, clients, accounts } = await findEpoch(database.sql)
      const counts = { clients: Number(clients), accounts: Number(accounts) }
      const state = complete
        ? 'complete'
        : `starting, ${counts.clients} clients and ${counts.accounts} accounts`
      const text = `Epoch ${epoch} (${cause}), ${state}`
      await print(json ? JSON.stringify({ epoch, cause, complete, ...counts }) : text)
      return exitCodes.done
    })
  },
})
