/**
 * Validates deploy/kubernetes.yaml against the published schemas of Kubernetes, and
 * deploy/kubernetes-monitoring.yaml against those of the Prometheus Operator: `npm run manifests`. They come
 * with packages of PyPI. What they cannot know is in `kubernetes.test.ts`.
 */
import { join } from 'node:path'
import { optionsOrExit } from '../../platform/process/options.ts'
import { pythonWith } from '../installed.ts'
import { notChecked } from '../supply-chain/not-checked.ts'

const manifests = 'deploy/kubernetes.yaml'
const monitors = 'deploy/kubernetes-monitoring.yaml'
/** The models let unknown members pass: what they do not read back is one. */
const validateMonitors = `
import sys, yaml
from cloudcoil.models.prometheus_operator import v1
for manifest in yaml.safe_load_all(open(sys.argv[1])):
    read = getattr(v1, manifest["kind"]).model_validate(manifest)
    known = read.model_dump(by_alias=True, exclude_unset=True, mode="json")
    if known != manifest:
        sys.exit(f"{manifest} has members that are unknown, only {known} is read")`
/** The oldest that its comment names, and the newest of the package. */
const versions = ['1.31.0', '1.37.0']

optionsOrExit(
  `Usage: npm run manifests
  Validates ${manifests} against Kubernetes ${versions.join(' and ')}, and ${monitors} against the
  Prometheus Operator 0.80. Exits ${notChecked} without Python 3.`,
  {},
)
const packages = ['kubernetes-validate==1.37.0', 'cloudcoil-models-prometheus-operator==0.80.1.0']
const installed = await pythonWith(packages)
if (!installed.ok) {
  console.log(`NOT CHECKED: ${packages.join(' and ')} could not be installed: ${installed.reason}.`)
  process.exit(notChecked)
}
const run = (command: string[], valid: string): number => {
  const { exitCode } = Bun.spawnSync(command, {
    cwd: join(import.meta.dir, '../../..'),
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (exitCode === 0) console.log(valid)
  return exitCode
}
const validate = [join(installed.bin, 'kubernetes-validate'), '--strict', '--quiet']
const outcomes = versions.map((version) =>
  run([...validate, '-k', version, manifests], `${manifests}: valid for Kubernetes ${version}`),
)
const python = [join(installed.bin, 'python'), '-c', validateMonitors, monitors]
outcomes.push(run(python, `${monitors}: valid for the Prometheus Operator`))
process.exit(Math.max(...outcomes))
