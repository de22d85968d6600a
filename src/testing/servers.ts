/**
 * The local PostgreSQL of each worker of a test run, held by the process that starts the run: Bun tells a
 * worker neither that its last file is done nor that it ends, and a server must see its data removed.
 */
import { mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Postgres, startPostgres } from '../local/postgres/cluster'

/** The variable with the address at which a worker asks for its server. */
export const serversVariable = 'TEST_SERVERS'

/** `GET /WORKER` answers with the superuser's URL of that worker's server, started when first asked for. */
export function holdServers() {
  const started = new Map<string, Promise<Postgres>>()
  const start = (worker: string) => {
    const server = startPostgres({ dataDir: temporaryDir(), durable: false, databases: [] })
    started.set(worker, server)
    return server
  }
  const listener = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    // Seconds. The first start of a server on a busy machine takes some.
    idleTimeout: 120,
    async fetch(request) {
      const { pathname } = new URL(request.url)
      try {
        return new Response((await (started.get(pathname) ?? start(pathname))).adminUrl)
      } catch (error) {
        return new Response((error as Error).message, { status: 500 })
      }
    },
  })
  return {
    url: listener.url.href,
    async stop() {
      await listener.stop(true)
      await Promise.allSettled([...started.values()].map(async (server) => (await server).stop()))
      removeLeftovers((pid) => pid === process.pid || !isAlive(pid))
    },
  }
}

/** In a test: the URL of the server of its worker. */
export async function askForServer(url: string): Promise<string> {
  const answer = await fetch(new URL(process.env.BUN_TEST_WORKER_ID ?? '0', url))
  const said = await answer.text()
  if (!answer.ok) throw new Error(said)
  return said
}

/** A new directory of this process, removed at the end of the run. */
export function temporaryDir(): string {
  return mkdtempSync(join(fastDir(), `${prefix}${process.pid}-`))
}

/** Removes what runs left behind that were killed: it would fill the memory of the machine. */
export function removeLeftovers(isLeft: (pid: number) => boolean = (pid) => !isAlive(pid)): void {
  const parent = fastDir()
  for (const name of readdirSync(parent)) {
    const [, pid] = /^saldo-test-(\d+)-/.exec(name) ?? []
    if (pid && isLeft(Number(pid))) rmSync(join(parent, name), { recursive: true, force: true })
  }
}

/** Followed by the id of the process that it belongs to. */
const prefix = 'saldo-test-'

/** Memory where there is plenty: hundreds of databases are copied, and on a disk that is half of the work. */
function fastDir(): string {
  const memory = '/dev/shm'
  try {
    const { bavail, bsize } = statfsSync(memory)
    return bavail * bsize >= memoryMin ? memory : tmpdir()
  } catch {
    return tmpdir()
  }
}
/** Bytes. A run takes about a quarter of it. */
const memoryMin = 2 * 1024 ** 3

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Somebody else's is alive, too.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
