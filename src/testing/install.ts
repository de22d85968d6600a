/**
 * Lets `bun test` work in a fresh clone: installs the packages of the lock file, also after a
 * production install by `npm start`. Then restarts the run with four files at a time, since tests
 * mostly wait. Preloaded first, so it imports no packages.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dir, '../..')
const given = ownArguments()

if (!existsSync(join(root, 'node_modules/fast-check'))) {
  console.error('installing packages …')
  const installed = await run(['install', '--cwd', root, '--frozen-lockfile', '--silent'])
  // This process has cached that the packages are missing.
  process.exit(installed || (await run(given)))
}

// Not possible in `bunfig.toml`. Each worker keeps its PostgreSQL (`servers.ts`) and its broker across files.
// Of the tests of a file that mostly wait (`test.concurrent`), each has services of its own: a few at a time.
const options = [
  ...['--parallel=4', '--no-isolate', '--max-concurrency=4'],
  // The longest files begin first, so that none is left alone at the end. Measured by --update-timings.
  `--timings=${join(root, 'src/testing/timings.json')}`,
]
// A bound for what hangs: on a busy machine any test is slow. What may only take so long says so itself.
const timeout = '--timeout=180000'
// A run of all tests by hand tries fewer random cases. Of named files, and in the gate, all.
const cases = {
  TEST_CASES: given.every((argument) => argument === 'test' || argument.startsWith('-')) ? 'few' : 'all',
}
const isGiven = (option: RegExp) => given.some((argument) => option.test(argument))
if (!isGiven(/^--(timeout|test-worker|inspect)/)) {
  const { holdServers, serversVariable } = await import('./servers')
  const servers = holdServers()
  const args = [...given, timeout, ...(isGiven(/^--(parallel|concurrent|watch)/) ? [] : options)]
  const exitCode = await run(args, { [serversVariable]: servers.url, ...cases })
  await servers.stop()
  process.exit(exitCode)
}

function run(args: string[], env: Record<string, string> = {}): Promise<number> {
  return Bun.spawn([process.execPath, ...args], {
    env: { ...env, ...process.env },
    stdio: ['inherit', 'inherit', 'inherit'],
  }).exited
}

/**
 * Bun hides the arguments from a test run. Without /proc, an argument with a space is split.
 */
function ownArguments(): string[] {
  try {
    return readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(1, -1)
  } catch {
    const shown = Bun.spawnSync(['ps', '-ww', '-o', 'args=', '-p', String(process.pid)]).stdout.toString()
    return shown.trim().split(/\s+/).slice(1)
  }
}
