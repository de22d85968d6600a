/** The sample data: applied once, through the same decisions and the same append as any other. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { events } from '../../contract/events/events'
import { parseMoney } from '../../contract/money'
import type { Database } from '../../platform/postgres/database'
import { withPreparationLock } from '../../platform/postgres/migrate'
import type { Log } from '../../platform/telemetry/log'
import { applyFact, type Command, decide, emptyBook } from '../domain/book'
import type { Fact, TransferKind } from '../domain/types'
import { toEvents } from '../events'
import { append } from '../ledger/store/append'
import { markSeeded } from './seeds-store'

const seedFile = join(import.meta.dir, '../../../seed/wallet.json')

type SeedFile = {
  name: string
  currency: string
  clients: { id: string; name: string; email: string; created_at: string }[]
  accounts: { id: string; client_id: string; created_at: string }[]
  transactions: {
    id: string
    kind: TransferKind
    account_id_from: string
    account_id_to: string
    amount: number
    created_at: string
  }[]
}

const readSeedFile = (): SeedFile => JSON.parse(readFileSync(seedFile, 'utf8'))

/** The facts of the seed in order, decided from the file alone. */
export function readSeed({ currency, clients, accounts, transactions } = readSeedFile()): Fact[] {
  const commands: [string, Command][] = [
    ...clients.map(({ created_at, ...client }): [string, Command] => [
      created_at,
      { type: 'registration', ...client },
    ]),
    ...accounts.map(({ id, client_id, created_at }): [string, Command] => [
      created_at,
      { type: 'opening', id, clientId: client_id, currency, overdraftLimitMinor: 0n },
    ]),
    ...transactions.map((transaction): [string, Command] => {
      const amount = parseMoney(transaction.amount, currency)
      const command = {
        type: 'transfer',
        id: transaction.id,
        kind: transaction.kind,
        accountIdFrom: transaction.account_id_from,
        accountIdTo: transaction.account_id_to,
        amountMinor: amount.ok ? amount.minor : 0n,
        currency,
        reference: null,
        metadata: null,
        effectiveAt: null,
      } as const
      return [transaction.created_at, command]
    }),
  ]
  const book = emptyBook()
  return commands.flatMap(([at, command]) => {
    const decision = decide(command, book, new Date(at))
    if (!decision.accepted)
      throw new Error(`seed ${command.type} ${command.id} was rejected: ${decision.rejection}`)
    for (const fact of decision.facts) applyFact(book, fact)
    return decision.facts
  })
}

/** Values of the records that lead to it, without personal data: that comes from the topic alone. */
export const readSeedEvents = (): string[] =>
  readSeed()
    .flatMap(toEvents)
    .flatMap(({ topic, value }) => (topic === events.PersonalDataRecorded.topic ? [] : value))

/** Writes the seed in one transaction, unless it was applied before: then false. */
export async function seedWallet(url: string, database: Database, log: Log): Promise<boolean> {
  const file = readSeedFile()
  return withPreparationLock(url, () =>
    database.sql.begin(async (tx) => {
      if (!(await markSeeded(tx, file.name))) return false
      const facts = readSeed(file)
      for (const fact of facts) {
        const events = toEvents(fact).map((event) => ({ ...event, traceparent: null }))
        await append(tx, { facts: [fact], keys: [], events, createdAt: fact.createdAt })
      }
      const count = (type: Fact['type']) => facts.filter((fact) => fact.type === type).length
      const counts = { clients: count('registration'), accounts: count('opening') }
      log.info({ ...counts, transfers: count('transaction') }, 'database seeded')
      return true
    }),
  )
}
