/** `republish` at a terminal: its options, and what it prints. */
import { environmentOf, readLedgerUrl, remedyOf } from '../config/config'
import { isUuid } from '../contract/id'
import { parseInstant, timeExpected } from '../contract/time'
import { SetupError } from '../platform/fault'
import { showProgressBar } from '../platform/process/progress-bar'
import { findAccount } from '../wallet/ledger/store/rows'
import { countEntries } from '../wallet/republish/pages-store'
import { republishAll } from '../wallet/republish/republish'
import { defineCommand, withDatabase } from './command'
import { value, valueOr } from './options'

export const republish = defineCommand({
  about: 'publishes events of the ledger again: all, of one account, or since a time',
  details: ['They go through the outbox of the wallet, whose relay has to run: docs/operations.md.'],
  options: {
    account: value('ID', 'only what is about this account', parseAccount),
    since: valueOr('1970-01-01T00:00:00Z', 'TIME', 'only events since then, in RFC 3339', parseSince),
  },
  examples: [
    'saldo republish --account d6a41403-bbd0-11ee-8a24-0242ac120003',
    'docker compose exec wallet saldo republish --since 2026-01-31T00:00:00Z',
  ],
  json: { example: { events: 42 } },
  interrupted: 'What was enqueued is published. Running it again is safe: consumers ignore repeated events.',
  async run({ account, since }, { env, signal, json, print }) {
    const own = environmentOf(env, 'wallet')
    const url = readLedgerUrl(own)
    const filter = { accountId: account, since }
    const remedy = remedyOf(own, ['DATABASE_URL'])
    const options = { name: 'republish', service: 'wallet', url, remedy, signal } as const
    return withDatabase(options, async (database) => {
      if (account && !(await findAccount(database, account)))
        throw new SetupError(`Account ${account} does not exist.`)
      const progress = showProgressBar('entries', await countEntries(database, filter))
      const events = await republishAll(database, filter, progress, signal).finally(progress.end)
      await print(json ? JSON.stringify({ events }) : `${events} events enqueued for republication`)
      return 0
    })
  },
})

export function parseAccount(text: string): string {
  if (!isUuid(text)) throw new Error(`must be a UUID, but is ${JSON.stringify(text)}`)
  return text.toLowerCase()
}

function parseSince(text: string): Date {
  const { ms = -1 } = parseInstant(text) ?? {}
  if (ms < 0) throw new Error(`${timeExpected}, but is ${JSON.stringify(text)}`)
  return new Date(ms)
}
