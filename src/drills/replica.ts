/** A second wallet beside the one of `npm start`, on a machine that is not as it should be. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Environment } from '../config/config'
import { SetupError } from '../platform/fault'
import { freePort } from '../platform/process/ports'
import { pause } from '../platform/process/retry'
import type { Service } from './ask'
import type { LocalStack } from './local-stack'

const root = resolve(import.meta.dir, '../..')
/** How long it may take to start, and to stop, in milliseconds. */
const [startMs, stopMs] = [40_000, 5000]

type Machine = {
  /** What the process loads first. */
  preload?: string
  /** A shell script, in namespaces of its own, that prepares `$folder` and ends with `exec "$@"`. */
  prepare?: string
}

/** Its keys are those of the first one: they are in the database, or in the environment. */
export type Replica = AsyncDisposable & Service

/**
 * Resolves once it answers. It ends with this process, however that ends. Throws `SetupError` where it does
 * not start. It publishes nothing while the first one leads, and is sent no requests.
 */
export async function startReplica(
  stack: LocalStack,
  { preload, prepare }: Machine,
  { env, signal }: { env: Environment; signal: AbortSignal },
): Promise<Replica> {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-drill-'))
  const port = freePort()
  const url = `http://127.0.0.1:${port}`
  const script = join(folder, 'preload.js')
  if (preload) await Bun.write(script, preload)
  const service = [process.execPath, ...(preload ? ['--preload', script] : []), 'src/main.ts', '--lifeline']
  const shell = ['unshare', '--user', '--map-root-user', '--mount', '/bin/sh', '-c', prepare ?? '', 'saldo']
  const child = Bun.spawn([...(prepare ? shell : []), ...service], {
    cwd: root,
    env: {
      ...env,
      folder,
      SERVICE: 'wallet',
      HOST: '127.0.0.1',
      PORT: String(port),
      DATABASE_URL: stack.serviceUrl('wallet'),
      MIGRATION_DATABASE_URL: stack.ownerUrl('wallet'),
      KAFKA_BROKERS: stack.brokers,
      DISK_FOLDERS: prepare ? folder : stack.dataDir,
    },
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const said = new Response(child.stderr).text()
  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), stopMs)
    await child.exited
    clearTimeout(timer)
    rmSync(folder, { recursive: true, force: true })
  }
  const deadlineMs = performance.now() + startMs
  while (!(await answers(url))) {
    if (child.exitCode === null && performance.now() < deadlineMs && !signal.aborted) {
      await pause(200, signal)
      continue
    }
    await stop()
    throw new SetupError(`A second wallet did not start on this machine: ${(await said).trim()}`)
  }
  return { ...stack.wallet, url, [Symbol.asyncDispose]: stop }
}

const answers = async (url: string): Promise<boolean> =>
  (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) }).catch(() => null))?.ok ?? false
