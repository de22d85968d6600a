import type { Config } from 'drizzle-kit'

export default {
  dialect: 'postgresql',
  schema: './src/wallet/db/schema.ts',
  out: './migrations/wallet',
} satisfies Config
