/** What balances is measured beside, as a process of its own: the same HTTP server with an answer that never changes, or with one drizzle query a request. */
import { eq } from 'drizzle-orm'
import { bigint, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import { drizzle } from 'drizzle-orm/postgres-js'
import { Elysia } from 'elysia'
import postgres from 'postgres'

const minor = (name: string) => bigint(name, { mode: 'bigint' }).notNull()
const balances = pgTable('balances', {
  accountId: text('account_id').primaryKey(),
  currency: text().notNull(),
  balanceMinor: minor('balance_minor'),
  version: minor('version'),
  createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' }).notNull(),
})

const [kind, url = ''] = process.argv.slice(2)
/** As many connections as balances has. */
const orm = drizzle(postgres(url, { max: 10, onnotice: () => {} }))
const headers = { 'content-type': 'application/json', 'cache-control': 'private, no-cache' }
const constant = JSON.stringify({
  id: '',
  account_id: '',
  balance: 1000.5,
  currency: 'BRL',
  version: 1,
  created_at: '',
})

const app = new Elysia().get('/balances/:id', async ({ params: { id } }) => {
  if (kind === 'constant') return new Response(constant, { headers })
  const [row] = await orm.select().from(balances).where(eq(balances.accountId, id))
  if (!row) return new Response(null, { status: 404 })
  const { accountId, currency, createdAt } = row
  const body = {
    id,
    account_id: accountId,
    balance: Number(row.balanceMinor) / 100,
    currency,
    version: Number(row.version),
  }
  return new Response(JSON.stringify({ ...body, created_at: createdAt }), { headers })
})
app.listen({ hostname: '127.0.0.1', port: 0 })
process.stdin.on('end', () => process.exit(0)).resume()
console.log(app.server?.port)
