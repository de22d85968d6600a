import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createParts } from './send-in-parts'

class TooLarge extends Error {}
type Item = { id: number; bytes: number }

function receiver({ partMax = Number.POSITIVE_INFINITY, bytesMax = 1000, bytesMin = 1 } = {}) {
  const parts: number[][] = []
  const broken = new Set<number>()
  const state = { partMax, refusals: 0 }
  const send = createParts<Item, { place: number }>({
    send: async (items) => {
      if (items.some(({ id }) => broken.has(id))) throw new Error('connection closed')
      if (items.reduce((sum, { bytes }) => sum + bytes, 0) > state.partMax) {
        state.refusals++
        throw new TooLarge()
      }
      parts.push(items.map(({ id }) => id))
      return items.map(({ id }) => ({ place: id }))
    },
    bytesOf: ({ bytes }) => bytes,
    isTooLarge: (error) => error instanceof TooLarge,
    ...{ bytesMax, bytesMin },
  })
  return { parts, broken, state, send }
}
const items = (...sizes: number[]): Item[] => sizes.map((bytes, id) => ({ id, bytes }))
const placed = (id: number) => ({ place: id })

test('parts are as large as allowed, in order; a larger item goes alone', async () => {
  const { send, parts } = receiver()
  expect(await send(items(400, 600, 1, 5000, 999))).toEqual([0, 1, 2, 3, 4].map(placed))
  expect(parts).toEqual([[0, 1], [2], [3], [4]])
  expect(await send([])).toEqual([])
})

test('a refused part is halved, down to the item that is too large; the others arrive', async () => {
  const { send } = receiver({ partMax: 300 })
  const answers = await send(items(100, 100, 301, 100, 100, 300, 100))
  expect(answers).toEqual([placed(0), placed(1), 'too_large', placed(3), placed(4), placed(5), placed(6)])
})

test('the receiver’s limit is learned: the next send is not refused', async () => {
  const { send, state } = receiver({ partMax: 300 })
  await send(items(...Array(40).fill(20)))
  const { refusals } = state
  expect(refusals).toBeGreaterThan(0)
  await send(items(...Array(40).fill(20)))
  expect(state.refusals).toBe(refusals)
})

test('after a failure, sent parts have results; if none was sent, the failure is thrown', async () => {
  const { send, broken } = receiver()
  broken.add(2)
  expect(await send(items(900, 900, 900, 900))).toEqual([placed(0), placed(1), 'unsent', 'unsent'])
  expect(send([{ id: 2, bytes: 1 }])).rejects.toThrow('connection closed')
})

test('a receiver that hangs up on large parts gets smaller ones, until it takes them', async () => {
  const { send, state, parts } = receiver()
  const hangsUp = createParts<Item, { place: number }>({
    send: async (part) => {
      if (part.reduce((sum, { bytes }) => sum + bytes, 0) > 300) throw new Error('connection closed')
      return (await send(part)) as { place: number }[]
    },
    bytesOf: ({ bytes }) => bytes,
    isTooLarge: () => false,
    bytesMax: 1000,
    bytesMin: 10,
  })
  let left = items(...Array(30).fill(100))
  for (let tries = 0; left.length > 0 && tries < 40; tries++) {
    const answers = await hangsUp(left).catch(() => left.map(() => 'unsent' as const))
    left = left.filter((_, index) => answers[index] === 'unsent')
  }
  expect(left).toEqual([])
  expect([state.refusals, parts.flat()]).toEqual([0, [...Array(30).keys()]])
})

test('each item has a result, in order, and is too large only if it never fits', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(
      sizes,
      fc.integer({ min: 1, max: 4000 }),
      fc.constantFrom(1, 500),
      async (bytes, partMax, bytesMin) => {
        const { send, parts } = receiver({ partMax, bytesMin })
        for (let round = 0; round < 2; round++) {
          const answers = await send(items(...bytes))
          expect(answers).toEqual(bytes.map((one, id) => (one > partMax ? 'too_large' : placed(id))))
        }
        const there = bytes.flatMap((one, id) => (one > partMax ? [] : id))
        expect(parts.flat()).toEqual([...there, ...there])
      },
    ),
  )
})
