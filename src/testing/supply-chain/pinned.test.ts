/** What is fetched is pinned: packages, the actions of the workflow, and when new versions are taken. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import packageJson from '../../../package.json'
import { ofLaptop, packagesOf } from './lock'

const read = (path: string) => Bun.file(join(import.meta.dir, '../../..', path)).text()

test('packages are named in exact versions', () => {
  const { dependencies, devDependencies, optionalDependencies } = packageJson
  const versions = Object.values({ ...dependencies, ...devDependencies, ...optionalDependencies })
  expect(versions.filter((version) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([])
})

test('every production package of the lock file has a hash', () => {
  const { packages } = packagesOf(ofLaptop)
  expect(packages.length).toBeGreaterThan(40)
  expect(packages.filter(({ sha512 }) => sha512.length !== 128)).toEqual([])
})

test('no package runs a script when it is installed, and new versions wait', async () => {
  const { install } = Bun.TOML.parse(await read('bunfig.toml')) as { install: Record<string, unknown> }
  expect(install.ignoreScripts).toBe(true)
  expect(install.minimumReleaseAge).toBeGreaterThanOrEqual(3 * 24 * 60 * 60)
  expect(packageJson).not.toHaveProperty('trustedDependencies')
})

test('the actions of the workflow are named by commit', async () => {
  const uses = [...(await read('.github/workflows/ci.yml')).matchAll(/uses: (.*)$/gm)].map(([, name]) => name)
  expect(uses.length).toBeGreaterThan(0)
  for (const name of uses) expect(name).toMatch(/^[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
})
