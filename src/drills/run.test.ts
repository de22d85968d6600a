import { expect, test } from 'bun:test'
import type { Drill } from './drills'
import type { LocalStack } from './local-stack'
import { runCalm, runDrill } from './run'

/** A service that shows an age, and takes every transfer. */
function serve() {
  const state = { age: 0, transfers: 0, keys: undefined as string[] | undefined }
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const { method, headers } = request
      const key = headers.get('authorization')?.replace('Bearer ', '')
      if (state.keys && !state.keys.includes(`${key} ${method}`))
        return new Response('{}', { status: key === undefined ? 401 : 403 })
      if (method === 'GET') return new Response(`saldo_age_seconds ${state.age}\n`)
      if (!(await request.text()).includes('dry_run')) state.transfers++
      return new Response('{}', { status: 201 })
    },
  })
  const url = `http://127.0.0.1:${server.port}`
  const stackWith = (key?: string) => {
    const [wallet, balances] = ['WALLET_API_KEY', 'BALANCES_API_KEY'].map((keyVariable) => ({
      ...{ url, key, keyVariable },
    }))
    return { wallet, balances } as LocalStack
  }
  return {
    ...{ state, stackWith, stack: stackWith() },
    [Symbol.dispose]: () => server.stop(true),
  }
}

const rule = { alert: 'TooOld', expr: 'max(saldo_age_seconds) > 15', forMs: 0, severity: 'page' }

const drillOf = (state: { age: number }, age = 20): Drill => ({
  ...{ alert: rule.alert, does: 'makes it old', undoes: 'makes it new' },
  async cause({ undo }) {
    state.age = age
    undo.defer(() => {
      state.age = 0
    })
  },
})

function optionsOf(stack: LocalStack, signal = new AbortController().signal) {
  const said: string[] = []
  return {
    ...{ stack, env: {}, signal, everyMs: 50, foundWithinMs: 500, clearWithinMs: 500, said },
    say: (line: string) => void said.push(line),
  }
}

test('a drill is found, and undone before it has to be clear', async () => {
  using service = serve()
  const options = optionsOf(service.stack)
  expect(await runDrill('old', drillOf(service.state), rule, { ...options, holdMs: 10 })).toEqual({
    ...{ drill: 'old', alert: 'TooOld', fault: null },
    ...{ found_seconds: expect.any(Number), clear_seconds: expect.any(Number) },
  })
  expect(options.said[0]).toStartWith('old: makes it old. Waiting for TooOld: max(saldo_age_seconds) > 15')
  expect(options.said[1]).toMatch(/^old: found after .* s; stays so for 0.01 s$/)
})

test('a rule that does not see its drill fails it, and it is undone', async () => {
  using service = serve()
  const result = await runDrill('old', drillOf(service.state, 14), rule, optionsOf(service.stack))
  expect(result).toMatchObject({ found_seconds: null, fault: 'the rule was not true within 0.5 s' })
  expect(service.state.age).toBe(0)
})

test('a rule that stays true fails its drill', async () => {
  using service = serve()
  const drill: Drill = {
    ...drillOf(service.state),
    async cause() {
      service.state.age = 20
    },
  }
  const result = await runDrill('old', drill, rule, optionsOf(service.stack))
  expect(result).toMatchObject({ clear_seconds: null, fault: 'the rule was still true 0.5 s after the end' })
  const again = await runDrill('old', drill, rule, { ...optionsOf(service.stack), alreadyMs: 100 })
  expect(again.fault).toBe('the rule is true before the drill')
})

test('it asks under its keys; one that is missing or allows too little ends it', async () => {
  using service = serve()
  const { state, stackWith } = service
  state.keys = ['all GET', 'all POST', 'little GET']
  const drillWith = (key?: string) => runDrill('old', drillOf(state), rule, optionsOf(stackWith(key)))
  expect(await drillWith('all')).toMatchObject({ fault: null, found_seconds: expect.any(Number) })
  await expect(drillWith()).rejects.toThrow(/wants an API key \(401\): set \w+_API_KEY, .*scope metrics/)
  const refusal = /refuses the key in WALLET_API_KEY \(403\).*scope write/
  expect((await drillWith('little')).fault).toMatch(refusal)
  expect(state.age).toBe(0)
})

test('what fails, and what is interrupted, is undone', async () => {
  using service = serve()
  const { state, stack } = service
  const failing: Drill = {
    ...drillOf(state),
    async cause(stage) {
      await drillOf(state).cause(stage)
      throw new Error('no such lock')
    },
  }
  expect((await runDrill('old', failing, rule, optionsOf(stack))).fault).toBe('no such lock')
  expect(state.age).toBe(0)

  const stopping = new AbortController()
  const interrupted: Drill = {
    ...drillOf(state, 14),
    async cause(stage) {
      await drillOf(state, 14).cause(stage)
      stopping.abort()
    },
  }
  const result = await runDrill('old', interrupted, rule, optionsOf(stack, stopping.signal))
  expect([result.fault, state.age]).toEqual(['interrupted', 0])
})

test('drill none loads, and tells what fires from what is true for a while', async () => {
  using service = serve()
  service.state.age = 20
  const rules = [rule, { ...rule, alert: 'LongTooOld', forMs: 60_000 }]
  const calm = await runCalm(rules, { ...optionsOf(service.stack), minutes: 0.005 })
  expect(calm).toMatchObject({ fired: ['TooOld'], pending: ['LongTooOld'] })
  expect(service.state.transfers).toBeGreaterThan(0)
  expect(calm.transfers).toEqual({ sent: service.state.transfers, refused: 0, failed: 0 })
  // The last one is paid back.
  expect(service.state.transfers % 2).toBe(0)
})
