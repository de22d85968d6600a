import { afterEach, expect, test } from 'bun:test'
import fc from 'fast-check'
import { casesOf, drawn, replayOf, seed, seeded } from './random'

const cases = process.env.TEST_CASES
afterEach(() => {
  if (cases === undefined) delete process.env.TEST_CASES
  else process.env.TEST_CASES = cases
})

const errorOf = (run: () => Promise<unknown>): Promise<Error> => run().then(Object, (error) => error)

test('a failed property prints its seed and the command that replays it', async () => {
  const even = fc.asyncProperty(fc.nat(), async (number) => number % 2 === 0)
  const { message } = await errorOf(() => Promise.resolve(fc.assert(even, { seed: 7 })))
  expect(message).toContain('{ seed: 7, path: "')
  expect(message).toEndWith('\nTo replay: SEED=7 npm test -- src/testing/random.test.ts')
})

test('a failed seeded test prints the command that replays it', async () => {
  const chosen: number[] = []
  const failing = seeded(async (random) => {
    chosen.push(random())
    throw new Error('it failed')
  })
  const { message } = await errorOf(failing)
  expect(message).toBe(`it failed\n${replayOf(seed)}`)
  await errorOf(failing)
  expect(chosen[1]).toBe(chosen[0] as number)
})

test('a whole run by hand tries a quarter of the cases, the gate and a named file all of them', () => {
  process.env.TEST_CASES = 'few'
  expect([casesOf(20), casesOf(1), drawn([1, 2, 3, 4]).length]).toEqual([5, 1, 1])
  for (const all of ['all', '']) {
    process.env.TEST_CASES = all
    expect([casesOf(20), drawn(['a', 'b', 'c'])]).toEqual([20, ['a', 'b', 'c']])
  }
})
