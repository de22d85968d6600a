import { expect, test } from 'bun:test'
import { eventually } from '../testing/eventually'
import { type KeyEntry, KeyRing } from './key-ring'
import type { StoredKey } from './keys-store'

const entry: KeyEntry = {
  ...{ id: 'entry', name: 'file', hash: 'e'.repeat(64), scopes: ['read'] },
  ...{ accountIds: null, clientId: null, expiresAt: null },
}
const row: StoredKey = {
  ...{ ...entry, id: 'row', name: 'terminal', hash: 'a'.repeat(64), scopes: ['read', 'write'] },
  ...{ env: 'live', hint: 'abcd', createdAt: '2026-01-01T00:00:00.000Z', revokedAt: null, lastUsedOn: null },
  readAt: '2026-01-01T12:00:00.000Z',
}

/** The clock of the process is an hour behind that of the database. */
function ringOf(...stored: StoredKey[]) {
  const clock = { ms: Date.parse(row.readAt) - 3_600_000 }
  const table = { rows: stored, reads: 0, read: async () => table.rows }
  const ring = new KeyRing({
    entries: [entry],
    restrict: () => undefined,
    read: () => {
      table.reads++
      return table.read()
    },
    now: () => clock.ms,
    elapsed: () => clock.ms,
  })
  /** As long as reads are apart. */
  const readLater = () => {
    clock.ms += 1000
    return ring.readAgain()
  }
  return { ring, clock, table, readLater }
}

const stateOf = (ring: KeyRing, { hash }: { hash: string }) => ring.find(hash)?.state

test('keys of configuration and database are found by their hash, once they were read', async () => {
  const { ring } = ringOf(row)
  expect([ring.size, ring.find(row.hash), ring.ageMs]).toEqual([0, undefined, Number.POSITIVE_INFINITY])
  await ring.readAgain()
  expect([ring.size, ring.ageMs]).toEqual([2, 0])
  expect(ring.find(entry.hash)?.principal).toMatchObject({ keyId: 'entry', name: 'file' })
  expect(ring.find(row.hash)?.principal).toMatchObject({ keyId: 'row', name: 'terminal' })
  expect(ring.find('b'.repeat(64))).toBeUndefined()
})

test('a key that is revoked ends what was begun with it, and is known still', async () => {
  const { ring, table, readLater } = ringOf(row)
  await ring.readAgain()
  const { principal } = ring.find(row.hash) ?? {}
  expect([stateOf(ring, row), principal?.ended?.aborted]).toEqual(['valid', false])
  table.rows = [{ ...row, revokedAt: row.readAt }]
  await readLater()
  expect([stateOf(ring, row), principal?.ended?.aborted]).toEqual(['revoked', true])
})

test('a row that is gone ends as well', async () => {
  const { ring, table, readLater } = ringOf(row)
  await ring.readAgain()
  const { principal } = ring.find(row.hash) ?? {}
  table.rows = []
  await readLater()
  expect([ring.find(row.hash), principal?.ended?.aborted]).toEqual([undefined, true])
})

test('a key expires by the clock of the database, also between two reads', async () => {
  const { ring, clock } = ringOf({ ...row, expiresAt: '2026-01-01T12:00:10.000Z' })
  await ring.readAgain()
  clock.ms += 9999
  expect(stateOf(ring, row)).toBe('valid')
  clock.ms += 1
  expect(stateOf(ring, row)).toBe('expired')
})

test('reads come one after the other, and each caller sees one that begins later', async () => {
  const { ring, table } = ringOf()
  const slow = Promise.withResolvers<StoredKey[]>()
  table.read = () => slow.promise
  const first = ring.readAgain()
  await eventually(() => expect(table.reads).toBe(1), { intervalMs: 1 })
  // Under way: what is created now may be missing in it.
  table.read = async () => [row]
  const others = Array.from({ length: 100 }, () => ring.readAgain())
  slow.resolve([])
  await first
  expect(ring.find(row.hash)).toBeUndefined()
  await Promise.all(others)
  expect([stateOf(ring, row), table.reads]).toEqual(['valid', 2])
})

test('a failed read leaves the keys as they were, and the next one is tried', async () => {
  const { ring, clock, table, readLater } = ringOf(row)
  await ring.readAgain()
  table.read = () => Promise.reject(new Error('no database'))
  await expect(readLater()).rejects.toThrow('no database')
  expect([stateOf(ring, row), ring.ageMs]).toEqual(['valid', 1000])
  table.read = async () => [row]
  clock.ms += 1000
  await ring.readAgain()
  expect(ring.ageMs).toBe(0)
})

test('the use of a key in the database is noted once a day, and again where that failed', async () => {
  const { ring, clock, readLater } = ringOf({ ...row, lastUsedOn: '2025-12-31' })
  await ring.readAgain()
  const noted: string[][] = []
  const use = (...keys: { hash: string }[]) => {
    for (const { hash } of keys) ring.use(ring.find(hash) as NonNullable<ReturnType<KeyRing['find']>>)
  }
  const note = () => ring.noteUses(async (ids) => void noted.push(ids))
  use(row, row, entry)
  await expect(ring.noteUses(() => Promise.reject(new Error('no database')))).rejects.toThrow()
  await note()
  await readLater()
  use(row)
  await note()
  expect(noted).toEqual([['row']])
  clock.ms += 86_400_000
  use(row)
  await note()
  expect(noted).toEqual([['row'], ['row']])
})
