/**
 * The conventional transfer for comparison: one database transaction per request, both accounts locked
 * across its round trips. HTTP library, driver, tables and events are those of the wallet. Prints its
 * port.
 */
import { Type } from '@sinclair/typebox'
import { eq, inArray, sql } from 'drizzle-orm'
import { bigint, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'
import { drizzle } from 'drizzle-orm/postgres-js'
import { Elysia } from 'elysia'
import postgres from 'postgres'
import { moneyNumber, parseMoney } from '../../contract/money'
import { encodeEvent } from '../../contract/wire/envelope'

const minor = (name: string) => bigint(name, { mode: 'bigint' }).notNull()
const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' }).notNull()

const accounts = pgTable('accounts', {
  id: uuid().primaryKey(),
  currency: text().notNull(),
  balanceMinor: minor('balance_minor'),
  version: minor('version'),
  updatedAt: time('updated_at'),
})
const entries = pgTable('entries', {
  accountId: uuid('account_id').notNull(),
  version: minor('version'),
  transactionId: uuid('transaction_id').notNull(),
  amountMinor: minor('amount_minor'),
  balanceMinor: minor('balance_minor'),
  createdAt: time('created_at'),
})
const transactions = pgTable('transactions', {
  id: uuid().primaryKey(),
  kind: text().notNull(),
  accountIdFrom: uuid('account_id_from').notNull(),
  accountIdTo: uuid('account_id_to').notNull(),
  versionFrom: minor('version_from'),
  versionTo: minor('version_to'),
  amountMinor: minor('amount_minor'),
  currency: text().notNull(),
  effectiveAt: time('effective_at'),
  createdAt: time('created_at'),
})
const outbox = pgTable('bench_outbox', {
  aggregatetype: text().notNull(),
  aggregateid: text().notNull(),
  type: text().notNull(),
  payload: text().notNull(),
  subject: text().notNull(),
  occurredAt: time('occurred_at'),
})

const Id = Type.String({ minLength: 36, maxLength: 36 })
const NewTransaction = Type.Object({ account_id_from: Id, account_id_to: Id, amount: Type.Number() })

/** As many connections as the wallet. */
const client = postgres(process.argv[2] ?? '', { max: 10, onnotice: () => {} })
const orm = drizzle(client)

async function transfer(accountIdFrom: string, accountIdTo: string, amountMinor: bigint) {
  const createdAt = new Date()
  const id = Bun.randomUUIDv7()
  return orm.transaction(async (tx) => {
    const locked = await tx
      .select()
      .from(accounts)
      .where(inArray(accounts.id, [accountIdFrom, accountIdTo]))
      .orderBy(accounts.id)
      .for('update')
    const from = locked.find((account) => account.id === accountIdFrom)
    const to = locked.find((account) => account.id === accountIdTo)
    if (!from || !to || from.balanceMinor < amountMinor) return undefined

    const after = [
      {
        ...from,
        amountMinor: -amountMinor,
        balanceMinor: from.balanceMinor - amountMinor,
        version: from.version + 1n,
      },
      { ...to, amountMinor, balanceMinor: to.balanceMinor + amountMinor, version: to.version + 1n },
    ] as const
    for (const { id: accountId, balanceMinor, version } of after)
      await tx
        .update(accounts)
        .set({ balanceMinor, version, updatedAt: createdAt })
        .where(eq(accounts.id, accountId))
    await tx.insert(transactions).values({
      id,
      kind: 'transfer',
      accountIdFrom,
      accountIdTo,
      versionFrom: after[0].version,
      versionTo: after[1].version,
      amountMinor,
      currency: from.currency,
      effectiveAt: createdAt,
      createdAt,
    })
    await tx.insert(entries).values(
      after.map((account) => ({
        accountId: account.id,
        version: account.version,
        transactionId: id,
        amountMinor: account.amountMinor,
        balanceMinor: account.balanceMinor,
        createdAt,
      })),
    )
    const at = createdAt.toISOString()
    const moved = {
      account_id_from: accountIdFrom,
      account_id_to: accountIdTo,
      amount: moneyNumber(amountMinor, from.currency),
      currency: from.currency,
      effective_at: at,
      created_at: at,
    }
    const balances = {
      balance_account_id_from: moneyNumber(after[0].balanceMinor, from.currency),
      balance_account_id_to: moneyNumber(after[1].balanceMinor, from.currency),
      version_account_id_from: Number(after[0].version),
      version_account_id_to: Number(after[1].version),
    }
    const emitted = [
      encodeEvent({ name: 'TransactionCreated', payload: { id, kind: 'transfer', ...moved } }, at),
      encodeEvent({ name: 'BalanceUpdated', payload: { transaction_id: id, ...moved, ...balances } }, at),
    ]
    await tx.insert(outbox).values(
      emitted.map(({ topic, key, name, value, subject }) => ({
        aggregatetype: topic,
        aggregateid: key,
        type: name,
        payload: value,
        subject,
        occurredAt: createdAt,
      })),
    )
    return { id, kind: 'transfer', ...moved }
  })
}

const app = new Elysia().post(
  '/transactions',
  async ({ body }) => {
    const money = parseMoney(body.amount, 'BRL')
    if (!money.ok || body.account_id_from === body.account_id_to) return new Response(null, { status: 422 })
    const moved = await transfer(body.account_id_from, body.account_id_to, money.minor)
    return moved ? Response.json(moved, { status: 201 }) : new Response(null, { status: 409 })
  },
  { body: NewTransaction },
)

process.stdin.on('end', () => process.exit(1)).resume()
await orm.execute(sql`select 1`)
app.listen({ hostname: '127.0.0.1', port: 0 })
console.log(`ready ${app.server?.port}`)
