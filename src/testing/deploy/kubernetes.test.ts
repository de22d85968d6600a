/** What deploy/kubernetes.yaml repeats of the services. Its form is checked by `npm run manifests`. */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import packageJson from '../../../package.json'
import { type Environment, readServiceConfig, type ServiceName, serviceNames } from '../../config/config'

const root = join(import.meta.dir, '../../..')

type Container = {
  image: string
  command?: string[]
  env: { name: string; value: string }[]
  ports?: { name: string; containerPort: number }[]
  volumeMounts: { name: string; mountPath: string }[]
  securityContext: object
} & Record<'livenessProbe' | 'readinessProbe', { httpGet: { path: string } }>
type Pod = {
  terminationGracePeriodSeconds?: number
  enableServiceLinks: boolean
  securityContext: object
  containers: [Container]
  volumes: { name: string; secret?: { secretName: string } }[]
}
type Manifest = {
  kind: string
  metadata: { name: string }
  data: Environment
  spec: {
    ports: { port: number }[]
    selector: Record<string, unknown> & { matchLabels?: object }
    template: { metadata: { labels: Record<string, string> }; spec: Pod }
  }
}

const manifests = Bun.YAML.parse(await Bun.file(join(root, 'deploy/kubernetes.yaml')).text()) as Manifest[]
const one = (kind: string, name: string): Manifest => {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name.startsWith(name))
  if (!found) throw new Error(`${kind} ${name} is missing`)
  return found
}
const shared = one('ConfigMap', 'saldo').data
const workloads = serviceNames.flatMap((service) =>
  (['Deployment', 'Job'] as const).map((kind) => [kind, service] as const),
)
const podOf = (kind: string, service: string) => one(kind, service).spec.template.spec

/** As the container has it, with the files of the secrets in a folder of the test. */
function environmentOf(kind: string, service: ServiceName, folder: string): Environment {
  const { containers, volumes } = podOf(kind, service)
  const [{ env, volumeMounts }] = containers
  const own = env.map(({ name, value }) => {
    if (!name.endsWith('_FILE')) return [name, value]
    const mount = volumeMounts.find(({ mountPath }) => value.startsWith(`${mountPath}/`))
    const secret = volumes.find((volume) => volume.name === mount?.name)?.secret?.secretName
    expect(value).toBe(`/run/secrets/${secret}/database-url`)
    const file = join(folder, String(secret))
    writeFileSync(file, `postgres://${secret}:secret@db:5432/${service}\n`)
    return [name, file]
  })
  return { ...shared, ...Object.fromEntries(own) }
}

test.each(workloads)('the %s of %s has a valid configuration, all of it read', (kind, service) => {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-kubernetes-'))
  try {
    const environment = environmentOf(kind, service, folder)
    const read = new Set<string>()
    const recording = new Proxy(environment, {
      get: (all, name: string) => {
        read.add(name)
        return all[name]
      },
    })
    const config = readServiceConfig(recording)
    expect(Object.keys(environment).filter((name) => !read.has(name))).toEqual([])
    expect(config).toMatchObject({ service, auth: 'keys', migrateOnStart: false, seedOnStart: false })
    // Only the Job may change the schema.
    expect(config.database.url).toStartWith(`postgres://${service}:`)
    expect(config.database.migrationUrl?.startsWith(`postgres://${service}-owner:`)).toBe(
      kind === 'Job' ? true : undefined,
    )
    expect(podOf(kind, service).containers[0].command).toEqual(
      kind === 'Job' ? ['saldo', 'migrate'] : undefined,
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.each(workloads)('the %s of %s is restricted, and names its image by digest', (kind, service) => {
  const { containers, securityContext, enableServiceLinks } = podOf(kind, service)
  expect(containers[0].image).toMatch(/@sha256:[0-9a-f]{64}$/)
  expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
  expect(containers[0].securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
  expect(enableServiceLinks).toBe(false)
})

test.each(serviceNames)('%s has time to stop, its probes, and a Service on its port', (service) => {
  const { terminationGracePeriodSeconds, containers } = podOf('Deployment', service)
  const { SHUTDOWN_DELAY_MS, SHUTDOWN_TIMEOUT_MS } = shared
  const needed = (Number(SHUTDOWN_DELAY_MS) + Number(SHUTDOWN_TIMEOUT_MS)) / 1000
  expect(needed).toBeGreaterThan(0)
  expect(terminationGracePeriodSeconds).toBeGreaterThan(needed)
  const [{ env, ports, livenessProbe, readinessProbe }] = containers
  const port = env.find(({ name }) => name === 'PORT')?.value
  expect(ports?.map(({ containerPort }) => String(containerPort))).toEqual([String(port)])
  expect(one('Service', service).spec.ports.map((each) => String(each.port))).toEqual([String(port)])
  expect([livenessProbe.httpGet.path, readinessProbe.httpGet.path]).toEqual(['/livez', '/readyz'])
})

test.each(serviceNames)('budget, Service and Deployment of %s are about the same pods', (service) => {
  const { labels } = one('Deployment', service).spec.template.metadata
  const selectors = [
    one('Deployment', service).spec.selector.matchLabels,
    one('PodDisruptionBudget', service).spec.selector.matchLabels,
    one('Service', service).spec.selector,
  ]
  for (const selector of selectors) expect(labels).toMatchObject(selector ?? { none: true })
  // A Job's pods are none of them.
  expect(one('Job', service).spec.template.metadata.labels).not.toMatchObject(selectors[2] ?? {})
})

type Monitor = {
  kind: string
  metadata: { name: string; namespace: string }
  spec: {
    selector: { matchLabels: object }
    podMetricsEndpoints: { port: string; path: string; authorization: { credentials: object } }[]
  }
}

test.each(serviceNames)(
  'the pods of %s, and no others, are scraped with a key of their own',
  async (service) => {
    const text = await Bun.file(join(root, 'deploy/kubernetes-monitoring.yaml')).text()
    const monitors = Bun.YAML.parse(text) as Monitor[]
    const monitor = monitors.find(({ metadata }) => metadata.name === service)
    const { labels } = one('Deployment', service).spec.template.metadata
    expect(labels).toMatchObject(monitor?.spec.selector.matchLabels ?? { none: true })
    for (const other of serviceNames.filter((name) => name !== service))
      expect(one('Deployment', other).spec.template.metadata.labels).not.toMatchObject(
        monitor?.spec.selector.matchLabels ?? {},
      )
    expect(monitor?.spec.podMetricsEndpoints).toEqual([
      expect.objectContaining({
        ...{ port: podOf('Deployment', service).containers[0].ports?.[0]?.name, path: '/metrics' },
        authorization: { credentials: { name: `${service}-metrics`, key: 'token' } },
      }),
    ])
    // The secret is made as the document says.
    const document = await Bun.file(join(root, 'docs/kubernetes.md')).text()
    expect(document).toContain('create secret generic $service-metrics --from-literal=token=')
  },
)

test('the Jobs are named after this version', () => {
  const version = packageJson.version.replaceAll('.', '-')
  for (const service of serviceNames)
    expect(one('Job', service).metadata.name).toBe(`${service}-migrate-${version}`)
})
