/**
 * The licences of what runs in production: `npm run licenses`. Lists every package that `npm start` installs,
 * and says which of them are in the image. Exits 1 for a licence that is not allowed.
 */
import { join } from 'node:path'
import { optionsOrExit } from '../../platform/process/options.ts'
import { ofImage, packagesOf } from './lock'

const root = join(import.meta.dir, '../../..')

/** SPDX identifiers that ask for no more than the notice. An expression has to be listed as it is. */
const allowed = [
  ...['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'CC0-1.0', 'ISC', 'MIT'],
  ...['PostgreSQL', 'Unlicense', 'Zlib'],
]

/** By `name@version`, as the installed packages declare them. */
export function installedLicenses(): Map<string, string> {
  const command = [process.execPath, 'pm', 'licenses', '--prod', '--json']
  const { stdout, stderr, success } = Bun.spawnSync(command, { cwd: root })
  if (!success) throw new Error(`bun pm licenses failed: ${stderr.toString().trim()}`)
  const groups = JSON.parse(stdout.toString()) as Record<string, { name: string; versions: string[] }[]>
  const pairs = Object.entries(groups).flatMap(([license, packages]) =>
    packages.flatMap(({ name, versions }) =>
      versions.map((version): [string, string] => [`${name}@${version}`, license]),
    ),
  )
  return new Map(pairs.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** `name@version: licence` of those that are not allowed. What should be installed and is not, is unknown. */
export function refusedLicenses(
  licenses: ReadonlyMap<string, string>,
  needed: Iterable<string> = [],
): string[] {
  const missing = [...needed].filter((id) => !licenses.has(id)).map((id) => `${id}: not installed`)
  const refused = [...licenses].filter(([, license]) => !allowed.includes(license))
  return [...refused.map(([id, license]) => `${id}: ${license}`), ...missing]
}

function listLicenses(): number {
  const licenses = installedLicenses()
  const inImage = new Set(packagesOf(ofImage).packages.map(({ id }) => id))
  for (const [id, license] of licenses)
    console.log(`${id.padEnd(44)} ${license.padEnd(14)} ${inImage.has(id) ? 'image' : 'laptop only'}`)

  const refused = refusedLicenses(licenses, inImage)
  console.log(`\n${licenses.size} packages, ${inImage.size} of them in the image`)
  if (refused.length === 0) return 0
  console.error(
    `Not allowed:\n  ${refused.join('\n  ')}\n` +
      'Replace the package, or, after a review, add its licence to `allowed` in ' +
      'src/testing/supply-chain/licenses.ts.',
  )
  return 1
}

if (import.meta.main) {
  optionsOrExit(
    `Usage: npm run licenses
  Lists the licences of the production packages. Exits 1 for one that is not allowed.`,
    {},
  )
  process.exit(listLicenses())
}
