/**
 * PostgreSQL refuses to run as root. This finds a command prefix under which it runs as somebody else, without adding a user to the machine.
 */
import { chownSync, existsSync, lchownSync, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** For every program of PostgreSQL: PG* variables of the user would change it, and its messages have to be the ones we know. */
export const cleanEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
}

export type PostgresUser = {
  /** To be put in front of a command; empty where PostgreSQL may run as whoever we are. */
  prefix: string[]
  /** Gives what PostgreSQL is to write to the user it runs as: the folder, or file, and all below it. */
  own(path: string): void
}

export type Candidate = { prefix: string[]; uid: number; gid: number }

/**
 * The ways for root to run a command as another user, the one with the fewest rights first.
 * The capabilities let that user reach a checkout below a closed folder, such as root's home: to read where the container
 * allows it, to read and write as the last resort. A user namespace needs neither, but containers seldom allow one.
 */
export function rootCandidates(platform: string, { uid, gid }: { uid: number; gid: number }): Candidate[] {
  if (platform === 'darwin') return [{ prefix: ['sudo', '-n', '-u', 'nobody', '--'], uid, gid }]
  const setpriv = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
  // Without that bit access(2) answers as if there were no capability, and PostgreSQL asks it for its own programs.
  const withCapability = (name: string) => [
    ...setpriv,
    ...[`--inh-caps=+${name}`, `--ambient-caps=+${name}`, '--securebits=+no_setuid_fixup'],
  ]
  return [
    { prefix: setpriv, uid, gid },
    { prefix: withCapability('dac_read_search'), uid, gid },
    { prefix: withCapability('dac_override'), uid, gid },
    { prefix: ['unshare', '--user', `--map-user=${uid}`, `--map-group=${gid}`, '--'], uid: 0, gid: 0 },
  ]
}

/** Tries the candidates on the very program and folder they are for. `dir` must exist. */
export async function findPostgresUser({ initdb, dir }: { initdb: string; dir: string }): Promise<PostgresUser> {
  // Looks for everything that it needs, as whom it runs included, and makes nothing.
  const dryRun = [initdb, '--show', '-D', dir]
  if (process.getuid?.() !== 0) {
    await assertRuns(dryRun)
    return { prefix: [], own() {} }
  }

  const nobody = { uid: await idOfNobody('-u'), gid: await idOfNobody('-g') }
  const failures: string[] = []
  for (const { prefix, uid, gid } of rootCandidates(process.platform, nobody)) {
    chownSync(dir, uid, gid)
    const failure = await attempt([...prefix, '/bin/sh', '-c', 'test -w "$0" && "$@"', dir, ...dryRun])
    if (failure === null) return { prefix, own: (path) => own(path, uid, gid) }
    failures.push(`${prefix[0]}: ${failure}`)
  }
  throw new Error(
    `PostgreSQL does not run as root, and no way was found to run it as another user (${failures.join('; ')}): start as a normal user, or use docker compose up -d`,
  )
}

/** Looks at the top only first: handing over a large cluster again at every start would read all of it. */
function own(path: string, uid: number, gid: number): void {
  const { uid: owner } = lstatSync(path)
  if (owner !== uid) ownAll(path, uid, gid)
}

function ownAll(path: string, uid: number, gid: number): void {
  if (lstatSync(path).isDirectory()) {
    for (const entry of readdirSync(path)) ownAll(join(path, entry), uid, gid)
  }
  // Last of all the top, whose owner says that everything below was handed over.
  lchownSync(path, uid, gid)
}

async function assertRuns(command: string[]): Promise<void> {
  const failure = await attempt(command)
  if (failure === null) return
  const musl = existsSync('/etc/alpine-release') ? ' (it needs glibc, which Alpine does not have)' : ''
  throw new Error(`the PostgreSQL of npm does not run here${musl}: ${failure}: use docker compose up -d instead`)
}

/** Null when the command succeeded, else what it said. */
async function attempt(command: string[]): Promise<string | null> {
  try {
    const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe', env: cleanEnvironment })
    const said = (await new Response(child.stderr).text()).trim()
    const code = await child.exited
    return code === 0 ? null : said || `exit code ${code}`
  } catch (error) {
    return (error as Error).message
  }
}

async function idOfNobody(flag: '-u' | '-g'): Promise<number> {
  try {
    const child = Bun.spawn(['id', flag, 'nobody'], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'ignore',
      env: cleanEnvironment,
    })
    const id = Number.parseInt(await new Response(child.stdout).text(), 10)
    if ((await child.exited) === 0 && Number.isInteger(id)) return id >>> 0
  } catch {
    // No id program: the number is the same nearly everywhere.
  }
  return 65534
}
