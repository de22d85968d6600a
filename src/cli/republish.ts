/** `republish` at a terminal: its options, and what it prints. */
import { parseArgs } from 'node:util'
import { readLedgerUrl, remedyOf } from '../config/config'
import { isUuid } from '../contract/id'
import { parseInstant, timeExpected } from '../contract/time'
import { SetupError, UsageError } from '../platform/fault'
import { showProgressBar } from '../platform/process/progress-bar'
import { findAccount } from '../wallet/ledger/store/rows'
import { type AccountFilter, countEntries } from '../wallet/republish/pages-store'
import { republishAll } from '../wallet/republish/republish'
import { type Command, withDatabase } from './command'

export const republish: Command = {
  usage: 'republish [--account ID] [--since TIME]',
  about: 'republishes ledger events: all, of one account, or since a time (RFC 3339)',
  async run(args, env, signal) {
    const filter = parseFilter(args)
    const url = readLedgerUrl(env)
    const remedy = remedyOf(env, ['DATABASE_URL'])
    const options = { name: 'republish', service: 'wallet', url, remedy, signal } as const
    return withDatabase(options, async (database) => {
      if (filter.accountId && !(await findAccount(database, filter.accountId)))
        throw new SetupError(`Account ${filter.accountId} does not exist.`)
      const progress = showProgressBar('entries', await countEntries(database, filter))
      const events = await republishAll(database, filter, progress, signal).finally(progress.end)
      const interrupted = signal.aborted ? '; interrupted, safe to run again' : ''
      console.log(`${events} events enqueued for republication${interrupted}`)
      return 0
    })
  },
}

/** Throws `UsageError`. */
export function parseFilter(args: string[]): AccountFilter {
  const text = { type: 'string' } as const
  const { account, since } = parseArgs({ args, options: { account: text, since: text } }).values
  if (account !== undefined && !isUuid(account))
    throw new UsageError(`--account must be a UUID, but is ${JSON.stringify(account)}`)
  const ms = since === undefined ? 0 : parseInstant(since)?.ms
  if (ms === undefined || ms < 0)
    throw new UsageError(`--since ${timeExpected}, but is ${JSON.stringify(since)}`)
  return { accountId: account?.toLowerCase(), since: new Date(ms) }
}
