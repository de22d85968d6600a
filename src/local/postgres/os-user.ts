/**
 * PostgreSQL refuses to run as root. This finds a command prefix that runs it as another user,
 * without adding one to the machine.
 */
import { existsSync, lchownSync, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/**
 * For every PostgreSQL program: the caller's PG* variables would change its behaviour, and its
 * messages have to be in English to be matched.
 */
export const cleanEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
}

export type PostgresUser = {
  /** Goes before a command; empty where PostgreSQL may run as the current user. */
  prefix: string[]
  /** Changes the owner of a path, recursively, to the user PostgreSQL runs as. */
  own(path: string): void
}

export type Candidate = { prefix: string[]; uid: number; gid: number }

/**
 * The ways for root to run a command as another user, the one with the fewest rights first. The
 * capabilities let that user reach a checkout below a closed folder, such as root's home: to read
 * where the container allows it, to read and write as the last resort. A user namespace needs
 * neither, but containers seldom allow one.
 */
export function rootCandidates(platform: string, { uid, gid }: { uid: number; gid: number }): Candidate[] {
  if (platform === 'darwin') return [{ prefix: ['sudo', '-n', '-u', 'nobody', '--'], uid, gid }]
  const setpriv = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
  // Without this bit access(2), which PostgreSQL calls on its own programs, ignores the capability.
  const withCapability = (name: string) => [
    ...setpriv,
    ...[`--inh-caps=+${name}`, `--ambient-caps=+${name}`, '--securebits=+no_setuid_fixup'],
  ]
  return [
    { prefix: setpriv, uid, gid },
    { prefix: withCapability('dac_read_search'), uid, gid },
    { prefix: withCapability('dac_override'), uid, gid },
    { prefix: inNamespace({ uid, gid }), uid: 0, gid: 0 },
  ]
}

/**
 * A user other than root can run PostgreSQL, unless its id has no name, which is common in
 * containers: a user namespace, where allowed, gives it one.
 */
export function userCandidates(
  platform: string,
  self: { uid: number; gid: number },
  unprivileged: typeof self,
): Candidate[] {
  return [
    { prefix: [], ...self },
    ...(platform === 'darwin' ? [] : [{ prefix: inNamespace(unprivileged), ...self }]),
  ]
}

function inNamespace({ uid, gid }: { uid: number; gid: number }): string[] {
  return ['unshare', '--user', `--map-user=${uid}`, `--map-group=${gid}`, '--']
}

/**
 * Tries the candidates with the actual program and folder, and takes the first that works. `dir` must exist.
 */
export async function findPostgresUser(initdb: string, dir: string): Promise<PostgresUser> {
  const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  const unprivileged = { uid: await idOfNobody('-u'), gid: await idOfNobody('-g') }
  const { platform } = process
  const failures = new Set<string>()
  for (const { prefix, uid, gid } of self.uid === 0
    ? rootCandidates(platform, unprivileged)
    : userCandidates(platform, self, unprivileged)) {
    try {
      if (self.uid === 0) lchownSync(dir, uid, gid)
      // A dry run: initdb checks its user and its files, and creates nothing.
      await run([...prefix, '/bin/sh', '-c', 'test -w "$0" && exec "$@"', dir, initdb, '--show', '-D', dir])
      return { prefix, own: (path) => own(path, uid, gid) }
    } catch (error) {
      failures.add(`${prefix[0] ?? 'current user'}: ${(error as Error).message}`)
    }
  }
  const musl = existsSync('/etc/alpine-release') ? ' (Alpine has no glibc, which it needs)' : ''
  const remedy =
    self.uid === 0
      ? 'start as a normal user, or use docker compose up -d'
      : 'use docker compose up -d instead'
  throw new Error(
    `the local PostgreSQL cannot run on this system${musl}: ${remedy}. Tried ${[...failures].join('; ')}`,
  )
}

/** Skips what it owns: walking a large cluster at every start would be slow. */
function own(path: string, uid: number, gid: number): void {
  const stat = lstatSync(path)
  if (stat.uid === uid) return
  if (stat.isDirectory()) for (const entry of readdirSync(path)) own(join(path, entry), uid, gid)
  // A folder comes after what is in it: its owner marks everything below as done.
  lchownSync(path, uid, gid)
}

/** What a program printed. Throws what it wrote to stderr when it fails. */
export async function run(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', env: cleanEnvironment })
  const [printed, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  if (code !== 0) throw new Error(errors.trim() || `exit code ${code}`)
  return printed
}

/** 65534 nearly everywhere, also where no `id` program says so. */
async function idOfNobody(flag: '-u' | '-g'): Promise<number> {
  const id = Number.parseInt(await run(['id', flag, 'nobody']).catch(() => ''), 10)
  return Number.isInteger(id) ? id >>> 0 : 65534
}
