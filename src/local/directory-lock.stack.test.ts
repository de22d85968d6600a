import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DirectoryTaken, lockDirectory } from './directory-lock.ts'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'saldo-lock-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

/** Another process that holds the lock for as long as it lives. */
async function lockElsewhere() {
  const owner = Bun.spawn(
    [
      process.execPath,
      '-e',
      `const { lockDirectory } = await import(${JSON.stringify(join(import.meta.dir, 'directory-lock.ts'))})
       const lock = lockDirectory(${JSON.stringify(dataDir)})
       console.log('locked')
       process.stdin.on('end', () => { lock.release(); process.exit(0) }).resume()`,
    ],
    { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' },
  )
  await owner.stdout.getReader().read()
  return owner
}

test('a second owner is refused, naming the pid of the first', async () => {
  const owner = await lockElsewhere()

  expect(() => lockDirectory(dataDir)).toThrow(new DirectoryTaken(dataDir, String(owner.pid)))
  owner.stdin.end()
  await owner.exited
})

test('the lock of a stopped owner is free', async () => {
  const owner = await lockElsewhere()
  owner.stdin.end()
  await owner.exited

  const lock = lockDirectory(dataDir)
  expect(lock.afterKill).toBe(false)
  lock.release()
  lock.release()
})

test('the lock of a killed owner is free, and says that it was killed', async () => {
  const owner = await lockElsewhere()
  owner.kill('SIGKILL')
  await owner.exited

  const lock = lockDirectory(dataDir)
  expect(lock.afterKill).toBe(true)
  lock.release()
})
