/**
 * Ledgers, events and passwords are for their owner alone, under any umask and even if an
 * earlier version left.
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

/** Only where it differs, because somebody else's files, or some file systems, take no mode. */
function chmod(path: string, mode: number): void {
  if ((lstatSync(path).mode & 0o777) !== mode) chmodSync(path, mode)
}
