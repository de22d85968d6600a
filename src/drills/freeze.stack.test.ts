import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { eventually } from '../testing/eventually'
import { Freezer } from './freeze'

const sleeper = () => Bun.spawn(['sleep', '60'])

const stateOf = (pid: number): string =>
  Bun.spawnSync(['ps', '-o', 'state=', '-p', String(pid)])
    .stdout.toString()
    .trim()
    .charAt(0)
const becomes = (pid: number, state: RegExp) => eventually(() => expect(stateOf(pid)).toMatch(state))

test('processes stop until they are woken', async () => {
  await using child = sleeper()
  {
    await using freezer = new Freezer()
    await freezer.freeze([child.pid, 2 ** 22 + 1])
    await becomes(child.pid, /T/)
    freezer.wake()
    await becomes(child.pid, /[^T]/)
    await freezer.freeze([child.pid])
    await becomes(child.pid, /T/)
  }
  await becomes(child.pid, /[^T]/)
})

test('they are woken when the drill is killed', async () => {
  await using child = sleeper()
  const script = `
    import { Freezer } from ${JSON.stringify(join(import.meta.dir, 'freeze.ts'))}
    await new Freezer().freeze([${child.pid}])
    await Bun.sleep(60_000)`
  await using drill = Bun.spawn([process.execPath, '--no-orphans', '-e', script])
  await becomes(child.pid, /T/)
  drill.kill('SIGKILL')
  await becomes(child.pid, /[^T]/)
})
