import type { Config } from 'drizzle-kit'

export default {
  dialect: 'postgresql',
  schema: './src/balances/db/schema.ts',
  out: './migrations/balances',
} satisfies Config
