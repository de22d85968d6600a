import { expect, test } from 'bun:test'
import { eventually } from '../../testing/eventually'
import type { Log } from '../telemetry/log'
import { createService, type Part, restartable } from './service'

const steps: string[] = []
const log = { info() {}, warn: (_: object, text: string) => steps.push(text) } as unknown as Log
const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

const part = (name: string, more: Partial<Part> = {}): Part => ({
  name,
  async run(signal) {
    steps.push(`${name} runs`)
    await untilAborted(signal)
    steps.push(`${name} ends`)
  },
  stop: async () => steps.push(`${name} stops`),
  ...more,
})

function start(parts: (Part | Part[])[], prepare: () => Promise<void> = async () => {}) {
  steps.length = 0
  const service = createService({ name: 'test', log, shutdownTimeoutMs: 1000 })
  const held = (name: string): Part => ({ name, stop: async () => steps.push(`${name} stops`) })
  const running = service.start({ port: 1, parts: [held('database'), ...parts, held('http')], prepare })
  return { running, service }
}

test('parts run in order once the service is prepared, and stop in reverse, resources last', async () => {
  const prepared = Promise.withResolvers<void>()
  const { running, service: state } = start([part('relay'), part('queue')], () => prepared.promise)
  expect(state.isServing()).toBe(false)
  expect(await state.health()).toEqual({ service: { status: 'fail', output: 'starting' } })
  expect(steps).toEqual([])

  prepared.resolve()
  const service = await running
  expect(state.isServing()).toBe(true)
  expect(steps).toEqual(['relay runs', 'queue runs'])

  await Promise.all([service.stop(), service.stop()])
  expect(steps.slice(2)).toEqual([
    'http stops',
    'queue ends',
    'queue stops',
    'relay ends',
    'relay stops',
    'database stops',
  ])
  expect(await state.health()).toEqual({ service: { status: 'fail', output: 'stopping' } })
})

test('parts of one list stop at the same time, and before the parts that are listed earlier', async () => {
  const others = Promise.withResolvers<void>()
  const waiting = part('waiting', { stop: () => others.promise })
  const last = part('last', { stop: async () => others.resolve() })
  const { running } = start([part('earlier'), [last, waiting]])
  const service = await running
  await service.stop()
  expect(steps).toContain('waiting ends')
  expect(steps.slice(-3)).toEqual(['earlier ends', 'earlier stops', 'database stops'])
})

test('a part that throws is run again, and warns until it reports progress', async () => {
  let tries = 0
  let works: (() => void) | undefined
  const flaky = part('flaky', {
    async run(signal, onProgress) {
      works = onProgress
      if (++tries < 3) throw new Error(`failure ${tries}`)
      await untilAborted(signal)
    },
  })
  const { running, service: state } = start([flaky])
  const service = await running
  await eventually(() => expect(tries).toBe(3))
  expect(await state.health()).toEqual({ flaky: { status: 'warn', output: 'failure 2' } })
  works?.()
  expect(await state.health()).toEqual({})
  expect(steps).toEqual(['flaky failed, will retry: failure 1', 'flaky failed, will retry: failure 2'])
  await service.stop()
})

test('a check that throws fails, and its neighbours are still shown', async () => {
  const { running, service: state } = start([
    part('bad', { health: () => Promise.reject(new Error('no answer')) }),
    part('good', { health: () => ({ status: 'pass' }) }),
  ])
  const service = await running
  expect(await state.health()).toEqual({
    bad: { status: 'fail', output: 'no answer' },
    good: { status: 'pass' },
  })
  await service.stop()
})

test('a start that fails stops what it had begun, and runs no part', async () => {
  const { running } = start([part('relay')], () => Promise.reject(new Error('no database')))
  await expect(running).rejects.toThrow('no database')
  expect(steps).toEqual(['http stops', 'relay stops', 'database stops'])
})

test('a part that does not end holds the shutdown for no longer than its time', async () => {
  const stuck = part('stuck', { run: () => new Promise(() => {}) })
  steps.length = 0
  const service = createService({ name: 'test', log, shutdownTimeoutMs: 1 })
  const running = await service.start({ port: 1, parts: [stuck], prepare: async () => {} })
  await running.stop()
  expect(steps).toEqual(['stuck stops'])
})

test('it says that it stops, serves on for the delay, and only then stops its parts', async () => {
  steps.length = 0
  const service = createService({ name: 'test', log, shutdownDelayMs: 50, shutdownTimeoutMs: 1000 })
  const http = part('http', { drain: () => steps.push('http drains') })
  const running = await service.start({ port: 1, parts: [http], prepare: async () => {} })
  const stopped = running.stop()
  expect(await service.health()).toEqual({ service: { status: 'fail', output: 'stopping' } })
  expect([service.isServing(), ...steps]).toEqual([true, 'http runs', 'http drains'])
  await stopped
  expect(steps.slice(2)).toEqual(['http ends', 'http stops'])
})

test('all parts together have the time of the shutdown, and those that took longer are named', async () => {
  steps.length = 0
  const service = createService({ name: 'test', log, shutdownTimeoutMs: 1 })
  const hung = (name: string) => part(name, { stop: () => new Promise(() => {}) })
  const parts = [part('database'), hung('relay'), hung('http')]
  const running = await service.start({ port: 1, parts, prepare: async () => {} })
  await expect(running.stop()).rejects.toThrow('longer than SHUTDOWN_TIMEOUT_MS: http, relay')
  expect(steps.slice(-1)).toEqual(['database stops'])
})

test('a service is ready when all its parts are, and stops while it waits for one', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { running, service } = start([part('slow', { ready: () => promise })])
  await eventually(() => expect(steps).toEqual(['slow runs']))
  expect(service.isServing()).toBe(false)
  resolve()
  await running
  expect(service.isServing()).toBe(true)
})

function startRestartable() {
  let runs = 0
  const stopping = Promise.withResolvers<void>()
  const part = restartable('consumer', () => {
    runs++
    return { stop: () => stopping.promise, health: () => ({ status: 'pass' as const }) }
  })
  const ending = new AbortController()
  const ended = part.run(ending.signal)
  return {
    part,
    runs: () => runs,
    letStop: () => stopping.resolve(),
    end() {
      ending.abort()
      stopping.resolve()
      return ended
    },
  }
}

test('a paused part is stopped until it is resumed, and warns why', async () => {
  const { part, runs, letStop, end } = startRestartable()
  expect(part.current()).toBeDefined()
  const paused = part.pause('paused on purpose')
  expect([part.isPaused(), part.current() !== undefined]).toEqual([true, true])
  letStop()
  await Promise.all([paused, part.pause('again')])
  expect([part.current(), await part.health()]).toEqual([
    undefined,
    { status: 'warn', output: 'paused on purpose' },
  ])
  // A restart meanwhile does not end the pause.
  part.restart()
  await Promise.resolve()
  expect(runs()).toBe(1)

  part.resume()
  await eventually(() => expect([runs(), part.isPaused()]).toEqual([2, false]))
  expect(await part.health()).toEqual({ status: 'pass' })
  await end()
})

test('a part resumed before it has stopped runs on, and the end leaves no pause waiting', async () => {
  const { part, runs, letStop, end } = startRestartable()
  const paused = part.pause('on purpose')
  part.resume()
  await paused
  letStop()
  await eventually(() => expect(runs()).toBe(2))

  const second = part.pause('on purpose')
  await Promise.all([end(), second])
  expect(runs()).toBe(2)
})
