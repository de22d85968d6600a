import { expect, test } from 'bun:test'
import type { Balance } from '../queries/balances-store'
import { type Consistency, createConsistency } from './read-your-writes'

const never = new AbortController().signal

/**
 * Versions as the database has them; `move` applies one, and tells of it unless it is another
 * process that does.
 */
function desk(waitersMax = 10) {
  const versions = new Map<string, bigint>()
  let asked = 0
  const consistency: Consistency = createConsistency(
    async (id) => {
      asked++
      const version = versions.get(id)
      return version === undefined ? undefined : ({ version } as Balance)
    },
    { waitersMax },
  )
  return {
    consistency,
    asked: () => asked,
    move(id: string, version: bigint, tell = true) {
      versions.set(id, version)
      if (tell) consistency.wake([id])
    },
  }
}

const wanting = (wanted: Record<string, bigint>) => new Map(Object.entries(wanted))
const turns = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

test('what is there already is not waited for', async () => {
  const { consistency, move } = desk()
  move('a', 5n)
  expect(await consistency.reach(wanting({ a: 5n }), { waitMs: 0, signal: never })).toEqual([])
  expect(await consistency.reach(wanting({ a: 4n }), { waitMs: 60_000, signal: never })).toEqual([])
})

test('without time to wait, what is missing is told at once', async () => {
  const { consistency, move, asked } = desk()
  move('a', 4n)
  expect(await consistency.reach(wanting({ a: 5n, b: 1n }), { waitMs: 0, signal: never })).toEqual([
    { accountId: 'a', wanted: 5n, known: 4n },
    { accountId: 'b', wanted: 1n, known: null },
  ])
  expect(asked()).toBe(2)
})

test('a wait ends when the last account has arrived, and asks only when one of its own may have', async () => {
  const { consistency, move, asked } = desk()
  const reached = consistency.reach(wanting({ a: 1n, b: 2n }), { waitMs: 60_000, signal: never })
  await turns()
  expect(asked()).toBe(2)
  for (let version = 1n; version < 50n; version++) move('c', version)
  await turns()
  expect(asked()).toBe(2)
  move('a', 1n)
  move('b', 1n)
  await turns()
  move('b', 3n, false)
  consistency.wake()
  expect(await reached).toEqual([])
})

test('what arrives while it looks is not missed', async () => {
  let answer = () => {}
  const versions: (bigint | undefined)[] = [undefined, 1n]
  const consistency = createConsistency(
    async () => {
      const version = versions.shift()
      await new Promise<void>((resolve) => {
        answer = resolve
      })
      return version === undefined ? undefined : ({ version } as Balance)
    },
    { waitersMax: 1 },
  )
  const reached = consistency.reach(wanting({ a: 1n }), { waitMs: 60_000, signal: never })
  await turns()
  consistency.wake(['a'])
  answer()
  await turns()
  answer()
  expect(await reached).toEqual([])
})

test('a wait ends with its time, with its caller, and with the service', async () => {
  const { consistency } = desk()
  const behind = [{ accountId: 'a', wanted: 1n, known: null }]
  expect(await consistency.reach(wanting({ a: 1n }), { waitMs: 1, signal: never })).toEqual(behind)
  const caller = new AbortController()
  const left = consistency.reach(wanting({ a: 1n }), { waitMs: 60_000, signal: caller.signal })
  const stopped = consistency.reach(wanting({ a: 1n }), { waitMs: 60_000, signal: never })
  await turns()
  caller.abort()
  expect(await left).toEqual(behind)
  consistency.stop()
  expect(await stopped).toEqual(behind)
})

test('no more wait than may, and those who leave make room', async () => {
  const { consistency, move } = desk(2)
  const wait = () => consistency.reach(wanting({ a: 1n }), { waitMs: 60_000, signal: never })
  const waiting = [wait(), wait()]
  await turns()
  expect(wait()).rejects.toMatchObject({ code: 'overloaded' })
  await turns()
  move('a', 1n)
  expect(await Promise.all(waiting)).toEqual([[], []])
  expect(await wait()).toEqual([])
})
