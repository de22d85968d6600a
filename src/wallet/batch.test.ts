import { expect, test } from 'bun:test'
import { createBatch } from './batch'

/** A settle function that waits until it is let go, and remembers its batches. */
function gated() {
  const batches: number[][] = []
  const gates: PromiseWithResolvers<void>[] = []
  const settle = async (commands: number[]) => {
    batches.push(commands)
    const gate = Promise.withResolvers<void>()
    gates.push(gate)
    await gate.promise
    return commands.map((command) => command * 10)
  }
  const open = async (index: number) => {
    while (!gates[index]) await new Promise(setImmediate)
    gates[index].resolve()
  }
  return { batches, settle, open }
}

const sizes = { sizeOf: () => 1, waitMaxMs: 60_000 }

test('what arrives while one batch is settled is the next one', async () => {
  const { batches, settle, open } = gated()
  const batch = createBatch({ ...sizes, settle, sizeMax: 3, queueMax: 100 })
  const first = batch.submit(1)
  while (batches.length === 0) await new Promise(setImmediate)
  const others = [2, 3, 4, 5].map((command) => batch.submit(command))
  for (const index of [0, 1, 2]) await open(index)

  expect(await first).toBe(10)
  expect(await Promise.all(others)).toEqual([20, 30, 40, 50])
  expect(batches).toEqual([[1], [2, 3, 4], [5]])
})

test('commands of one turn of the event loop go together', async () => {
  const { batches, settle, open } = gated()
  const batch = createBatch({ ...sizes, settle, sizeMax: 100, queueMax: 100 })
  const answers = [1, 2, 3].map((command) => batch.submit(command))
  await open(0)
  await Promise.all(answers)
  expect(batches).toEqual([[1, 2, 3]])
})

test('a full queue turns a command away before anything is done for it', async () => {
  const { batches, settle, open } = gated()
  const batch = createBatch({ ...sizes, settle, sizeMax: 10, queueMax: 2 })
  const accepted = [batch.submit(1), batch.submit(2)]
  expect(batch.submit(3)).rejects.toMatchObject({ code: 'overloaded' })
  await open(0)
  await Promise.all(accepted)
  expect(batches).toEqual([[1, 2]])
})

test('a request of many commands takes up as much room as it has commands, and is never split', async () => {
  const { batches, settle, open } = gated()
  const batch = createBatch({ settle, sizeOf: (request) => request, sizeMax: 5, queueMax: 20, waitMaxMs: 60_000 })
  const accepted = [1, 2, 3, 9, 5].map((request) => batch.submit(request))
  expect(batch.submit(1)).rejects.toMatchObject({ code: 'overloaded' })
  for (const index of [0, 1, 2, 3]) await open(index)
  await Promise.all(accepted)
  expect(batches).toEqual([[1, 2], [3], [9], [5]])
})

test('who waited for longer than they may is turned away, and nothing is done for them; who is in flight is not', async () => {
  const { batches, settle, open } = gated()
  const batch = createBatch({ ...sizes, settle, sizeMax: 10, queueMax: 10 })
  const inFlight = batch.submit(1, 1)
  while (batches.length === 0) await new Promise(setImmediate)
  const patient = batch.submit(2)
  expect(await batch.submit(3, 1).catch((error) => error)).toMatchObject({ code: 'deadline_exceeded' })
  for (const index of [0, 1]) await open(index)
  expect(await Promise.all([inFlight, patient])).toEqual([10, 20])
  expect(batches).toEqual([[1], [2]])
})

test('an error is the outcome of its own command; a throw is that of the whole batch, and the next one goes on', async () => {
  const batch = createBatch<string, string>({
    settle: async (commands) => {
      if (commands.includes('broken')) throw new Error('all of them')
      return commands.map((command) => (command === 'bad' ? new Error('only this one') : command))
    },
    ...sizes,
    sizeMax: 2,
    queueMax: 10,
  })
  const outcomes = await Promise.allSettled(
    ['good', 'bad', 'broken', 'beside', 'after'].map((command) => batch.submit(command)),
  )
  expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason.message))).toEqual([
    'good',
    'only this one',
    'all of them',
    'all of them',
    'after',
  ])
  await batch.idle()
})
