import { afterEach, beforeEach, expect, test } from 'bun:test'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../testing/eventually.ts'

// A version that does not exist, so that any Bun on the machine counts as a different one.
const pinned = '9.9.9'

// Stubs on a separate PATH keep the tests off the network and independent of the machine.
const stubBun = (version: string) => `#!/bin/sh
case "$1:$2" in
  src/local/start.ts:wait) set -- wait ;;
  --no-orphans:exit) shift ;;
esac
case "$1" in
  --version) echo ${version} ;;
  install) echo "$@" >>installs; /bin/mkdir -p node_modules ;;
  exit) exit "$2" ;;
  wait)
    trap 'echo terminated >ended; exit 0' TERM
    echo waiting >started
    while read -r _; do :; done
    echo stdin >ended ;;
  *) echo "ran $*" ;;
esac
`
const stubNpm = `#!/bin/sh
case "$1" in
  --version) echo 12.0.0; exit ;;
  config) echo "$NPM_CONFIG"; exit ;;
esac
echo "$@" >"$0.args"
/bin/mkdir -p node_modules/@oven/bun-any/bin
/bin/cp "$0.bun" node_modules/@oven/bun-any/bin/bun
`

let root: string
let bin: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'saldo-launch-'))
  bin = join(root, 'bin')
  mkdirSync(join(root, 'src/local'), { recursive: true })
  mkdirSync(bin)
  copyFileSync(join(import.meta.dir, 'launch.cjs'), join(root, 'src/local/launch.cjs'))
  writeFileSync(join(root, 'package.json'), JSON.stringify({ engines: { bun: pinned } }))
  writeFileSync(join(root, 'bun.lock'), '{}')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function put(name: string, script: string): void {
  writeFileSync(join(bin, name), script)
  chmodSync(join(bin, name), 0o755)
}

function putNpm(): void {
  put('npm', stubNpm)
  put('npm.bun', stubBun(pinned))
}

