import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

type Owner = { pid: number; startedAt: string }

/** Directories this process holds. A lock with our own pid that is not among them is left from a process that had it before. */
const held = new Set<string>()

/**
 * Makes this process the only owner of the data directory until the answer is called. Throws an error that names the owner's pid
 * when there is another; a lock whose owner is dead is cleaned up.
 */
export function lockDirectory(directory: string): () => void {
  mkdirSync(directory, { recursive: true })
  const path = join(directory, 'lock')
  const mine = join(directory, `lock.${process.pid}.${Date.now()}`)
  writeFileSync(mine, JSON.stringify({ pid: process.pid, startedAt: startOf(process.pid) }))
  try {
    for (;;) {
      try {
        // A link appears with its content, so nobody ever reads a lock that does not name its owner yet.
        linkSync(mine, path)
        held.add(path)
        return () => {
          held.delete(path)
          rmSync(path, { force: true })
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const owner = readOwner(path)
      if (owner && isAlive(owner, path)) {
        throw new Error(
          `data directory ${directory} is in use by the broker with pid ${owner.pid}; stop it or choose another directory`,
        )
      }
      removeStale(path, `${mine}.stale`)
    }
  } finally {
    rmSync(mine, { force: true })
  }
}

/** Two brokers may find the same stale lock; the slower one must not remove what the quicker has put in its place. */
function removeStale(path: string, aside: string): void {
  try {
    renameSync(path, aside)
    const taken = readOwner(aside)
    if (taken && isAlive(taken, path)) linkSync(aside, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

function readOwner(path: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

function isAlive({ pid, startedAt }: Owner, path: string): boolean {
  if (pid === process.pid) return held.has(path)
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM means that it lives and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return startOf(pid) === startedAt
}

/** When the process began, where the system tells (Linux): a pid that is used again is then known to be another process. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')')).split(' ')[20] ?? ''
  } catch {
    return ''
  }
}
