/**
 * Locks a data directory for one process. The operating system holds the lock, on an SQLite file, and
 * releases it however its owner ends: there are no stale locks, and reused process ids do not matter.
 */
import { Database } from 'bun:sqlite'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pidFileOf } from '../config/local.ts'
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
  /** The previous owner was killed: its children may still be ending. */
  afterKill: boolean
  /** Idempotent. */
  release(): void
}

/** Throws `DirectoryTaken` when there is another owner. Makes the directory when missing. */
export function lockDirectory(directory: string): DirectoryLock {
  // An existing directory keeps its mode: it may hold other things.
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const pidFile = pidFileOf(directory)
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
