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

/** Another process that takes the lock, and holds it as long as it lives. */
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

test('a second owner is refused and told the process id of the first', async () => {
  const owner = await lockElsewhere()

  expect(() => lockDirectory(dataDir)).toThrow(new DirectoryTaken(dataDir, String(owner.pid)))
  owner.stdin.end()
  await owner.exited
})

test('the lock of an owner that stopped is free, and nothing has to be cleaned up', async () => {
  const owner = await lockElsewhere()
  owner.stdin.end()
  await owner.exited

  const lock = lockDirectory(dataDir)
  expect(lock.afterKill).toBe(false)
  lock.release()
  lock.release()
})

test('the lock of an owner that was killed is free, and it is known that it was killed', async () => {
  const owner = await lockElsewhere()
  owner.kill('SIGKILL')
  await owner.exited

  const lock = lockDirectory(dataDir)
  expect(lock.afterKill).toBe(true)
  lock.release()
})
