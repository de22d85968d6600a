/**
 * Backups of one service's database: a folder with a dump of `pg_dump` and a manifest, which is written last
 * and says what a restore has to lead to.
 */
import { createHash } from 'node:crypto'
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { type Environment, type ServiceName, serviceNames } from '../config/config'
import { messageOf, SetupError } from '../platform/fault'
import type { Database } from '../platform/postgres/database'
import { violation } from '../platform/postgres/failures'
import {
  type Contents,
  closeFunctions,
  createScratch,
  dropScratch,
  emptyDatabase,
  inspect,
  readContents,
  withSnapshot,
} from './backup-store'
import { findTool, runTool } from './tools'

export type Manifest = {
  format: 1
  service: ServiceName
  /** When the snapshot was taken, in RFC 3339. */
  taken_at: string
  /** Of Saldo. */
  version: string
  server_version: number
  contents: Contents
  dump: { file: string; bytes: number; sha256: string }
}

const manifestFile = 'manifest.json'
const dumpFile = 'database.dump'

export type Target = {
  database: Database
  /** Of its owner. */
  url: string
  service: ServiceName
  /** The folder of PostgreSQL's tools, if an operator names one. */
  bin: string | undefined
  env: Environment
}

export async function backUp(
  { database, url, service, bin, env }: Target,
  folder: string,
): Promise<Manifest> {
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new SetupError(`${folder} is not empty: name a new folder for each backup.`)
  const { version } = await inspect(database.sql)
  const pgDump = await findTool('pg_dump', version, bin)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, dumpFile)
  const taken_at = new Date().toISOString()
  const contents = await withSnapshot(database, service, (snapshot) =>
    runTool(
      pgDump,
      ['--format=custom', '--no-owner', '--no-acl', `--snapshot=${snapshot}`, `--file=${path}`],
      { url, env },
    ),
  )
  const dump = { file: dumpFile, ...(await digestOf(path)) }
  const manifest: Manifest = {
    format: 1,
    service,
    taken_at,
    version: packageJson.version,
    server_version: version,
    contents,
    dump,
  }
  const draft = join(folder, `${manifestFile}.draft`)
  writeFileSync(draft, `${JSON.stringify(manifest, null, 2)}\n`)
  renameSync(draft, join(folder, manifestFile))
  return manifest
}

async function digestOf(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { bytes, sha256: hash.digest('hex') }
}

/** Throws `SetupError` for a folder that is no complete backup, or whose dump has changed. */
export async function readBackup(folder: string): Promise<Manifest> {
  let manifest: Manifest
  try {
    manifest = JSON.parse(readFileSync(join(folder, manifestFile), 'utf8'))
  } catch (error) {
    throw new SetupError(
      `${folder} is no complete backup: ${manifestFile} cannot be read (${messageOf(error)}).`,
    )
  }
  if (manifest.format !== 1 || !serviceNames.includes(manifest.service))
    throw new SetupError(`${folder} has a manifest that this version cannot read.`)
  const found = await digestOf(join(folder, dumpFile)).catch(() => undefined)
  if (found?.sha256 !== manifest.dump.sha256)
    throw new SetupError(`${folder} is damaged: ${dumpFile} is not what its manifest says.`)
  return manifest
}

/** Into an empty database, or in place of all that is there. Throws where it is not what was backed up. */
export async function restore(
  { database, url, service, bin, env }: Target,
  folder: string,
  { replace }: { replace: boolean },
): Promise<Manifest> {
  const manifest = await readBackup(folder)
  if (manifest.service !== service)
    throw new SetupError(`${folder} is a backup of ${manifest.service}, not of ${service}.`)
  const { version, tables, others, name } = await inspect(database.sql)
  const pgRestore = await findTool('pg_restore', version, bin)
  if (others > 0)
    throw new SetupError(
      `${others} others are connected to database ${name}: stop the ${service} service first.`,
    )
  if (tables > 0 && !replace)
    throw new SetupError(
      `Database ${name} is not empty. Restore into an empty one, or say --replace to delete what it has.`,
    )
  if (tables > 0) await emptyDatabase(database)
  await runRestore(pgRestore, folder, { url, env })
  await closeFunctions(database)
  const faults = await differencesIn(database, manifest)
  if (faults.length > 0) throw new SetupError(`Restored, but not what was backed up: ${faults.join('; ')}.`)
  return manifest
}

const runRestore = (pgRestore: string, folder: string, place: { url: string; env: Environment }) =>
  runTool(
    pgRestore,
    [...['--single-transaction', '--exit-on-error', '--no-owner', '--no-acl'], join(folder, dumpFile)],
    place,
  )

/** What a database has other than the manifest says, and what contradicts itself. */
async function differencesIn({ sql }: Database, { service, contents }: Manifest): Promise<string[]> {
  const found = await readContents(sql, service)
  const parts = (['epoch', 'migrations', 'counts', 'sums'] as const).filter(
    (part) => JSON.stringify(found[part]) !== JSON.stringify(contents[part]),
  )
  const faults = Object.entries(found.faults).filter(([, count]) => count > 0)
  return [
    ...parts.map((part) => `${part} ${JSON.stringify(found[part])}, not ${JSON.stringify(contents[part])}`),
    ...faults.map(([fault, count]) => `${fault}: ${count}`),
  ]
}

/** Restores it into a database of its own, which is dropped again. Returns what is wrong with it. */
export async function verify(
  { database, url, bin, env }: Omit<Target, 'service'>,
  folder: string,
  open: (url: string) => Database,
): Promise<{ manifest: Manifest; faults: string[] }> {
  const manifest = await readBackup(folder)
  const { version } = await inspect(database.sql)
  const pgRestore = await findTool('pg_restore', version, bin)
  const name = `saldo_verify_${Date.now().toString(36)}`
  await createScratch(database, name).catch((error) => {
    if (violation(error)?.sqlState !== '42501') throw error
    const role = decodeURIComponent(new URL(url).username)
    throw new SetupError(`Role ${role} may not create a database to try it in: alter role ${role} createdb`)
  })
  try {
    const scratchUrl = Object.assign(new URL(url), { pathname: `/${name}` }).href
    await runRestore(pgRestore, folder, { url: scratchUrl, env })
    const scratch = open(scratchUrl)
    const faults = await differencesIn(scratch, manifest).finally(() => scratch.close())
    return { manifest, faults }
  } finally {
    await dropScratch(database, name)
  }
}
