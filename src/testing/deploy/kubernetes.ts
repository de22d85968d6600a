/**
 * Validates deploy/kubernetes.yaml against the published schemas of Kubernetes: `npm run manifests`.
 * They come with a package of PyPI. What they cannot know is in `kubernetes.test.ts`.
 */
import { join } from 'node:path'
import { optionsOrExit } from '../../platform/process/options.ts'
import { pythonWith } from '../installed.ts'
import { notChecked } from '../supply-chain/not-checked.ts'

const manifests = 'deploy/kubernetes.yaml'
/** The oldest that its comment names, and the newest of the package. */
const versions = ['1.31.0', '1.37.0']

optionsOrExit(
  `Usage: npm run manifests
  Validates ${manifests} against Kubernetes ${versions.join(' and ')}. Exits ${notChecked} without Python 3.`,
  {},
)
const installed = await pythonWith(['kubernetes-validate==1.37.0'])
if (!installed.ok) {
  console.log(`NOT CHECKED: kubernetes-validate could not be installed: ${installed.reason}.`)
  process.exit(notChecked)
}
const outcomes = versions.map((version) => {
  const command = [
    join(installed.bin, 'kubernetes-validate'),
    '--strict',
    '--quiet',
    '-k',
    version,
    manifests,
  ]
  const { exitCode } = Bun.spawnSync(command, {
    cwd: join(import.meta.dir, '../../..'),
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (exitCode === 0) console.log(`${manifests}: valid for Kubernetes ${version}`)
  return exitCode
})
process.exit(Math.max(...outcomes))
