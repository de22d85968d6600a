/**
 * Makes ledgers, events and passwords readable by their owner only, under any umask, even if an
 * earlier version created them.
 */
import { chmodSync, closeSync, constants, lstatSync, mkdirSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const directoryMode = 0o700
const fileMode = 0o600

/** Makes the directory when it is missing. */
export function makePrivate(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: directoryMode })
  chmod(directory, directoryMode)
}

/** The same for all below it. Links are not followed. */
export function makeTreePrivate(directory: string): void {
  makePrivate(directory)
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    const stat = lstatSync(path)
    if (stat.isDirectory()) makeTreePrivate(path)
    else if (stat.isFile()) chmod(path, fileMode)
  }
}

/** Makes the file when it is missing, for those who would open it with the mode of the umask. */
export function makeFilePrivate(path: string): void {
  closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT, fileMode))
  chmod(path, fileMode)
}

/** Only if the mode differs: chmod fails on files of other users and on some file systems. */
function chmod(path: string, mode: number): void {
  if ((lstatSync(path).mode & 0o777) !== mode) chmodSync(path, mode)
}
