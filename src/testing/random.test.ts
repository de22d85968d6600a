import { afterEach, expect, test } from 'bun:test'
import fc from 'fast-check'
import { casesOf, replayOf, seed, seeded } from './random'

const cases = process.env.TEST_CASES
afterEach(() => {
  if (cases === undefined) delete process.env.TEST_CASES
  else process.env.TEST_CASES = cases
})

const errorOf = (run: () => Promise<unknown>): Promise<Error> => run().then(Object, (error) => error)

test('a failed property prints its seed and the command that replays it', async () => {
  delete process.env.TEST_CASES
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

test('the gate tries all cases, and so does the replay of one that failed there', () => {
  process.env.TEST_CASES = 'all'
  expect([casesOf(20), replayOf(7)]).toEqual([20, expect.stringContaining(': TEST_CASES=all SEED=7 npm')])
  delete process.env.TEST_CASES
  expect([casesOf(20), casesOf(1), replayOf(7)]).toEqual([5, 1, expect.stringContaining(': SEED=7 npm')])
})
