/** The file postmaster.pid of a cluster, and whether its process is alive and a postmaster of this folder. */
import { readFileSync, realpathSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'

/**
 * The process id in the text of a postmaster.pid. Null for a file that is empty or torn, as one
 * from a crash can be.
 */
export function parsePostmasterPid(text: string): number | null {
  const pid = Number(text.split('\n', 1)[0])
  // A single-user server writes its id negated.
  return Number.isInteger(pid) && pid !== 0 ? Math.abs(pid) : null
}

/**
 * Whether a command line, split into words, is that of a postmaster of this folder: process ids are
 * reused, folder names are not.
 */
export function isPostmasterOf(clusterDir: string, words: string[]): boolean {
  const at = words.indexOf('-D')
  return basename(words[0] ?? '') === 'postgres' && at > 0 && words[at + 1] === clusterDir
}

/** The process id of the postmaster that runs on the folder now; null when there is none. */
export function findPostmaster(clusterDir: string): number | null {
  const pid = readPostmasterPid(clusterDir)
  return pid !== null && isPostmasterOf(realpathSync(clusterDir), commandLineOf(pid)) ? pid : null
}

/**
 * Removes a postmaster.pid whose process id now is another program's, which PostgreSQL would take
 * for a living postmaster. One whose process is gone is left for PostgreSQL, which also looks for
 * what that process may have left behind.
 */
export function removeReusedPid(clusterDir: string): void {
  const pid = readPostmasterPid(clusterDir)
  if (pid === null) return
  const words = commandLineOf(pid)
  if (words.length > 0 && !isPostmasterOf(realpathSync(clusterDir), words))
    rmSync(join(clusterDir, 'postmaster.pid'))
}

function readPostmasterPid(clusterDir: string): number | null {
  try {
    return parsePostmasterPid(readFileSync(join(clusterDir, 'postmaster.pid'), 'utf8'))
  } catch {
    return null
  }
}

/** Empty when the process is gone. */
function commandLineOf(pid: number): string[] {
  if (process.platform === 'linux') {
    try {
      // A process that has ended but was not yet waited for has none.
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
    } catch {
      return []
    }
  }
  // Words are lost in this form where a path has spaces, hence the two halves around -D are put
  // together again.
  const command = Bun.spawnSync(['ps', '-ww', '-o', 'command=', '-p', String(pid)])
    .stdout.toString()
    .trim()
  if (command === '') return []
  const [program = '', rest = ''] = command.split(' -D ')
  return [program, '-D', rest.split(' -c ', 1)[0] ?? '']
}
