/**
 * `bun test` in a fresh clone: installs the packages from the lock file before anything asks for them. And begins the run anew with two files at a
 * time, since most tests wait for something most of the time. Preloaded first, and so without
 * imports of packages.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dir, '../..')
const asked = ownArguments()

if (!existsSync(join(root, 'node_modules'))) {
  console.error('installing packages …')
  const installed = run(['install', '--cwd', root, '--frozen-lockfile', '--silent'])
  // This process has seen that there are no packages, and would not look again.
  process.exit(installed || run(asked))
}

// `bunfig.toml` has no word for it. Each of the two keeps what it has started, PostgreSQL and the broker, from file to file.
if (!asked.some((argument) => /^--(parallel|test-worker|concurrent|watch|inspect)/.test(argument)))
  process.exit(run([...asked, '--parallel=2', '--no-isolate']))

function run(args: string[]): number {
  return Bun.spawnSync([process.execPath, ...args], { stdio: ['inherit', 'inherit', 'inherit'] }).exitCode
}

/**
 * A test run is not told its arguments. Without /proc, one that holds a space comes apart, which a
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
