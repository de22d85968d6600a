/** What deploy/cluster.compose.yaml repeats of compose.yaml, of the services, and of its proxy. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { type Environment, readServiceConfig, serviceNames } from '../../config/config'

const root = join(import.meta.dir, '../../..')
const read = (path: string) => Bun.file(join(root, path)).text()

type Service = {
  image: string
  build?: { context: string; args: Record<string, string> }
  command?: string[]
  environment?: Record<string, string | number>
  ports?: string[]
  volumes?: string[]
  depends_on?: Record<string, object>
  deploy?: { replicas: number }
}
type Project = { name: string; services: Record<string, Service>; volumes: Record<string, null> }

const single = Bun.YAML.parse(await read('compose.yaml')) as Project
const cluster = Bun.YAML.parse(await read('deploy/cluster.compose.yaml')) as Project
const brokers = Object.keys(cluster.services).filter((name) => name.startsWith('redpanda'))
const environmentOf = (name: string): Environment =>
  Object.fromEntries(
    Object.entries(cluster.services[name]?.environment ?? {}).map(([key, value]) => [key, String(value)]),
  )

test('it is another project, with the images of compose.yaml', () => {
  expect(cluster.name).not.toBe(single.name)
  expect(cluster.services.wallet?.build).toEqual({ ...single.services.wallet?.build, context: '..' } as never)
  for (const name of [...serviceNames, 'wallet-db', 'balances-db'])
    expect(cluster.services[name]?.image).toBe(String(single.services[name]?.image))
  for (const name of brokers)
    expect(cluster.services[name]?.image).toBe(String(single.services.redpanda?.image))
  expect(cluster.services.proxy?.image).toMatch(/^haproxy:\d+\.\d+\.\d+$/)
})

test.each(serviceNames)('%s has a valid configuration, all of it read, with all brokers', (name) => {
  const known = new Set<string>()
  const environment = environmentOf(name)
  const recording = new Proxy(environment, {
    get: (all, variable: string) => {
      known.add(variable)
      return all[variable]
    },
  })
  const config = readServiceConfig(recording)
  expect(Object.keys(environment).filter((variable) => !known.has(variable))).toEqual([])
  expect(config.kafka.brokers).toEqual(brokers.map((broker) => `${broker}:9092`))
  expect(config.service).toBe(name)
  for (const variable of ['DATABASE_URL', 'MIGRATION_DATABASE_URL', 'PORT', 'AUTH'])
    expect(environment[variable]).toBe(String(single.services[name]?.environment?.[variable]))
  expect(Object.keys(cluster.services[name]?.depends_on ?? {}).sort()).toEqual(
    [...brokers, `${name}-db`].sort(),
  )
})

test('each broker is one of three, alike but for its name and its port, and syncs', () => {
  expect(brokers).toEqual(['redpanda-1', 'redpanda-2', 'redpanda-3'])
  const ports = brokers.map((name) => cluster.services[name]?.ports?.join() ?? '')
  const generic = brokers.map((name) => {
    const port = /:(\d+)$/.exec(cluster.services[name]?.ports?.join() ?? '')?.[1] ?? ''
    const { command = [], volumes } = cluster.services[name] ?? {}
    expect(volumes).toEqual([`${name}:/var/lib/redpanda/data`])
    return command
      .filter((option) => !option.startsWith('--seeds='))
      .map((option) => option.replaceAll(name, 'BROKER').replaceAll(port, 'PORT'))
  })
  expect(new Set(generic.map((command) => command.join(' '))).size).toBe(1)
  expect(new Set(ports).size).toBe(brokers.length)
  const seeds = `--seeds=${brokers.map((name) => `${name}:33145`).join()}`
  for (const name of brokers) expect(cluster.services[name]?.command).toContain(seeds)
  // As the one of compose.yaml, addresses aside.
  const shared = (single.services.redpanda?.command ?? []).filter((option) => !option.includes('kafka-addr'))
  for (const option of shared) expect(generic[0]).toContain(option)
})

test('the proxy serves the ports of both services, and has room for their replicas', async () => {
  const config = await read('deploy/cluster.haproxy.cfg')
  for (const name of serviceNames) {
    const { port } = readServiceConfig(environmentOf(name))
    const replicas = cluster.services[name]?.deploy?.replicas ?? 0
    const [, places] = new RegExp(`server-template ${name}- (\\d+) ${name}:${port}$`, 'm').exec(config) ?? []
    expect(replicas).toBeGreaterThan(1)
    expect(Number(places)).toBeGreaterThan(replicas)
    expect(config).toMatch(new RegExp(`^ {2}bind :${port}$`, 'm'))
    expect(cluster.services.proxy?.ports).toContain(`127.0.0.1:${port}:${port}`)
    // Taken out before it stops: the proxy looks so often, and so many times.
    const [, seconds, failures] = /inter (\d+)s fall (\d+)/.exec(config) ?? []
    expect(Number(environmentOf(name).SHUTDOWN_DELAY_MS)).toBeGreaterThan(
      Number(seconds) * Number(failures) * 1000,
    )
  }
})
