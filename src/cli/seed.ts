/** `seed`: what a service does when it starts with SEED_ON_START=true, as a step of its own. */
import { seedBalances } from '../balances/seed/seed'
import { environmentOf, readOwnerUrl, remedyOf } from '../config/config'
import { seedWallet } from '../wallet/seed/seed'
import { defineCommand, serviceOf, serviceOption, withDatabase } from './command'

const seeds = { wallet: seedWallet, balances: seedBalances }

export const seed = defineCommand({
  about: 'adds the ten fictitious people and their transfers to the database of one service, once',
  details: ['The wallet publishes them, so balances needs this only where it is tried without a wallet.'],
  options: { service: serviceOption },
  examples: ['saldo seed --service wallet', 'docker compose exec wallet saldo seed'],
  json: { example: { service: 'wallet', seeded: true } },
  interrupted: 'The seed is one transaction: it was added as a whole, or not at all. Run it again.',
  async run(options, { env, signal, json, print }) {
    const service = serviceOf(options.service, env)
    const own = environmentOf(env, service)
    const url = readOwnerUrl(own, service)
    const remedy = remedyOf(own, ['DATABASE_URL'])
    const seeded = await withDatabase({ name: 'seed', service, url, remedy, signal }, (database, log) =>
      seeds[service](url, database, log),
    )
    const text = seeded
      ? `The ${service} database has been seeded.`
      : `The ${service} database was seeded before.`
    await print(json ? JSON.stringify({ service, seeded }) : text)
    return 0
  },
})
