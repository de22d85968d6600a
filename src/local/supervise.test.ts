import { expect, test } from 'bun:test'
import { createSwitch, type Running, type Supervision, supervise } from './supervise.ts'

/** A part whose exits and failing starts the test controls. */
function fakePart({ failures = 0 } = {}) {
  const ends: ((how: string) => void)[] = []
  let starts = 0
  let stops = 0
  const part = {
    async start(_: AbortSignal): Promise<Running> {
      if (++starts <= failures) throw new Error(`failure ${starts}`)
      const { promise, resolve } = Promise.withResolvers<string>()
      ends.push(resolve)
      return {
        exited: promise,
        async stop() {
          stops++
          resolve('exit code 0')
        },
      }
    },
  }
  return { part, endLast: (how: string) => ends.at(-1)?.(how), counts: () => ({ starts, stops }) }
}

/** Pauses end at once and callbacks are recorded. `nextReady` resolves with the next one. */
function fakeSupervision() {
  const calls: string[] = []
  let readyAgain = Promise.withResolvers<void>()
  const supervision: Supervision = {
    delayMs: (attempt) => attempt * 100,
    async pause() {},
    onEnd: (how, delayMs) => calls.push(`${how}, again in ${delayMs}`),
    onReady() {
      calls.push('ready')
      readyAgain.resolve()
    },
  }
  const nextReady = () => {
    readyAgain = Promise.withResolvers()
    return readyAgain.promise
  }
  return { calls, supervision, nextReady }
}

test('a part that exits is restarted, and its exit is reported', async () => {
  const { part, endLast } = fakePart()
  const { calls, supervision, nextReady } = fakeSupervision()
  const supervised = supervise(part.start, supervision)
  await supervised.ready

  for (const how of ['exit code 1', 'signal SIGKILL']) {
    const again = nextReady()
    endLast(how)
    await again
  }

  expect(calls).toEqual([
    'ready',
    'exit code 1, again in 100',
    'ready',
    'signal SIGKILL, again in 200',
    'ready',
  ])
  await supervised.stop()
})

test('a restart that fails is retried after a longer pause', async () => {
  const { part, endLast } = fakePart()
  const { calls, supervision, nextReady } = fakeSupervision()
  let broken = 0
  const supervised = supervise(
    (signal) => (broken-- > 0 ? Promise.reject(new Error('port taken')) : part.start(signal)),
    supervision,
  )
  await supervised.ready

  broken = 2
  const again = nextReady()
  endLast('exit code 1')
  await again

  expect(calls).toEqual([
    'ready',
    'exit code 1, again in 100',
    'port taken, again in 200',
    'port taken, again in 300',
    'ready',
  ])
  await supervised.stop()
})

test('a first start that fails is not retried', async () => {
  const { part, counts } = fakePart({ failures: 1 })
  const supervised = supervise(part.start, fakeSupervision().supervision)

  await expect(supervised.ready).rejects.toThrow('failure 1')
  await supervised.stop()
  expect(counts()).toEqual({ starts: 1, stops: 0 })
})

test('nothing restarts after a stop, and a second stop is a no-op', async () => {
  const { part, counts } = fakePart()
  const { calls, supervision } = fakeSupervision()
  const supervised = supervise(part.start, supervision)
  await supervised.ready

  await Promise.all([supervised.stop(), supervised.stop()])
  expect(counts().starts).toBe(1)
  expect(calls).toEqual(['ready'])
})

test('a stop during a start waits for it and leaves nothing running', async () => {
  const { part, counts } = fakePart()
  const starting = Promise.withResolvers<void>()
  const supervised = supervise(
    (signal) => starting.promise.then(() => part.start(signal)),
    fakeSupervision().supervision,
  )

  const stopped = supervised.stop()
  starting.resolve()
  await stopped
  expect(counts()).toEqual({ starts: 1, stops: 1 })
})

test('a stop ends the pause between two starts', async () => {
  const { part, endLast, counts } = fakePart()
  const waiting = Promise.withResolvers<void>()
  const supervised = supervise(part.start, {
    ...fakeSupervision().supervision,
    pause(_, signal) {
      waiting.resolve()
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
    },
  })
  await supervised.ready
  endLast('exit code 1')
  await waiting.promise

  await supervised.stop()
  expect(counts()).toEqual({ starts: 1, stops: 0 })
})

test('a part is killed as a crash would end it, and not while it does not run', async () => {
  const { part } = fakePart()
  const killed = Promise.withResolvers<string>()
  const { calls, supervision, nextReady } = fakeSupervision()
  let starts = 0
  const supervised = supervise(async (signal) => {
    const running = await part.start(signal)
    return starts++ > 0
      ? running
      : { ...running, exited: killed.promise, kill: () => killed.resolve('killed') }
  }, supervision)
  expect(supervised.kill()).toBe(false)
  await supervised.ready
  const again = nextReady()
  expect(supervised.kill()).toBe(true)
  await again
  expect(calls).toEqual(['ready', 'killed, again in 100', 'ready'])
  await supervised.stop()
})

test('a switch stops a part until it is switched on again, however often it is asked', async () => {
  const { part, counts } = fakePart()
  const { calls, supervision } = fakeSupervision()
  const one = createSwitch(() => supervise(part.start, supervision))
  await one.ready

  await Promise.all([one.off(), one.off()])
  expect([counts(), calls]).toEqual([{ starts: 1, stops: 1 }, ['ready']])
  await Promise.all([one.on(), one.on()])
  expect(counts()).toEqual({ starts: 2, stops: 1 })

  await Promise.all([one.stop(), one.on()])
  await one.on()
  expect(counts()).toEqual({ starts: 2, stops: 2 })
})

test('a part that cannot be switched on is off, and may be tried again', async () => {
  const { part, counts } = fakePart()
  let isBroken = false
  const start = (signal: AbortSignal) =>
    isBroken ? Promise.reject(new Error('port taken')) : part.start(signal)
  const one = createSwitch(() => supervise(start, fakeSupervision().supervision))
  await one.off()
  isBroken = true
  await expect(one.on()).rejects.toThrow('port taken')
  isBroken = false
  await one.on()
  expect(counts().starts).toBe(2)
  await one.stop()
})
