/** The client through a network that breaks: what it sent has to take effect once. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import postgres from 'postgres'
import { runFaults } from '../testing/client-faults'
import { mulberry32, replayOf, seed } from '../testing/random'
import { startStack } from '../testing/stack'

setDefaultTimeout(60_000)

test('transfers through cut connections: none doubled, none lost, no stale read', async () => {
  await using stack = await startStack({ seed: false })
  const sql = postgres(stack.databases.wallet.url, { max: 1 })
  const { wallet, balances } = stack
  const random = mulberry32(seed)
  const run = { wallet, balances, sql, transfers: 300, lanes: 10, share: 0.2, random }
  const { faults, cuts } = await runFaults(run).finally(() => sql.end())
  expect(faults, replayOf(seed)).toEqual([])
  for (const count of Object.values(cuts)) expect(count).toBeGreaterThan(0)
})
