/** Releases by their commits: a clone may have no tags. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Checkout } from '../fleet/replica.ts'
import releases from './releases.json'

export const root = resolve(import.meta.dir, '../../..')

/** A failure that the user can mend. The message says how. */
export class CheckoutError extends Error {
  override name = 'CheckoutError'
}

/** The newest release: the last of the file. */
export const previousRelease = Object.keys(releases).at(-1) as keyof typeof releases

/** A release with its production packages, below `.runtime`, where it stays for the next run. */
export async function checkOut(version: keyof typeof releases): Promise<Checkout> {
  const commit = releases[version]
  const folder = join(root, '.runtime/releases', `${version}-${commit.slice(0, 12)}`)
  if (!existsSync(folder)) await fill(folder, version, commit)
  return { version, folder, bun: await findBun(folder) }
}

export const thisCheckout: Checkout = { version: 'this', folder: root, bun: process.execPath }

/** Completely or not at all. */
async function fill(folder: string, version: string, commit: string): Promise<void> {
  if ((await git('cat-file', '-e', `${commit}^{commit}`)) !== 0)
    throw new CheckoutError(await whyMissing(version))
  const unfinished = `${folder}.new-${process.pid}`
  mkdirSync(unfinished, { recursive: true })
  try {
    const archive = Bun.spawn(['git', 'archive', commit], { cwd: root, stdout: 'pipe', stderr: 'inherit' })
    const tar = Bun.spawn(['tar', '-x', '-C', unfinished], { stdin: archive.stdout, stderr: 'inherit' })
    if ((await archive.exited) !== 0 || (await tar.exited) !== 0)
      throw new CheckoutError('git archive failed')
    // Its own launcher installs its Bun and its production packages.
    const launch = ['src/local/launch.cjs', 'src/cli/main.ts', '--help']
    const install = Bun.spawn([process.execPath, ...launch], {
      cwd: unfinished,
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'inherit',
    })
    if ((await install.exited) !== 0)
      throw new CheckoutError(`The packages of ${version} could not be installed.`)
    renameSync(unfinished, folder)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}

/** That of the release: this one, or what its launcher has fetched. */
async function findBun(folder: string): Promise<string> {
  const { engines } = await Bun.file(join(folder, 'package.json')).json()
  if (engines.bun === Bun.version) return process.execPath
  const places = ['node_modules/@oven/*/bin/bun', 'node_modules/bun/bin/bun.exe']
  for (const place of places)
    for (const file of new Bun.Glob(`.runtime/bun-${engines.bun}/${place}`).scanSync({
      cwd: folder,
      dot: true,
    }))
      return join(folder, file)
  throw new CheckoutError(`Bun ${engines.bun} is not in ${folder}: remove that folder and try again.`)
}

async function whyMissing(version: string): Promise<string> {
  if ((await git('rev-parse', '--git-dir')) !== 0)
    return `The upgrade from ${version} needs the history: clone the repository with git.`
  return (
    `The commit of ${version} is not in this clone, which is shallow or of another history. ` +
    'Run git fetch --unshallow and try again.'
  )
}

const git = (...command: string[]): Promise<number> =>
  Bun.spawn(['git', ...command], { cwd: root, stdio: ['ignore', 'ignore', 'ignore'] }).exited
