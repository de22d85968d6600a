import { Database, SQLiteError } from 'bun:sqlite'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Makes this process the only owner of the data directory until the answer is called. Throws an error that names the owner's pid
 * when there is another. What holds is SQLite's lock on a file, because that is the operating system's: it ends with the process,
 * however that ends, so there is never a stale one to clean up. The file beside it only tells whose it is.
 */
export function lockDirectory(directory: string): () => void {
  mkdirSync(directory, { recursive: true })
  const ownerPath = join(directory, 'lock')
  const lock = new Database(join(directory, 'lock.sqlite'))
  try {
    lock.run('BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    if (!(error instanceof SQLiteError && error.code === 'SQLITE_BUSY')) throw error
    throw new Error(
      `data directory ${directory} is in use by the broker with ${readOwner(ownerPath)}; stop it or choose another directory`,
    )
  }
  writeFileSync(ownerPath, JSON.stringify({ pid: process.pid }))
  return () => {
    rmSync(ownerPath, { force: true })
    lock.close()
  }
}

function readOwner(path: string): string {
  try {
    return `pid ${JSON.parse(readFileSync(path, 'utf8')).pid}`
  } catch {
    return 'a pid it has not written down yet'
  }
}
