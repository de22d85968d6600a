/** Programs of other languages for tests, installed below `.runtime` in exact versions. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const cache = resolve(import.meta.dir, '../../.runtime/clients')

/** The folder of programs of a virtual environment with these packages, or why there is none. */
export async function pythonWith(
  packages: readonly string[],
): Promise<{ ok: true; bin: string } | { ok: false; reason: string }> {
  if (!Bun.which('python3')) return { ok: false, reason: 'python3 is missing' }
  const venv = join(cache, `python-${Bun.hash(packages.join()).toString(36)}`)
  const bin = join(venv, 'bin')
  const failure = await once(venv, async () => {
    return (
      (await run(['python3', '-m', 'venv', venv])) ??
      (await run([
        join(bin, 'python'),
        '-m',
        'pip',
        'install',
        '-q',
        '--disable-pip-version-check',
        ...packages,
      ]))
    )
  })
  return failure === undefined ? { ok: true, bin } : { ok: false, reason: failure }
}

/** Installs into a folder completely or not at all. */
export async function once(
  dir: string,
  install: () => Promise<string | undefined>,
): Promise<string | undefined> {
  const mark = join(dir, '.installed')
  if (existsSync(mark)) return undefined
  const failure = await install()
  if (failure) rmSync(dir, { recursive: true, force: true })
  else writeFileSync(mark, '')
  return failure
}

/** The error of the command, if it failed. */
export async function run(command: string[], cwd = import.meta.dir): Promise<string | undefined> {
  const child = Bun.spawn(command, { cwd, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [output, complaints] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) === 0) return undefined
  return `${command.slice(0, 4).join(' ')} failed: ${(complaints || output).trim().split('\n').at(-1)}`
}
