/** Runs the blocks of `docs/integrate.md`: those of curl in one shell, those of the client in one program. */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runTsc } from './client-package'
import { type Stack, startStack } from './stack'

const root = join(import.meta.dir, '../..')
const page = await Bun.file(join(root, 'docs/integrate.md')).text()

type Language = 'sh' | 'ts' | 'json' | 'text'
type Block = { language: Language; text: string; line: number }
const blocks: Block[] = [...page.matchAll(/^```(sh|ts|json|text)\n([\s\S]*?)^```$/gm)].map(
  ({ 1: language, 2: text = '', index }) => ({
    language: language as Language,
    text,
    line: page.slice(0, index).split('\n').length,
  }),
)

const strictly = [
  ...['--ignoreConfig', '--noEmit', '--strict', '--target', 'es2022', '--types', ''],
  ...['--module', 'preserve', '--moduleResolution', 'bundler', '--allowImportingTsExtensions'],
]

/** A block with the output that is shown below it. */
type Step = { block: Block; shown: Block | undefined }
const stepsOf = (language: 'sh' | 'ts'): Step[] =>
  blocks.flatMap((block, index) => {
    if (block.language !== language) return []
    const next = blocks[index + 1]
    return [{ block, shown: next && ['json', 'text'].includes(next.language) ? next : undefined }]
  })

/** Starts the stack and puts its addresses in the place of those of the page. */
async function withStack(run: (addressed: (text: string) => string) => Promise<void>): Promise<void> {
  await using stack: Stack = await startStack({ seed: false, partitions: 1 })
  await run((text) =>
    text
      .replaceAll('localhost:8080', `127.0.0.1:${stack.wallet.port}`)
      .replaceAll('localhost:3003', `127.0.0.1:${stack.balances.port}`),
  )
}

async function outputOf(command: string[], cwd: string): Promise<string> {
  const child = Bun.spawn(command, { cwd, stdout: 'pipe', stderr: 'pipe' })
  const [output, complaints, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  expect(code, complaints).toBe(0)
  return output
}

/** An ellipsis stands for any text. */
const pattern = (shown: string): RegExp => new RegExp(`^${shown.split('…').map(RegExp.escape).join('.*')}$`)

/** Members that are not shown may have any value. */
function expectShown(shown: unknown, actual: unknown, at: string): void {
  if (typeof shown === 'string') expect(String(actual), at).toMatch(pattern(shown))
  else if (typeof shown !== 'object' || shown === null) expect(actual, at).toEqual(shown)
  else if (Array.isArray(shown)) expect(actual, at).toHaveLength(shown.length)
  if (typeof shown !== 'object') return
  for (const [name, value] of Object.entries(shown ?? {}))
    expectShown(value, (actual as Record<string, unknown>)[name], `${at}/${name}`)
}

test('with curl: each block answers as shown', async () => {
  const steps = stepsOf('sh')
  expect(steps.length).toBeGreaterThan(7)
  const mark = 'end of block'
  const script = steps.map(({ block }) => `${block.text}\necho '${mark}'`).join('\n')
  await withStack(async (addressed) => {
    const output = await outputOf(['bash', '-euo', 'pipefail', '-c', addressed(script)], root)
    const outputs = output.split(`${mark}\n`)
    for (const [index, { shown }] of steps.entries()) {
      const lines = outputs[index]?.trim().split('\n') ?? []
      const at = `docs/integrate.md:${shown?.line}`
      if (shown?.language === 'json') expectShown(JSON.parse(shown.text), JSON.parse(lines.at(-1) ?? ''), at)
      if (shown?.language !== 'text') continue
      for (const line of shown.text.trim().split('\n'))
        expect(
          lines.some((one) => pattern(line).test(one)),
          `${at}: ${line}: ${lines}`,
        ).toBe(true)
    }
  })
})

test('with the client: each block prints as shown', async () => {
  const steps = stepsOf('ts')
  expect(steps.length).toBeGreaterThan(6)
  const program = steps.map(({ block }) => block.text).join('\n')
  const printed = steps.flatMap(({ block, shown }) => [
    ...[...block.text.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, comment]) => comment),
    ...(shown?.language === 'text' ? shown.text.trim().split('\n') : []),
  ])
  const folder = mkdtempSync(join(tmpdir(), 'saldo-integrate-'))
  try {
    await withStack(async (addressed) => {
      const client = JSON.stringify(join(root, 'src/client/index.ts'))
      writeFileSync(join(folder, 'program.ts'), addressed(program).replace("'saldo-client'", client))
      const output = await outputOf([process.execPath, 'program.ts'], folder)
      runTsc([...strictly, join(folder, 'program.ts')], root)
      expect(output.trim().split('\n')).toEqual(printed as string[])
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
