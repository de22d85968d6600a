import { expect, test } from 'bun:test'
import { CommitQueue } from './commit-queue'

/** An `execute` that blocks until it is opened, and remembers its batches. */
function gated() {
  const batches: number[][] = []
  const gates: PromiseWithResolvers<void>[] = []
  const execute = async (commands: number[]) => {
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
  return { batches, execute, open }
}

/** Nothing to build on: everything is settled. */
const tryOptimistic = async () => undefined
const sizes = { sizeOf: () => 1, waitMaxMs: 60_000, tryOptimistic }

test('what arrives while one batch is settled is the next one', async () => {
  const { batches, execute, open } = gated()
  const batch = new CommitQueue({ ...sizes, execute, sizeMax: 3, queueMax: 100 })
  const first = batch.submit(1)
  while (batches.length === 0) await new Promise(setImmediate)
  const others = [2, 3, 4, 5].map((command) => batch.submit(command))
  for (const index of [0, 1, 2]) await open(index)

  expect(await first).toBe(10)
  expect(await Promise.all(others)).toEqual([20, 30, 40, 50])
  expect(batches).toEqual([[1], [2, 3, 4], [5]])
})

test('commands of one turn of the event loop go together', async () => {
  const { batches, execute, open } = gated()
  const batch = new CommitQueue({ ...sizes, execute, sizeMax: 100, queueMax: 100 })
  const answers = [1, 2, 3].map((command) => batch.submit(command))
  await open(0)
  await Promise.all(answers)
  expect(batches).toEqual([[1, 2, 3]])
})

test('a full queue turns a command away before anything is done for it', async () => {
  const { batches, execute, open } = gated()
  const batch = new CommitQueue({ ...sizes, execute, sizeMax: 10, queueMax: 2 })
  const accepted = [batch.submit(1), batch.submit(2)]
  expect(batch.submit(3)).rejects.toMatchObject({ code: 'overloaded' })
  await open(0)
  await Promise.all(accepted)
  expect(batches).toEqual([[1, 2]])
})

test('a request of many commands takes up as much room as it has commands, and is never split', async () => {
  const { batches, execute, open } = gated()
  const batch = new CommitQueue({
    ...sizes,
    execute,
    sizeOf: (request) => request,
    sizeMax: 5,
    queueMax: 20,
  })
  const accepted = [1, 2, 3, 9, 5].map((request) => batch.submit(request))
  expect(batch.submit(1)).rejects.toMatchObject({ code: 'overloaded' })
  for (const index of [0, 1, 2, 3]) await open(index)
  await Promise.all(accepted)
  expect(batches).toEqual([[1, 2], [3], [9], [5]])
})

test('a command past its deadline is rejected unexecuted; one in flight completes', async () => {
  const { batches, execute, open } = gated()
  const batch = new CommitQueue({ ...sizes, execute, sizeMax: 10, queueMax: 10 })
  const inFlight = batch.submit(1, 1)
  while (batches.length === 0) await new Promise(setImmediate)
  const patient = batch.submit(2)
  expect(await batch.submit(3, 1).catch((error) => error)).toMatchObject({ code: 'deadline_exceeded' })
  for (const index of [0, 1]) await open(index)
  expect(await Promise.all([inFlight, patient])).toEqual([10, 20])
  expect(batches).toEqual([[1], [2]])
})

/** Calls that block until they are opened, in the order in which they began. */
function flying(outcomes: (requests: number[]) => (number | undefined)[] | Error) {
  const begun: {
    how: 'try' | 'execute' | 'execute again'
    requests: number[]
    gate: PromiseWithResolvers<void>
  }[] = []
  const begin = (how: (typeof begun)[number]['how'], requests: number[]) => {
    const gate = Promise.withResolvers<void>()
    begun.push({ how, requests, gate })
    return gate.promise
  }
  const batch = new CommitQueue<number, number>({
    ...sizes,
    tryOptimistic: async (requests) => {
      const answers = begin('try', requests).then(() => {
        const answered = outcomes(requests)
        if (answered instanceof Error) throw answered
        return answered
      })
      return { answers }
    },
    execute: async (requests, again) => {
      await begin(again ? 'execute again' : 'execute', requests)
      return requests.map((request) => -request)
    },
    sizeMax: 1000,
    queueMax: 1000,
  })
  const until = async (count: number) => {
    while (begun.length < count) await new Promise(setImmediate)
  }
  const submit = (from: number, to: number) =>
    Promise.all(Array.from({ length: to - from }, (_, index) => batch.submit(from + index)))
  const sizesOf = () => begun.map(({ how, requests }) => [how, requests.length])
  return { begun, until, submit, sizesOf, land: (index: number) => begun[index]?.gate.resolve() }
}

test('at most two batches are in flight: an equally large one follows, a smaller one waits', async () => {
  const { until, submit, sizesOf, land } = flying((requests) => requests)
  const first = submit(0, 20)
  await until(1)
  const second = submit(20, 39)
  await new Promise(setImmediate)
  expect(sizesOf()).toEqual([['try', 20]])
  const third = submit(39, 41)
  await until(2)
  const fourth = submit(41, 91)
  await new Promise(setImmediate)
  expect(sizesOf()).toEqual([
    ['try', 20],
    ['try', 21],
  ])
  for (const index of [0, 1, 2]) {
    await until(index + 1)
    land(index)
  }
  expect((await Promise.all([first, second, third, fourth])).flat()).toEqual(
    Array.from({ length: 91 }, (_, one) => one),
  )
})

test('commands that an optimistic try leaves open, or all if it fails, are executed alone', async () => {
  const { begun, until, submit, land } = flying((requests) =>
    requests.includes(30)
      ? new Error('a version was taken')
      : requests.map((one) => (one % 10 === 0 ? undefined : one)),
  )
  const first = submit(0, 20)
  await until(1)
  const second = submit(20, 40)
  await until(2)
  const third = submit(40, 42)
  land(0)
  await new Promise(setImmediate)
  expect(begun.length).toBe(2)
  land(1)
  await until(3)
  expect(begun[2]).toMatchObject({
    how: 'execute again',
    requests: [0, 10, ...Array.from({ length: 20 }, (_, index) => 20 + index)],
  })
  land(2)
  for (const index of [3, 4]) {
    await until(index + 1)
    land(index)
  }
  expect(begun[4]).toMatchObject({ how: 'execute again', requests: [40] })
  expect((await first).slice(0, 2)).toEqual([-0, 1])
  expect(await second).toEqual(Array.from({ length: 20 }, (_, index) => -20 - index))
  expect(await third).toEqual([-40, 41])
})

test('an error fails its own command, a throw fails its batch, and the next batch succeeds', async () => {
  const batch = new CommitQueue<string, string>({
    execute: async (commands) => {
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
  expect(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason.message)),
  ).toEqual(['good', 'only this one', 'all of them', 'all of them', 'after'])
  await batch.idle()
})

test('the command of a caller that has left is not executed, the others are', async () => {
  const { batches, execute, open } = gated()
  const gone = new Set<number>()
  const isAbandoned = (command: number) => gone.has(command)
  const batch = new CommitQueue({ ...sizes, execute, isAbandoned, sizeMax: 100, queueMax: 4 })
  const first = batch.submit(1)
  while (batches.length === 0) await new Promise(setImmediate)
  const others = [2, 3, 4].map((command) => batch.submit(command).catch((error) => error.code))
  gone.add(1).add(2).add(4)
  await open(0)
  await open(1)
  expect(await Promise.all([first, ...others])).toEqual([10, 'deadline_exceeded', 30, 'deadline_exceeded'])
  expect(batches).toEqual([[1], [3]])

  const alone = batch.submit(2)
  expect(alone).rejects.toMatchObject({ code: 'deadline_exceeded' })
  await batch.idle()
  expect(batches).toHaveLength(2)
})
