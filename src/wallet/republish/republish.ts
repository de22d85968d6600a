/**
 * Tells events again, from the ledger: into the outbox, from which the running relay takes them.
 * Ids, times, versions and amounts are those of the first time, so readers that know an event are
 * not changed by it. May be stopped and begun anew at any time.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Environment, readLedgerUrl } from '../../config/config'
import { parseInstant, timeExpected } from '../../contract/time'
import type { EncodedEvent } from '../../contract/wire/envelope'
import { Fault, SetupError, UsageError } from '../../platform/fault'
import { type Database, openDatabase } from '../../platform/postgres/database'
import { withUnavailableFault } from '../../platform/postgres/failures'
import { prepareDatabase } from '../../platform/postgres/migrate'
import { type ProgressBar, showProgressBar } from '../../platform/process/progress-bar'
import { pause } from '../../platform/process/retry'
import { createLog } from '../../platform/telemetry/log'
import { type AccountFilter, countEntries, findAccount, listAccounts } from '../accounts/accounts-store'
import { listClients } from '../accounts/clients-store'
import { accountToEvent, clientToEvent, toEvents } from '../events'
import { enqueueReplay, measureOutbox } from '../outbox/outbox-store'
import { loadFacts, type ReleasedHolds, type Slice } from './facts-store'

const migrationsFolder = join(import.meta.dir, '../../../migrations/wallet')

/** Clients, accounts or entries that are read at once. An entry makes two events. */
const batchSize = 1000
/**
 * With more than these in the outbox none are added, since what happens meanwhile is told behind
 * them. And how often it is looked at.
 */
const waitingMax = 1000
const waitMs = 20
/** How long a database that does not answer is asked again, in milliseconds. */
const patienceMs = 5000

export const republish = {
  usage: 'republish [--account ID] [--since TIME]',
  about:
    'tells the events of the ledger again: all, those about an account, or those since a time (RFC 3339)',
  async run(args: string[], env: Environment, signal: AbortSignal): Promise<number> {
    const wanted = parseWanted(args)
    const url = readLedgerUrl(env)
    const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'saldo-republish' })
    try {
      const told = await withUnavailableFault(tellAll({ url, database }, wanted, signal))
      console.log(
        `${told} events are told again${signal.aborted ? '; stopped before the end, and may be begun anew' : ''}`,
      )
      return 0
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      throw new SetupError(`${error.message}. Run npm start, or check DATABASE_URL.`)
    } finally {
      await database.close()
    }
  },
}

async function tellAll(
  { url, database }: { url: string; database: Database },
  wanted: AccountFilter,
  signal: AbortSignal,
) {
  const log = createLog({ service: 'republish', level: 'error', format: 'pretty' })
  const patience = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)])
  await prepareDatabase({ url, folder: migrationsFolder, migrate: false, log, signal: patience })
  if (wanted.accountId && !(await findAccount(database, wanted.accountId)))
    throw new SetupError(`There is no account ${wanted.accountId}.`)
  const progress = showProgressBar('entries', await countEntries(database, wanted))
  return tell(database, wanted, progress, signal).finally(progress.end)
}

/** Throws `UsageError`. */
export function parseWanted(args: string[]): AccountFilter {
  const text = { type: 'string' } as const
  const { account, since } = parseArgs({ args, options: { account: text, since: text } }).values
  if (account !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(account))
    throw new UsageError(`--account must be a UUID, but is ${JSON.stringify(account)}`)
  const ms = since === undefined ? 0 : parseInstant(since)?.ms
  if (ms === undefined || ms < 0)
    throw new UsageError(`--since ${timeExpected}, but is ${JSON.stringify(since)}`)
  return { accountId: account?.toLowerCase(), since: new Date(ms) }
}

/** Until everything is in the outbox, or the signal is aborted. Answers how many events. */
export async function tell(
  database: Database,
  wanted: AccountFilter,
  progress: Pick<ProgressBar, 'add'>,
  signal: AbortSignal,
): Promise<number> {
  let told = 0
  for await (const { events, entries } of recall(database, wanted)) {
    for (let pending = await pendingIn(database); pending > waitingMax; pending = await pendingIn(database)) {
      progress.add(0, `${pending} events wait for the relay`)
      if (!signal.aborted) await pause(waitMs, signal)
      else return told
    }
    await enqueueReplay(
      database.sql,
      events.map((event) => ({ ...event, traceparent: null })),
    )
    told += events.length
    progress.add(entries)
    if (signal.aborted) break
  }
  return told
}

const pendingIn = async ({ sql }: Database): Promise<number> => (await measureOutbox(sql)).pending

type Batch = { events: EncodedEvent[]; entries: number }

/**
 * Clients, then account by account how it was opened and what happened to it: what it paid and
 * promised in the order of its versions.
 */
async function* recall(database: Database, wanted: AccountFilter): AsyncGenerator<Batch> {
  for await (const clients of pages((after) => listClients(database, wanted, after, batchSize)))
    yield { events: clients.map(clientToEvent), entries: 0 }

  const { accountId, since } = wanted
  const endings: ReleasedHolds = new Map()
  for await (const accounts of pages((after) => listAccounts(database, wanted, after, batchSize))) {
    yield { events: accounts.filter(({ createdAt }) => createdAt >= since).map(accountToEvent), entries: 0 }
    for (const slices of sliceEntries(accounts, batchSize)) {
      const facts = await loadFacts(database, slices, { since, payer: accountId === undefined }, endings)
      const entries = slices.reduce((sum, { after, upTo }) => sum + Number(upTo - after), 0)
      yield { events: facts.flatMap(toEvents), entries }
    }
  }
}

async function* pages<Row extends { id: string }>(
  list: (after: string) => Promise<Row[]>,
): AsyncGenerator<Row[]> {
  const beforeAll = '00000000-0000-0000-0000-000000000000'
  for (let page = await list(beforeAll); page.length > 0; page = await list(page.at(-1)?.id ?? '')) yield page
}

/**
 * All entries of the accounts, in their order, `size` at a time: an account without end takes no
 * more memory than many small ones.
 */
export function* sliceEntries(accounts: { id: string; version: bigint }[], size: number): Generator<Slice[]> {
  let slices: Slice[] = []
  let room = BigInt(size)
  for (const { id: accountId, version } of accounts) {
    for (let after = 0n; after < version; ) {
      const upTo = version - after > room ? after + room : version
      slices.push({ accountId, after, upTo })
      room -= upTo - after
      after = upTo
      if (room > 0n) continue
      yield slices
      slices = []
      room = BigInt(size)
    }
  }
  if (slices.length > 0) yield slices
}
