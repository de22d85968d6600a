/** The package as somebody gets it: packed, installed into an empty folder, run and type checked. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import saldo from '../../package.json'
import { buildClient, bundleClient, runTsc } from '../testing/client-package'
import { drawn } from '../testing/random'
import { startStack } from '../testing/stack'
import { problemNames } from './operations'
import manifest from './package.json'

const bytesMax = 6000

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saldo-client-'))
  const built = join(folder, 'built')
  await buildClient(built)
  run([process.execPath, 'pm', 'pack', '--destination', folder], built)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  run([process.execPath, 'add', `./saldo-client-${manifest.version}.tgz`], folder)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function run(command: string[], cwd: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, {
    cwd,
    env: { ...process.env, NODE_ENV: undefined },
  })
  if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${stdout}${stderr}`)
  return stdout.toString()
}

test('the package has code, types, README and license, and no dependency', () => {
  const shown = (path: string) => readdirSync(join(folder, path)).filter((name) => !name.startsWith('.'))
  expect(shown('node_modules/saldo-client').sort()).toEqual(['LICENSE', 'README.md', 'dist', 'package.json'])
  expect(shown('node_modules')).toEqual(['saldo-client'])
  expect(manifest).not.toHaveProperty('dependencies')
  expect(manifest.version).toBe(saldo.version)
})

test('minified and compressed it is small, as its README says, and needs nothing of a runtime', async () => {
  const bundle = await bundleClient({ minify: true })
  const bytes = Bun.gzipSync(new TextEncoder().encode(bundle)).length
  expect(bytes).toBeLessThan(bytesMax)
  const readme = readFileSync(join(import.meta.dir, 'README.md'), 'utf8')
  const figure = Number(/([\d.]+) kB/.exec(readme)?.[1])
  expect(Math.abs(bytes / 1000 - figure)).toBeLessThan(0.3)
  expect(bundle).not.toMatch(/\b(import|require)\b|\bBuffer\b|\bprocess\b|\bBun\b/)
})

const program = `
import { SaldoClient, SaldoProblem } from 'saldo-client'

const [wallet, balances] = process.argv.slice(2)
const saldo = new SaldoClient({ wallet, balances, decimals: 'string' })
const client = await saldo.registerClient({ name: 'Ada', email: 'ada@example.com' })
const [from, to] = await Promise.all([1, 2].map(() => saldo.openAccount({ client_id: client.id })))
await saldo.deposit(from.id, { amount: '100.10' })
await saldo.transfer({ account_id_from: from.id, account_id_to: to.id, amount: '0.30' })
const { balance } = await saldo.balance(from.id)
const pages = []
for await (const page of saldo.statement(from.id, { limit: 1 })) pages.push(page.data[0].amount)
let streamed
for await (const { data } of saldo.watchBalance(to.id)) {
  streamed = data.balance
  break
}
const problem = await saldo.withdraw(to.id, { amount: 1 }).catch((error) => error)
const seen = [balance, pages, streamed, problem instanceof SaldoProblem, problem.name]
console.log(JSON.stringify({ seen, at: Date.now() }))
`

const runtimes: [string, string][] = [
  ['Node.js, where it is here', Bun.which('node') ?? process.execPath],
  ['Bun', process.execPath],
]
test.each(drawn(runtimes))('it runs on %s, and lets the process end', async (_, runtime) => {
  await using stack = await startStack({ seed: false, partitions: 1 })
  writeFileSync(join(folder, 'program.js'), program)
  const urls = [stack.wallet, stack.balances].map(({ port }) => `http://127.0.0.1:${port}`)
  const child = Bun.spawn([runtime, 'program.js', ...urls], { cwd: folder, stderr: 'inherit' })
  const { seen, at } = await new Response(child.stdout).json()
  expect(await child.exited).toBe(0)
  expect(seen).toEqual(['99.8', ['-0.3', '100.1'], '0.3', true, 'insufficient-funds'])
  // No timer and no connection of a call is left: the shortest is that of an attempt, with ten seconds.
  expect(Date.now() - at).toBeLessThan(5000)
})

const typed = (cases: string) => `
import { type Problem, type ProblemOf, SaldoClient, SaldoProblem } from 'saldo-client'

const saldo = new SaldoClient({ wallet: 'http://localhost:8080', balances: 'http://localhost:3003' })
const exact = new SaldoClient({ wallet: 'http://localhost:8080', decimals: 'string' })

export async function pay(): Promise<string> {
  const transaction = await exact.transfer({ account_id_from: 'a', account_id_to: 'b', amount: '1' })
  const amount: string = transaction.amount
  const shown: number | string = (await saldo.captureHold('h')).amount
  const { version } = await saldo.balance('a')
  const { time } = await saldo.balance('a', { at: '2024-01-31T00:00:00Z', time: 'effective' })
  for await (const { data, complete } of saldo.statement('a', { limit: 1 }))
    for (const line of data) if ('gap' in line) console.log(line.gap.from_version, complete)
  for await (const row of saldo.balances({ client_id: 'c' }).rows()) console.log(row.owner_name)
  for await (const { event, data } of exact.watchBalance('a'))
    if (event === 'balance') return data.balance ?? ''
  return amount + shown + version + time satisfies string
}

export function explain(error: unknown): string {
  if (!(error instanceof SaldoProblem)) throw error
  switch (error.name) {
    ${cases}
    default:
      return error satisfies never
  }
}

export const forbidden: Extract<Problem, { status: 403 }>['name'] = 'host-not-allowed'
export const own: ProblemOf<'deposit'>['name'] = 'account-not-found'
// @ts-expect-error
export const foreign: ProblemOf<'deposit'>['name'] = 'insufficient-funds'
`

const allCases = [...problemNames, 'unknown'].map((name) => `case '${name}':`)

/** Type checks a file of the folder as a strict program would. */
function checkTypes(text: string, resolution = 'nodenext'): void {
  mkdirSync(join(folder, 'typed'), { recursive: true })
  writeFileSync(join(folder, 'typed/program.ts'), text)
  const module = resolution === 'nodenext' ? 'nodenext' : 'preserve'
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--types', '', '--ignoreConfig']
  runTsc([...options, '--module', module, '--moduleResolution', resolution, 'typed/program.ts'], folder)
}

test.each(drawn(['nodenext', 'bundler']))(
  'its types hold with strict checks, resolved by %s',
  (resolution) => {
    const check = (cases: string[]) =>
      checkTypes(typed(`${cases.join('\n')} return error.detail`), resolution)
    check(allCases)
    expect(() => check(allCases.filter((one) => !one.includes('overloaded')))).toThrow(
      "does not satisfy the expected type 'never'",
    )
  },
)

test('the examples of its README hold', () => {
  const readme = readFileSync(join(import.meta.dir, 'README.md'), 'utf8')
  const [first = '', ...others] = [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
    ([, block = '']) => block,
  )
  expect(others.length).toBeGreaterThan(3)
  const ids = ['eva', 'frank', 'client', 'hold'].map((name) => `declare const ${name}: string`)
  const functions = others.map((block, index) => `export async function example${index}() {\n${block}}`)
  const transfer = 'const transfer = { account_id_from: eva, account_id_to: frank, amount: 1 }'
  const errors = "import { SaldoError, SaldoProblem } from 'saldo-client'"
  checkTypes([errors, ...ids, first, transfer, ...functions].join('\n'))
})
