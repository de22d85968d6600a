/**
 * What `npm start` and `npm test` run first: finds or fetches the pinned Bun, installs the packages
 * from the lock file, and hands over. Runs on Node.js, or on Bun standing in for it, before
 * anything is installed: no dependencies, no TypeScript, no recent syntax.
 */
'use strict'

const nodeMajorMin = 18
// Before anything else, because an older one does not even know the names that follow.
if (Number(process.versions.node.split('.')[0]) < nodeMajorMin) {
  console.error(
    `Node.js ${process.versions.node} is too old: install ${nodeMajorMin} or later, or Bun alone.`,
  )
  process.exit(1)
}

const { spawn } = require('node:child_process')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')

const progressMs = 5000
const parentWatchMs = 500
/** How long a registry may take to accept a connection. */
const reachMs = 5000

/** A failure that the user can mend. The message says how. */
class LaunchError extends Error {}

/** The process that runs at the moment, to which signals are passed on. */
let current = null
/** The first signal that asked us to end. */
let stopSignal = null

async function main(args) {
  refuseUnsupported(process)
  const root = path.resolve(__dirname, '../..')
  // The only place where the version is written.
  const version = readManifest(root).engines.bun
  passSignalsOn()
  const bun = (await findBun(root, version)) || (await fetchBun(root, version))
  await installPackages(root, bun, isProduction(args))
  return handOver(root, bun, args)
}

/** Throws, with what is supported, on a machine for which no Bun or no PostgreSQL is packaged. */
function refuseUnsupported({ platform, arch }) {
  if (['linux', 'darwin'].includes(platform) && ['x64', 'arm64'].includes(arch)) return
  throw new LaunchError(
    `This runs on Linux and macOS (x64, arm64), not on ${platform} ${arch}. ` +
      'On Windows use WSL 2; docker compose up -d works everywhere.',
  )
}

/**
 * The path of a Bun of exactly this version: the one that runs us, on PATH, or fetched earlier.
 * Null when there is none.
 */
async function findBun(root, version) {
  if (process.versions.bun === version) return process.execPath

  for (const dir of (process.env.PATH || '').split(path.delimiter)) {
    const candidate = path.resolve(dir, 'bun')
    if (!fs.existsSync(candidate)) continue
    const found = await versionOf(candidate)
    if (found === version) return candidate
    if (found) say(`bun on PATH is ${found}, this needs ${version}: using a copy of its own in .runtime`)
    break
  }
  return findFetchedBun(runtimeDir(root, version), version)
}

function runtimeDir(root, version) {
  return path.join(root, '.runtime', `bun-${version}`)
}

/**
 * Looks where the npm package leaves the program: its install script moves it from the platform's package
 * into its own, and whether that script runs depends on the installer. So each candidate is asked.
 */
async function findFetchedBun(dir, version) {
  const modules = path.join(dir, 'node_modules')
  const platformPackages = listDir(path.join(modules, '@oven'))
  const candidates = platformPackages
    .map((name) => path.join(modules, '@oven', name, 'bin', 'bun'))
    .concat(path.join(modules, 'bun', 'bin', 'bun.exe'), path.join(modules, 'bun', 'bin', 'bun'))
  for (const candidate of candidates) {
    if (fs.existsSync(candidate) && (await versionOf(candidate)) === version) return candidate
  }
  return null
}

/**
 * Fetches into a folder of its own and renames, so that a copy is whole or absent, also when two
 * launchers fetch at once.
 */
async function fetchBun(root, version) {
  const install = await findInstaller(version)
  const dir = runtimeDir(root, version)
  const newDir = `${dir}.new-${process.pid}`
  sweep(path.dirname(dir))
  fs.mkdirSync(newDir, { recursive: true })
  const manifest = { private: true, dependencies: { bun: version } }
  fs.writeFileSync(path.join(newDir, 'package.json'), JSON.stringify(manifest))

  await checkRegistry()
  const { code, output } = await runShown(`fetching Bun ${version}`, install, newDir)
  if (code !== 0) throw new LaunchError(explain(`Bun ${version} could not be fetched.`, output))
  if (!(await findFetchedBun(newDir, version))) {
    throw new LaunchError(
      `Bun ${version} was fetched, but does not run on this machine. ` +
        `Install Bun ${version} yourself and put it on PATH, or use docker compose up -d.`,
    )
  }
  try {
    fs.renameSync(newDir, dir)
  } catch {
    // Another launcher was first, or the existing copy is broken.
    if (!(await findFetchedBun(dir, version))) {
      fs.rmSync(dir, { recursive: true, force: true })
      fs.renameSync(newDir, dir)
    } else {
      fs.rmSync(newDir, { recursive: true, force: true })
    }
  }
  return findFetchedBun(dir, version)
}

/**
 * Explicit, because the user's settings may say otherwise: the program itself is an optional package of
 * another one. One retry: without a network, the error should come within seconds.
 */
