/** Lines are gathered, and none is lost where a process can still write. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'

const module = JSON.stringify(join(import.meta.dir, 'log.ts'))

/** What a process wrote before it ended. */
async function linesOf(statements: string): Promise<Record<string, unknown>[]> {
  const script = `
    const { createLog } = await import(${module})
    const log = createLog({ service: 'test', level: 'info', format: 'json' })
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    ${statements}`
  const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'ignore' })
  const lines = (await new Response(child.stdout).text()).split('\n').filter(Boolean)
  await child.exited
  return lines.map((line) => JSON.parse(line))
}

const messagesOf = async (statements: string) => (await linesOf(statements)).map(({ msg }) => msg)

test.concurrent.each([
  ['at an exit', `log.info({}, 'a'); log.info({}, 'b'); process.exit(0)`],
  ['at a crash', `log.info({}, 'a'); log.info({}, 'b'); throw new Error('thrown')`],
  ['at the end', `log.info({}, 'a'); log.info({}, 'b')`],
  [
    'after a turn',
    `log.info({}, 'a'); log.info({}, 'b'); await turn(); process.kill(process.pid, 'SIGKILL')`,
  ],
  ['with a warning', `log.info({}, 'a'); log.warn({}, 'b'); process.kill(process.pid, 'SIGKILL')`],
])('lines are written %s', async (_, statements) => {
  expect(await messagesOf(statements)).toEqual(['a', 'b'])
})

test('more lines than are gathered at once come in their order', async () => {
  const statements = `for (let at = 0; at < 2000; at++) log.info({ padding: '-'.repeat(500) }, String(at))`
  expect(await messagesOf(statements)).toEqual(Array.from({ length: 2000 }, (_, at) => String(at)))
})

test('secrets are left out, wherever somebody puts them by mistake', async () => {
  const [line, child, failure] = await linesOf(`
    const secrets = { password: 'secret', url: 'secret', headers: { authorization: 'secret', accept: '*' } }
    log.info({ ...secrets, database: { password: 'secret', user: 'wallet' }, tries: 2 }, 'a')
    log.child({ password: 'secret', part: 'relay' }).info({}, 'b')
    log.error({ error: Object.assign(new Error('refused'), { password: 'secret', code: 'E1' }) }, 'c')`)
  const shown = { password: '[Redacted]', url: '[Redacted]' }
  expect(line).toMatchObject({ ...shown, headers: { authorization: '[Redacted]', accept: '*' }, tries: 2 })
  expect(line).toMatchObject({ database: { password: '[Redacted]', user: 'wallet' } })
  expect(child).toMatchObject({ password: '[Redacted]', part: 'relay', service: 'test', msg: 'b' })
  expect(failure?.error).toMatchObject({ message: 'refused', code: 'E1', password: '[Redacted]' })
})
