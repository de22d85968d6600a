import { expect, test } from 'bun:test'
import type { Balance } from '../queries/balances-store'
import { Consistency } from './read-your-writes'

const never = new AbortController().signal

/**
 * Versions as the database has them. `move` applies one, and wakes the waiters unless another
 * process applied it.
 */
function setUp(waitersMax = 10) {
  const versions = new Map<string, bigint>()
  let queries = 0
  const consistency = new Consistency(
    async (id) => {
      queries++
      const version = versions.get(id)
      return version === undefined ? undefined : ({ version } as Balance)
    },
    { waitersMax },
  )
  return {
    consistency,
    queries: () => queries,
    move(id: string, version: bigint, isOurs = true) {
      versions.set(id, version)
      if (isOurs) consistency.wake([id])
    },
  }
}

const requiring = (versions: Record<string, bigint>) => new Map(Object.entries(versions))
const settleMicrotasks = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

test('a version that is already applied is not waited for', async () => {
  const { consistency, move } = setUp()
  move('a', 5n)
  expect(await consistency.waitForVersions(requiring({ a: 5n }), { waitMs: 0, signal: never })).toEqual([])
  expect(await consistency.waitForVersions(requiring({ a: 4n }), { waitMs: 60_000, signal: never })).toEqual(
    [],
  )
})

test('without a wait the stale accounts are returned at once', async () => {
  const { consistency, move, queries } = setUp()
  move('a', 4n)
  expect(
    await consistency.waitForVersions(requiring({ a: 5n, b: 1n }), { waitMs: 0, signal: never }),
  ).toEqual([
    { accountId: 'a', required: 5n, current: 4n },
    { accountId: 'b', required: 1n, current: null },
  ])
  expect(queries()).toBe(2)
})

test('a wait ends with its last account, and queries only when one of its own may have changed', async () => {
  const { consistency, move, queries } = setUp()
  const reached = consistency.waitForVersions(requiring({ a: 1n, b: 2n }), { waitMs: 60_000, signal: never })
  await settleMicrotasks()
  expect(queries()).toBe(2)
  for (let version = 1n; version < 50n; version++) move('c', version)
  await settleMicrotasks()
  expect(queries()).toBe(2)
  move('a', 1n)
  move('b', 1n)
  await settleMicrotasks()
  move('b', 3n, false)
  consistency.wake()
  expect(await reached).toEqual([])
})

test('a change during the query is not missed', async () => {
  let answer = () => {}
  const versions: (bigint | undefined)[] = [undefined, 1n]
  const consistency = new Consistency(
    async () => {
      const version = versions.shift()
      await new Promise<void>((resolve) => {
        answer = resolve
      })
      return version === undefined ? undefined : ({ version } as Balance)
    },
    { waitersMax: 1 },
  )
  const reached = consistency.waitForVersions(requiring({ a: 1n }), { waitMs: 60_000, signal: never })
  await settleMicrotasks()
  consistency.wake(['a'])
  answer()
  await settleMicrotasks()
  answer()
  expect(await reached).toEqual([])
})

test('a wait ends on timeout, abort and stop', async () => {
  const { consistency } = setUp()
  const stale = [{ accountId: 'a', required: 1n, current: null }]
  expect(await consistency.waitForVersions(requiring({ a: 1n }), { waitMs: 1, signal: never })).toEqual(stale)
  const caller = new AbortController()
  const aborted = consistency.waitForVersions(requiring({ a: 1n }), { waitMs: 60_000, signal: caller.signal })
  const stopped = consistency.waitForVersions(requiring({ a: 1n }), { waitMs: 60_000, signal: never })
  await settleMicrotasks()
  caller.abort()
  expect(await aborted).toEqual(stale)
  consistency.stop()
  expect(await stopped).toEqual(stale)
})

test('waiters are bounded, and finished waits free their slots', async () => {
  const { consistency, move } = setUp(2)
  const wait = () => consistency.waitForVersions(requiring({ a: 1n }), { waitMs: 60_000, signal: never })
  const waiting = [wait(), wait()]
  await settleMicrotasks()
  expect(wait()).rejects.toMatchObject({ code: 'overloaded' })
  await settleMicrotasks()
  move('a', 1n)
  expect(await Promise.all(waiting)).toEqual([[], []])
  expect(await wait()).toEqual([])
})
