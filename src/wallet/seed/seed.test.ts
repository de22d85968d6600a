import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { readSeed, readSeedEvents } from './seed'

test('the seed emits the events that the read side is seeded with', async () => {
  const file = await Bun.file(join(import.meta.dir, '../../../seed/events.jsonl')).text()
  // After a change of seed/wallet.json: bun src/testing/write-seed-events.ts
  expect(file.trimEnd().split('\n')).toEqual(readSeedEvents())
})

test('the balances are those that the course begins with, and add up to zero with world', () => {
  const facts = readSeed()
  const clients = facts.flatMap((fact) => (fact.type === 'registration' ? fact.client : []))
  const accounts = facts.flatMap((fact) => (fact.type === 'opening' ? fact.accounts : []))
  const balances = new Map(accounts.map((account) => [account.id, 0n]))
  for (const fact of facts)
    if ('entries' in fact)
      for (const { accountId, balanceMinor } of fact.entries) balances.set(accountId, balanceMinor)
  const named = clients.map(({ id, name }) => {
    const account = accounts.find(({ clientId }) => clientId === id)
    return [name, balances.get(account?.id ?? '')]
  })
  const expected = { Eva: 80_000n, Frank: 120_000n }
  expect(named).toEqual(
    ['John', 'Jane', 'Alice', 'Bob', 'Charlie', 'David', 'Eva', 'Frank', 'Grace', 'Harry'].map((name) => [
      name,
      expected[name as keyof typeof expected] ?? 100_000n,
    ]),
  )
  expect([...balances.values()].reduce((sum, balance) => sum + balance, 0n)).toBe(0n)
})