function spawnLauncher(...args: string[]) {
  return Bun.spawn([process.execPath, join(root, 'src/local/launch.cjs'), ...args], {
    env: { PATH: bin },
    // Outside the repository: noOrphans of its bunfig.toml would kill the children of a killed
    // launcher, and hide whether the launcher does it.
    cwd: root,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
}

async function launch(...args: string[]) {
  const launcher = spawnLauncher(...args)
  const [stdout, stderr, code] = await Promise.all([
    new Response(launcher.stdout).text(),
    new Response(launcher.stderr).text(),
    launcher.exited,
  ])
  return { stdout, stderr, code }
}

test('the pinned Bun on PATH is used, and packages are installed once per lock file', async () => {
  put('bun', stubBun(pinned))

  expect(await launch('src/local/start.ts', '--fresh')).toMatchObject({
    code: 0,
    stdout: 'ran src/local/start.ts --fresh --lifeline\n',
    stderr: expect.stringMatching(/^installing packages …\ninstalling packages: done \(\d+\.\d s\)\n$/),
  })
  expect((await launch('src/local/start.ts')).stderr).toBe('')
  expect(readFileSync(join(root, 'installs'), 'utf8')).toBe('install --frozen-lockfile --production\n')

  writeFileSync(join(root, 'bun.lock'), '{ }')
  expect((await launch('src/local/start.ts')).stderr).toContain('installing packages')

  const patch = { engines: { bun: pinned }, patchedDependencies: { 'some@1.0.0': 'some.patch' } }
  writeFileSync(join(root, 'some.patch'), 'first')
  writeFileSync(join(root, 'package.json'), JSON.stringify(patch))
  expect((await launch('src/local/start.ts')).stderr).toContain('installing packages')
  writeFileSync(join(root, 'some.patch'), 'second')
  expect((await launch('src/local/start.ts')).stderr).toContain('installing packages')

  rmSync(join(root, 'node_modules'), { recursive: true })
  expect((await launch('src/local/start.ts')).stderr).toContain('installing packages')
})

test('a start installs production packages, a test run the rest, and neither removes any', async () => {
  put('bun', stubBun(pinned))
  const installs = () => readFileSync(join(root, 'installs'), 'utf8').trim().split('\n')

  await launch('src/local/start.ts')
  await launch('src/cli/main.ts', 'reconcile')
  expect(installs()).toEqual(['install --frozen-lockfile --production'])
  await launch('test')
  await launch('--bun', 'biome', 'check')
  await launch('src/local/start.ts')
  expect(installs().slice(1)).toEqual(['install --frozen-lockfile'])

  writeFileSync(join(root, 'bun.lock'), '{ }')
  await launch('src/local/start.ts')
  await launch('test')
  expect(installs().slice(2)).toEqual(['install --frozen-lockfile'])
})

test('a test run receives its arguments, and its exit code is passed on', async () => {
  put('bun', stubBun(pinned))

  expect((await launch('test', 'src/wallet')).stdout).toBe('ran --no-orphans test src/wallet\n')
  expect((await launch('exit', '7')).code).toBe(7)
})

test('a missing Bun is fetched with npm, without running scripts, and found again later', async () => {
  putNpm()

  const { stdout, stderr } = await launch('src/local/start.ts')
  expect(stdout).toBe('ran src/local/start.ts --lifeline\n')
  expect(stderr).toMatch(/^fetching Bun 9\.9\.9 …\nfetching Bun 9\.9\.9: done/)
  expect(readFileSync(join(bin, 'npm.args'), 'utf8')).toMatch(/^install .*--ignore-scripts/)
  expect(readdirSync(join(root, '.runtime'))).toEqual(['bun-9.9.9'])

  rmSync(join(bin, 'npm'))
  expect((await launch('src/local/start.ts')).stderr).toBe('')
})

test('another version of Bun on PATH is ignored, with a notice', async () => {
  put('bun', stubBun('1.0.0'))
  putNpm()

  const { stdout, stderr } = await launch('src/local/start.ts')
  expect(stderr).toContain('bun on PATH is 1.0.0, this needs 9.9.9')
  expect(stdout).toBe('ran src/local/start.ts --lifeline\n')
})

test('an interrupted fetch does not block the next one', async () => {
  putNpm()
  mkdirSync(join(root, '.runtime/bun-9.9.9'), { recursive: true })
  // No process has this id: the largest is 4194304.
  mkdirSync(join(root, '.runtime/bun-9.9.9.new-9999999'), { recursive: true })

  expect((await launch('src/local/start.ts')).stdout).toBe('ran src/local/start.ts --lifeline\n')
  expect(readdirSync(join(root, '.runtime'))).toEqual(['bun-9.9.9'])
})

test('without a network, the error names the remedy', async () => {
  put(
    'npm',
    `#!/bin/sh
if [ "$1" = --version ]; then echo 12.0.0; exit; fi
echo "npm error code ENOTFOUND" >&2
exit 1
`,
  )

  const { code, stderr } = await launch('src/local/start.ts')
  expect(code).toBe(1)
  expect(stderr).toContain('Bun 9.9.9 could not be fetched.\n  | npm error code ENOTFOUND\n')
  expect(stderr).toContain('check the network')
  expect(existsSync(join(root, 'installs'))).toBe(false)
})

test('Ctrl-C during a fetch is not reported as a failed fetch', async () => {
  put(
    'npm',
    `#!/bin/sh
if [ "$1" = --version ]; then echo 12.0.0; exit; fi
[ "$1" = config ] && exit
echo >fetching
while :; do /bin/sleep 0.1; done
`,
  )
  const launcher = spawnLauncher('src/local/start.ts')
  await eventually(() => expect(readdirSync(join(root, '.runtime'))[0]).toStartWith('bun-9.9.9.new-'))
  await eventually(() =>
    expect(readdirSync(join(root, '.runtime'), { recursive: true }).join()).toContain('fetching'),
  )

  launcher.kill('SIGINT')
  expect(await launcher.exited).toBe(130)
  expect(await new Response(launcher.stderr).text()).toBe('fetching Bun 9.9.9 …\n')
})

test('SIGTERM is passed to the child', async () => {
  put('bun', stubBun(pinned))
  const launcher = spawnLauncher('src/local/start.ts', 'wait')
  await eventually(() => expect(existsSync(join(root, 'started'))).toBe(true))

  launcher.kill('SIGTERM')
  expect(await launcher.exited).toBe(0)
  expect(readFileSync(join(root, 'ended'), 'utf8')).toBe('terminated\n')
})

test('the stdin of the child ends when the launcher is killed', async () => {
  put('bun', stubBun(pinned))
  const launcher = spawnLauncher('src/local/start.ts', 'wait')
  await eventually(() => expect(existsSync(join(root, 'started'))).toBe(true))

  launcher.kill('SIGKILL')
  await eventually(() => expect(readFileSync(join(root, 'ended'), 'utf8')).toBe('stdin\n'))
})

test('the child is stopped when the script runner above the launcher is killed', async () => {
  put('bun', stubBun(pinned))
  const launcher = [process.execPath, join(root, 'src/local/launch.cjs'), 'src/local/start.ts', 'wait']
  const runner = Bun.spawn(['/bin/sh', '-c', '"$@"; exit', 'runner', ...launcher], {
    env: { PATH: bin, npm_lifecycle_event: 'start' },
    cwd: root,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
  })
  await eventually(() => expect(existsSync(join(root, 'started'))).toBe(true))

  runner.kill('SIGKILL')
  await eventually(() => expect(readFileSync(join(root, 'ended'), 'utf8')).toBe('terminated\n'))
})

test('an unreachable registry is reported within seconds, with the remedy', async () => {
  using closed = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  closed.stop(true)
  putNpm()
  const config = `registry = http://127.0.0.1:${closed.port}/\nproxy = null\nhttps-proxy = null`
  put('npm', stubNpm.replace('"$NPM_CONFIG"', `'${config}'`))

  const startedAt = performance.now()
  expect(await launch('src/local/start.ts')).toEqual({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(
      /^127\.0\.0\.1 does not answer \(ECONNREFUSED\)\. The package registry was not reached: .*\n$/,
    ),
  })
  expect(performance.now() - startedAt).toBeLessThan(8000)
  expect(existsSync(join(bin, 'npm.args'))).toBe(false)
})

test('a checkout that cannot be written to is reported in one sentence', async () => {
  putNpm()
  // A file here blocks even root, for whom no folder is read-only.
  writeFileSync(join(root, '.runtime'), '')

  const { stderr, code } = await launch('src/local/start.ts')
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/^Cannot start\.\n {2}\| \w+: [^\n]*\.runtime[^\n]*\n[^\n]+\n$/),
  ])
})

const setpriv = Bun.which('setpriv')
if (process.getuid?.() === 0 && setpriv) {
  test('a user other than the owner of the checkout gets a clear error', async () => {
    putNpm()
    chmodSync(root, 0o755)
    const as = [setpriv, '--reuid=65534', '--regid=65534', '--clear-groups']
    const reachable = Bun.spawnSync([...as, process.execPath, '--version']).exitCode === 0
    const runtime = reachable ? process.execPath : (Bun.which('node') ?? process.execPath)
    const launcher = Bun.spawn([...as, runtime, join(root, 'src/local/launch.cjs'), 'src/local/start.ts'], {
      env: { PATH: bin },
      cwd: root,
      stderr: 'pipe',
    })
    const output = await new Response(launcher.stderr).text()
    expect([await launcher.exited, output]).toEqual([
      1,
      expect.stringMatching(
        /^Cannot start\.\n {2}\| EACCES: [^\n]*\nThis folder cannot be written to: [^\n]*\n$/,
      ),
    ])
  })
}
