import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { advisoryLocks } from './locks'

const numbers: number[] = Object.values(advisoryLocks)

test('no two advisory locks have the same number', () => {
  expect(new Set(numbers).size).toBe(numbers.length)
})

test('no other file has lock numbers, and every lock that is taken is in the list', async () => {
  const source = join(import.meta.dir, '../..')
  const faults: string[] = []
  for await (const path of new Bun.Glob('**/*.ts').scan(source)) {
    if (path.startsWith('platform/postgres/locks') || path.startsWith('testing/')) continue
    const text = await Bun.file(join(source, path)).text()
    if (/7_?236_?015_?\d{3}/.test(text)) faults.push(`${path} has a number of its own`)
    for (const [call, argument = ''] of text.matchAll(/pg_(?:try_)?advisory_(?:xact_)?lock\(([^)]*)\)/g))
      if (!/^\$\{advisoryLocks\.\w+\}?$/.test(argument)) faults.push(`${path}: ${call}`)
  }
  expect(faults).toEqual([])
})
