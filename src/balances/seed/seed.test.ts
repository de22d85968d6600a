import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { SetupError } from '../../platform/fault'
import { projectSeed } from './seed'

const seed = await Bun.file(join(import.meta.dir, '../../../seed/events.jsonl')).text()

test('the seed ends with the balances of the course, and its money sums to zero', () => {
  const { balances, entries } = projectSeed(seed)
  const minorOf = (accountId: string) => balances.find((row) => row.accountId === accountId)?.balanceMinor
  expect(minorOf('d6a41403-bbd0-11ee-8a24-0242ac120003')).toBe(80_000n)
  expect(minorOf('d6a41504-bbd0-11ee-8a24-0242ac120003')).toBe(120_000n)
  expect(balances.reduce((sum, row) => sum + row.balanceMinor, 0n)).toBe(0n)
  for (const { accountId, balanceMinor, version } of balances) {
    const own = entries.filter((entry) => entry.accountId === accountId)
    expect(own.map((entry) => Number(entry.version))).toEqual(
      Array.from({ length: Number(version) }, (_, n) => n + 1),
    )
    expect(own.reduce((sum, entry) => sum + (entry.amountMinor ?? 0n), 0n)).toBe(balanceMinor)
  }
})

test('an invalid line is named', () => {
  expect(() => projectSeed(`${seed}{"Name":"BalanceUpdated"}\n`)).toThrow(SetupError)
  expect(() => projectSeed(`${seed}{"Name":"BalanceUpdated"}\n`)).toThrow(/line \d+/)
})
