/**
 * Keeps a data directory for one process. The lock is the operating system's, on an SQLite file, so
 * it ends with its owner however that ends: there is no stale lock to tell from a living one, and
 * no process id that could be in use again.
 */
import { Database } from 'bun:sqlite'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFilePrivate } from './private-files.ts'

export class DirectoryTaken extends Error {
  override name = 'DirectoryTaken'
  constructor(
    readonly directory: string,
    /** The owner's, once it has written it down. */
    readonly pid: string | undefined,
  ) {
    super(
      `data directory ${directory} is in use by pid ${pid ?? 'unknown'}: stop it or choose another directory`,
    )
  }
}

export type DirectoryLock = {
  /** The owner before us was killed: what it ran may still be ending. */
  afterKill: boolean
  /** Twice is safe. */
  release(): void
}

/** Throws `DirectoryTaken` when there is another owner. Makes the directory when missing. */
export function lockDirectory(directory: string): DirectoryLock {
  // Not made private where it is there: it may be somebody's directory with other things in it.
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const pidFile = join(directory, 'lock.pid')
  makeFilePrivate(join(directory, 'lock.sqlite'))
  const database = new Database(join(directory, 'lock.sqlite'))
  try {
    database.run('begin exclusive')
  } catch (error) {
    database.close()
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error
    throw new DirectoryTaken(
      directory,
      existsSync(pidFile) ? readFileSync(pidFile, 'utf8').trim() : undefined,
    )
  }
  // Removed at the end of every orderly run.
  const afterKill = existsSync(pidFile)
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 })
  makeFilePrivate(pidFile)
  return {
    afterKill,
    release() {
      rmSync(pidFile, { force: true })
      database.close()
    },
  }
}

const fullDisk = 'its disk is full: make room there'
const notADirectory = 'it is a file, or lies below one, and not a directory: name a directory'
const notOurs =
  'it may not be written to, since it belongs to another user or is read-only: ' +
  'start as that user, or give it to yours'
const reasons: Record<string, string> = {
  EEXIST: notADirectory,
  ENOTDIR: notADirectory,
  ELOOP: 'its path is a link to itself: name a directory',
  ENAMETOOLONG: 'its path is too long: name a shorter one',
  ENOENT: 'it cannot be made where it is named: name a directory on a disk',
  EACCES: notOurs,
  EPERM: notOurs,
  EROFS: notOurs,
  SQLITE_CANTOPEN: notOurs,
  SQLITE_READONLY: notOurs,
  ENOSPC: fullDisk,
  EDQUOT: fullDisk,
  SQLITE_FULL: fullDisk,
}

/** Why nothing can be kept in a directory and what to do about it, when that is what the error is about. */
export function explainUnusable(error: unknown): string | undefined {
  const { code = '' } = error as { code?: string }
  const reason = reasons[code] ?? (code.startsWith('SQLITE_READONLY') ? notOurs : undefined)
  return reason && `${reason} (${code})`
}
