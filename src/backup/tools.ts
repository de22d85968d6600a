/** `pg_dump` and `pg_restore` of a version that fits the server, and how they are run. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Environment } from '../config/config'
import { SetupError } from '../platform/fault'

type Tool = 'pg_dump' | 'pg_restore'

/** Besides PATH: where packages of distributions put them, by version. */
const foldersOf = (major: number) => [
  `/usr/lib/postgresql/${major}/bin`,
  `/usr/pgsql-${major}/bin`,
  `/opt/homebrew/opt/postgresql@${major}/bin`,
]

/**
 * The program, of at least the server's major version: an older `pg_dump` refuses the server. Throws
 * `SetupError` with the remedy. `bin` is the folder that an operator named.
 */
export async function findTool(tool: Tool, serverVersion: number, bin: string | undefined): Promise<string> {
  const major = Math.floor(serverVersion / 10_000)
  const named = bin === undefined ? undefined : [join(bin, tool)]
  const installed = [Bun.which(tool), ...foldersOf(major).map((folder) => join(folder, tool))]
  const found: string[] = []
  for (const path of named ?? installed) {
    if (!path || !existsSync(path)) continue
    const version = await versionOf(path)
    if (version >= major) return path
    found.push(`${path} is of version ${version}`)
  }
  const seen = found.length > 0 ? found.join(', ') : `there is no ${tool} ${bin ? `in ${bin}` : 'on PATH'}`
  throw new SetupError(
    `The server is PostgreSQL ${major}, and ${seen}. Install the client tools of PostgreSQL ${major} ` +
      `(Debian: postgresql-client-${major}, from apt.postgresql.org), or name their folder with --pg-bin.`,
  )
}

async function versionOf(path: string): Promise<number> {
  const child = Bun.spawn([path, '--version'], { stdout: 'pipe', stderr: 'ignore' })
  const text = await new Response(child.stdout).text()
  return Number(/ (\d+)/.exec(text)?.[1] ?? 0)
}

/** Runs it on a database. The password is in the environment, which other users cannot see. */
export async function runTool(
  path: string,
  args: readonly string[],
  { url, env }: { url: string; env: Environment },
): Promise<void> {
  const { address, password } = withoutPassword(url)
  const child = Bun.spawn([path, ...args, `--dbname=${address}`], {
    env: { PATH: env.PATH, HOME: env.HOME, PGPASSWORD: password, PGAPPNAME: 'saldo-backup' },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const said = await new Response(child.stderr).text()
  if ((await child.exited) !== 0) throw new SetupError(`${path} failed: ${said.trim().slice(0, 2000)}`)
}

function withoutPassword(url: string): { address: string; password: string } {
  const address = new URL(url)
  const password = decodeURIComponent(address.password)
  address.password = ''
  return { address: address.href, password }
}
