/**
 * `bun test` in a fresh clone: installs the packages of the lock file, also when `npm start` has
 * installed those of production only. Then restarts the run with two files at a time, since most
 * tests mostly wait. Preloaded first, so it imports no packages.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dir, '../..')
const asked = ownArguments()

if (!existsSync(join(root, 'node_modules/fast-check'))) {
  console.error('installing packages …')
  const installed = run(['install', '--cwd', root, '--frozen-lockfile', '--silent'])
  // This process has cached that the packages are missing.
  process.exit(installed || run(asked))
}

// `bunfig.toml` has no setting for it. Each worker keeps its PostgreSQL and broker from file to file.
if (!asked.some((argument) => /^--(parallel|test-worker|concurrent|watch|inspect)/.test(argument)))
  process.exit(run([...asked, '--parallel=2', '--no-isolate']))

function run(args: string[]): number {
  return Bun.spawnSync([process.execPath, ...args], { stdio: ['inherit', 'inherit', 'inherit'] }).exitCode
}

/**
 * A test run does not see its arguments. Without /proc, one that holds a space comes apart, which a
 * second run would mend.
 */
function ownArguments(): string[] {
  try {
    return readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(1, -1)
  } catch {
    const shown = Bun.spawnSync(['ps', '-ww', '-o', 'args=', '-p', String(process.pid)]).stdout.toString()
    return shown.trim().split(/\s+/).slice(1)
  }
}
