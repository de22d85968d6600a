/** An `npm start` on free ports and in a folder of its own, for tests that stop and kill processes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../eventually'

export type NpmStart = { wallet: string; balances: string; printed(): string } & AsyncDisposable

export async function startAll(): Promise<NpmStart> {
  const dataDir = mkdtempSync(join(tmpdir(), 'saldo-console-'))
  const ports = ['WALLET_PORT', 'BALANCES_PORT', 'POSTGRES_PORT', 'KAFKA_PORT'].map((name) => [name, '0'])
  const child = Bun.spawn([process.execPath, 'src/local/start.ts', '--lifeline'], {
    cwd: join(import.meta.dir, '../../..'),
    env: { ...process.env, DATA_DIR: dataDir, ...Object.fromEntries(ports) },
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  let printed = ''
  const reading = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stdout) printed += decoder.decode(chunk, { stream: true })
  })()
  await eventually(() => {
    if (!printed.includes('Saldo runs.')) throw new Error(`not yet: ${printed}`)
  })
  const portOf = (name: string) => new RegExp(`${name} +ready on \\S*:(\\d+)`).exec(printed)?.[1]
  return {
    wallet: `http://localhost:${portOf('wallet')}`,
    balances: `http://localhost:${portOf('balances')}`,
    printed: () => printed,
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await Promise.all([child.exited, reading])
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