const npmInstall =
  'npm install --prefix=. --ignore-scripts --include=optional --no-package-lock --no-audit --no-fund ' +
  '--fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=2000'

/** npm, or else a Bun of another version, which can install packages just as well. */
async function findInstaller(version) {
  if (await versionOf('npm')) return npmInstall.split(' ')
  const bun = process.versions.bun ? process.execPath : 'bun'
  if (await versionOf(bun)) return [bun, 'install', '--ignore-scripts', '--no-save']
  throw new LaunchError(
    'Neither npm nor Bun is on PATH. ' +
      `Install Node.js ${nodeMajorMin} or later with npm, or Bun ${version}, and start again.`,
  )
}

/**
 * Throws, with the remedy, when the package registry cannot be reached: installers try for a minute or more
 * before they say so. Asks npm where that is, and does without an answer when npm has none.
 */
async function checkRegistry() {
  const { code, output } = await runCaptured(['npm', 'config', 'get', 'registry', 'proxy', 'https-proxy'])
  const setting = (name) => (new RegExp(`^${name} ?= ?(\\w+://\\S+)$`, 'm').exec(output) || [])[1]
  const address = code === 0 && (setting('https-proxy') || setting('proxy') || setting('registry'))
  if (!address) return
  const { protocol, hostname, port } = new URL(address)
  const standardPort = protocol === 'https:' ? 443 : 80
  const failure = await whyNotReached(hostname.replace(/^\[|\]$/g, ''), Number(port) || standardPort)
  if (failure) throw new LaunchError(`${hostname} does not answer (${failure}). ${unreachable}`)
}

/** Null once somebody listens there. */
function whyNotReached(host, port) {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: reachMs })
    const end = (failure) => {
      socket.destroy()
      resolve(failure)
    }
    socket.on('connect', () => end(null))
    socket.on('timeout', () => end(`nothing after ${reachMs / 1000} s`))
    socket.on('error', (error) => end(error.code || error.message))
  })
}

/** Removes what launchers that were killed while fetching left behind. */
function sweep(runtime) {
  for (const name of listDir(runtime)) {
    const match = /\.new-(\d+)$/.exec(name)
    if (match && !isAlive(Number(match[1])))
      fs.rmSync(path.join(runtime, name), { recursive: true, force: true })
  }
}

/** Whether the packages of production are enough. Everything else that starts here is a tool. */
function isProduction([script]) {
  return ['src/local/start.ts', 'src/cli/main.ts'].includes(script)
}

/**
 * Installs unless the packages of this lock file are installed. The stamp lies in node_modules, so
 * that it is removed with them. It names the lock file, and says when the tools are missing.
 */
async function installPackages(root, bun, production) {
  const hash = createHash('sha256')
  // The lock file names a patch, but does not contain it.
  const patches = Object.values(readManifest(root).patchedDependencies || {})
  for (const name of ['bun.lock', 'package.json'].concat(patches))
    hash.update(fs.readFileSync(path.join(root, name)))
  const all = `${hash.digest('hex')} ${process.platform}-${process.arch}`
  const some = `${all} production`
  const stampFile = path.join(root, 'node_modules', '.installed-lock')
  const stamp = fs.existsSync(stampFile) ? fs.readFileSync(stampFile, 'utf8') : ''
  if (stamp === all || (production && stamp === some)) return

  // A contributor, who has the tools, keeps them.
  const onlySome = production && (stamp === '' || stamp.endsWith(' production'))
  const install = [bun, 'install', '--frozen-lockfile'].concat(onlySome ? '--production' : [])
  await checkRegistry()
  const { code, output } = await runShown('installing packages', install, root)
  if (code !== 0) throw new LaunchError(explain('The packages could not be installed.', output))
  fs.writeFileSync(stampFile, onlySome ? some : all)
}

/** Runs Bun with the arguments we were given and answers its exit code. */
function handOver(root, bun, args) {
  // Nothing may outlive us, not even when we are killed. The supervisor reads the end of its stdin
  // as that, and stops in order; other programs have nothing to stop in order.
  const isSupervisor = args[0] === 'src/local/start.ts'
  const command = [bun].concat(isSupervisor ? args.concat('--lifeline') : ['--no-orphans'].concat(args))
  const env = Object.assign({}, process.env, {
    PATH: [path.dirname(bun), process.env.PATH || ''].join(path.delimiter),
  })
  const stdio = [isSupervisor ? 'pipe' : 'inherit', 'inherit', 'inherit']
  // Before the child is there: our parents may be killed as soon as it is.
  watchParents()
  const exited = start(command, { cwd: root, env, stdio })
  return exited.then(({ code }) => code)
}

