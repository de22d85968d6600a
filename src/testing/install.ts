/**
 * `bun test` in a fresh clone: installs the packages from the lock file before anything asks for them. Preloaded first, and so without imports of
 * packages.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dir, '../..')

if (!existsSync(join(root, 'node_modules'))) {
  console.error('installing packages …')
  const installed = run(['install', '--cwd', root, '--frozen-lockfile', '--silent'])
  // This process has seen that there are no packages, and would not look again.
  process.exit(installed || run(ownArguments()))
}

function run(args: string[]): number {
  return Bun.spawnSync([process.execPath, ...args], { stdio: ['inherit', 'inherit', 'inherit'] }).exitCode
}

/** A test run is not told its arguments. Without /proc, one that holds a space comes apart, which a second run would mend. */
function ownArguments(): string[] {
  try {
    return readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(1, -1)
  } catch {
    const shown = Bun.spawnSync(['ps', '-ww', '-o', 'args=', '-p', String(process.pid)]).stdout.toString()
    return shown.trim().split(/\s+/).slice(1)
  }
}
