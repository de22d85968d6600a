/** The client through a network that breaks: what it sent has to take effect once. */
import { expect, test } from 'bun:test'
import postgres from 'postgres'
import { runFaults } from '../testing/client-faults'
import { startProxy } from '../testing/proxy'
import { mulberry32, replayOf, seed } from '../testing/random'
import { startStack } from '../testing/stack'
import { SaldoClient } from './index'

test('transfers through cut connections: none doubled, none lost, no stale read', async () => {
  await using stack = await startStack({ seed: false })
  const sql = postgres(stack.databases.wallet.url, { max: 1 })
  const { wallet, balances } = stack
  const random = mulberry32(seed)
  const run = { wallet, balances, sql, transfers: 200, lanes: 10, share: 0.2, random }
  const { faults, cuts } = await runFaults(run).finally(() => sql.end())
  expect(faults, replayOf(seed)).toEqual([])
  for (const count of Object.values(cuts)) expect(count).toBeGreaterThan(0)
})

test('a request that arrives late, after its retry was answered, takes effect once', async () => {
  await using stack = await startStack({ seed: false, start: ['wallet'] })
  const wallet = `http://127.0.0.1:${stack.wallet.port}`
  await using proxy = await startProxy(wallet)
  const saldo = new SaldoClient({ wallet: proxy.through(wallet), timeoutMs: 500 })
  const { id } = await saldo.registerClient({ name: 'Ada', email: 'ada@example.com' })
  const account = await saldo.openAccount({ client_id: id })
  for (let number = 1; number <= 5; number++) {
    proxy.silenceOn(`late ${number}`)
    await saldo.deposit(account.id, { amount: 1, reference: `late ${number}` })
    expect(proxy.held()).toBeGreaterThan(0)
    proxy.release()
    // Queued behind the late one.
    await saldo.deposit(account.id, { amount: 1 })
  }
  expect(await saldo.account(account.id)).toMatchObject({ balance: 10, version: 10 })
})
