/**
 * Keeps a data directory for one supervisor. The lock is the operating system's, on an SQLite file, so it ends with its owner however that
 * ends: there is no stale lock to tell from a living one, and no process id that could be in use again.
 */
import { Database } from 'bun:sqlite'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export class DirectoryTaken extends Error {
  override name = 'DirectoryTaken'
  constructor(
    readonly dataDir: string,
    /** The owner's, when it left it where it should be. */
    readonly pid: number | undefined,
  ) {
    super(`${dataDir} is in use by process ${pid ?? 'unknown'}`)
  }
}

export type SupervisorLock = {
  /** The owner before us was killed: what it ran may still be ending. */
  afterKill: boolean
  /** Twice is safe. */
  release(): void
}

/** Throws `DirectoryTaken` when there is another owner. Makes the directory when missing. */
export function lockForSupervisor(dataDir: string): SupervisorLock {
  mkdirSync(dataDir, { recursive: true })
  const pidFile = join(dataDir, 'supervisor.pid')
  const database = new Database(join(dataDir, 'supervisor.lock'), { create: true })
  try {
    database.run('begin exclusive')
  } catch (error) {
    database.close()
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error
    throw new DirectoryTaken(dataDir, readPid(pidFile))
  }

  // Removed at the end of every orderly run.
  const afterKill = existsSync(pidFile)
  writeFileSync(pidFile, `${process.pid}\n`)
  return {
    afterKill,
    release() {
      rmSync(pidFile, { force: true })
      database.close()
    },
  }
}

/** Undefined when there is no such file, or no number in it. */
function readPid(path: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10) || undefined
  } catch {
    return undefined
  }
}
