/**
 * The servers that balances is compared with: the same HTTP server with a constant response, or with
 * one drizzle query per request.
 */
import { eq } from 'drizzle-orm'
import { bigint, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import { drizzle } from 'drizzle-orm/postgres-js'
import { Elysia } from 'elysia'
import postgres from 'postgres'
import { createHttp } from '../../platform/http/app.ts'
import { createLog } from '../../platform/telemetry/log.ts'

const minor = (name: string) => bigint(name, { mode: 'bigint' }).notNull()
const balances = pgTable('balances', {
  accountId: text('account_id').primaryKey(),
  currency: text().notNull(),
  balanceMinor: minor('balance_minor'),
  version: minor('version'),
  createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' }).notNull(),
})

const [kind, url = ''] = process.argv.slice(2)
/** As many connections as balances. */
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

/** With the hooks that balances has around its routes. */
const http = createHttp({
  log: createLog({ service: 'constant', level: 'error', format: 'json' }),
  parseJson: JSON.parse,
  api: { title: 'Constant', version: '1', description: '', servers: [], url: '' },
  documents: {},
  health: async () => ({}),
  metrics: async () => ({ text: '', contentType: 'text/plain' }),
  isReady: () => true,
})
const answering = http.get('/balances/:account_id', () => new Response(constant, { headers }))
const querying = new Elysia().get('/balances/:id', async ({ params: { id } }) => {
  const [row] = await orm.select().from(balances).where(eq(balances.accountId, id))
  if (!row) return new Response(null, { status: 404 })
  const { accountId, currency, createdAt, version } = row
  const shown = {
    id,
    account_id: accountId,
    balance: Number(row.balanceMinor) / 100,
    currency,
    version: Number(version),
  }
  return new Response(JSON.stringify({ ...shown, created_at: createdAt }), { headers })
})
const app = kind === 'constant' ? answering : querying
app.listen({ hostname: '127.0.0.1', port: 0 })
process.stdin.on('end', () => process.exit(0)).resume()
console.log(app.server?.port)