/** Resolves once the program has ended, with an exit code as a shell would report it. */
function start(command, options) {
  return new Promise((resolve) => {
    const child = spawn(command[0], command.slice(1), options)
    current = child
    const end = (result) => {
      if (current === child) current = null
      resolve(result)
    }
    child.on('error', (error) => end({ code: 127, error }))
    child.on('close', (code, signal) =>
      end({ code: code === null ? 128 + os.constants.signals[signal] : code }),
    )
  })
}

/** Runs a step that can take long: says that it runs, how long it has been running, and that it is done. */
async function runShown(title, command, cwd) {
  const startedMs = Date.now()
  const seconds = () => ((Date.now() - startedMs) / 1000).toFixed(1)
  say(`${title} …`)
  const ticker = setInterval(() => say(`${title} … ${seconds()} s`), progressMs)
  const result = await runCaptured(command, cwd)
  clearInterval(ticker)
  if (result.code === 0) say(`${title}: done (${seconds()} s)`)
  return result
}

async function runCaptured(command, cwd) {
  const chunks = []
  const running = start(command, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  if (current)
    for (const stream of [current.stdout, current.stderr])
      if (stream) stream.on('data', (chunk) => chunks.push(chunk))
  const { code, error } = await running
  // Without this, a Ctrl-C while packages are fetched would be reported as a failure to fetch them.
  if (stopSignal) process.exit(128 + os.constants.signals[stopSignal])
  return { code, output: error ? error.message : Buffer.concat(chunks).toString() }
}

/** The version a program names, or null when it is not there or does not run. */
async function versionOf(command) {
  const { code, output } = await runCaptured([command, '--version'])
  const match = /^\d+\.\d+\.\d+\S*$/m.exec(output)
  return code === 0 && match ? match[0] : null
}

/** What failed, what the tool said last, and what to do about it. */
function explain(what, output) {
  const remedy = remedies.find(([symptom]) => symptom.test(output))
  // Where the reason is known, its first line says more than all that follows.
  const lines = output.trim().split('\n')
  const lastLines = remedy ? lines.filter((line) => remedy[0].test(line)).slice(0, 1) : lines.slice(-15)
  return [what]
    .concat(
      lastLines.map((line) => `  | ${line}`),
      remedy ? remedy[1] : 'Start again once that is mended.',
    )
    .join('\n')
}

const unreachable =
  'The package registry was not reached: check the network, the proxy and the registry that npm is set to. ' +
  'Only the first start needs it.'

const remedies = [
  [
    /ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|ConnectionRefused|FailedToOpen|UnknownHost|network/i,
    unreachable,
  ],
  [
    /CERT|certificate/,
    'The certificate of the package registry is not trusted here: ' +
      'set NODE_EXTRA_CA_CERTS to the file of the authority behind it.',
  ],
  [
    /EACCES|EPERM|EROFS|AccessDenied|permission denied|read-only file system/i,
    'This folder cannot be written to: it is read-only or belongs to another user. ' +
      'Start as that user, or give the folder to yours.',
  ],
  [/ENOSPC|NoSpaceLeft|no space left/i, 'The disk is full: about 400 MB are needed.'],
  [
    /frozen|lockfile had changes/i,
    'package.json and bun.lock disagree: run bun install and keep the bun.lock it writes.',
  ],
]

/** Ctrl-C reaches the child from the terminal as well. It counts signals that come close together as one. */
function passSignalsOn() {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      stopSignal = stopSignal || signal
      if (current) current.kill(signal)
      else process.exit(128 + os.constants.signals[signal])
    })
  }
}

/**
 * npm does not pass SIGTERM on, and cannot pass on SIGKILL: when it, or the shell between it and
 * us, is gone, we stop too. Only below a script runner, because a launcher started by hand may well
 * be meant to outlive its shell.
 */
function watchParents() {
  if (!process.env.npm_lifecycle_event) return
  const parent = process.ppid
  const grandparent = parentOf(parent)
  const watch = setInterval(() => {
    if (process.ppid === parent && parentOf(parent) === grandparent) return
    clearInterval(watch)
    if (current) current.kill('SIGTERM')
  }, parentWatchMs)
  watch.unref()
}

/** Linux only; elsewhere always null. */
function parentOf(pid) {
  try {
    // The name, in parentheses, may hold anything; behind it come the state and the parent.
    return fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ')[1]
  } catch {
    return null
  }
}

function readManifest(root) {
  return JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
}

function listDir(dir) {
  try {
    return fs.readdirSync(dir)
  } catch {
    return []
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function say(line) {
  process.stderr.write(`${line}\n`)
}

module.exports = { LaunchError, explain, refuseUnsupported }

if (require.main === module) {
  main(process.argv.slice(2)).then(
    (code) => process.exit(code),
    (error) => {
      // A system call that failed is about the machine, and no fault of ours that would need a stack.
      const known =
        error instanceof LaunchError
          ? error.message
          : error.syscall && explain('Cannot start.', error.message)
      say(known || error.stack)
      process.exit(1)
    },
  )
}
