/** The sample data: applied once, through the same decisions and the same outbox as any other. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseMoney } from '../../contract/money'
import type { EncodedEvent } from '../../contract/wire/envelope'
import type { Database } from '../../platform/postgres/database'
import { withPreparationLock } from '../../platform/postgres/migrate'
import type { Log } from '../../platform/telemetry/log'
import { insertAccounts } from '../accounts/accounts-store'
import { insertClients } from '../accounts/clients-store'
import { newAccount, newWorld } from '../accounts/open-account'
import type { Account, NewAccount } from '../domain/account'
import { applyFact, emptyBook } from '../domain/book'
import type { Client } from '../domain/client'
import { decideTransfer } from '../domain/transfer'
import type { Fact, TransferKind } from '../domain/types'
import { clientToEvent, toEvents } from '../events'
import { append } from '../ledger/store/append'
import type { OutboxRow } from '../outbox/outbox-store'
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

export type Seed = {
  name: string
  clients: (Client & { event: OutboxRow })[]
  accounts: (NewAccount & { event: OutboxRow })[]
  transfers: { fact: Fact; outbox: OutboxRow[] }[]
}

/** All rows of the seed, decided from the file alone. */
export function readSeed(): Seed {
  const { name, currency, clients, accounts, transactions }: SeedFile = JSON.parse(
    readFileSync(seedFile, 'utf8'),
  )
  const beginning = new Date(clients[0]?.created_at ?? 0)

  const opened = [
    newWorld(currency, beginning),
    ...accounts.map((account) =>
      newAccount({
        id: account.id,
        clientId: account.client_id,
        currency,
        overdraftLimitMinor: 0n,
        createdAt: new Date(account.created_at),
        traceparent: null,
      }),
    ),
  ]
  const empty = opened.map(({ id, overdraftLimitMinor, createdAt: openedAt }): [string, Account] => [
    id,
    { id, currency, balanceMinor: 0n, heldMinor: 0n, version: 0n, overdraftLimitMinor, openedAt },
  ])
  const book = emptyBook(new Map(empty))
  return {
    name,
    clients: clients.map(({ created_at, ...fields }) => {
      const client = { ...fields, createdAt: new Date(created_at) }
      return { ...client, event: untraced(clientToEvent(client)) }
    }),
    accounts: opened,
    transfers: transactions.map((transaction) => {
      const amount = parseMoney(transaction.amount, currency)
      const decision = decideTransfer(
        {
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
        },
        book.accounts,
        new Date(transaction.created_at),
      )
      if (!decision.accepted)
        throw new Error(`seed transaction ${transaction.id} was rejected: ${decision.rejection}`)
      const { fact } = decision
      applyFact(book, fact)
      return { fact, outbox: toEvents(fact).map(untraced) }
    }),
  }
}

/** The events of the seed, in the order in which they are published. */
export const seedEvents = ({ clients, accounts, transfers }: Seed): EncodedEvent[] => [
  ...clients.map((client) => client.event),
  ...accounts.map((account) => account.event),
  ...transfers.flatMap(({ outbox }) => outbox),
]

/** Writes the seed in one transaction, unless it was applied before. */
export async function seedWallet(url: string, database: Database, log: Log): Promise<void> {
  const { name, clients, accounts, transfers } = readSeed()
  await withPreparationLock(url, () =>
    database.sql.begin(async (tx) => {
      if (!(await markSeeded(tx, name))) return
      await insertClients(tx, clients)
      await insertAccounts(tx, accounts)
      for (const { fact, outbox } of transfers) {
        await append(tx, { facts: [fact], keys: [], outbox, createdAt: fact.createdAt })
      }
      log.info(
        { clients: clients.length, accounts: accounts.length - 1, transfers: transfers.length },
        'database seeded',
      )
    }),
  )
}

const untraced = (event: EncodedEvent): OutboxRow => ({ ...event, traceparent: null })
