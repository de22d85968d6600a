/**
 * Keeps what the Dockerfile and the compose file repeat in step with its source. Needs no Docker.
 */
import { expect, test } from 'bun:test'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import packageJson from '../../package.json'
import { decideStart } from '../access/policy'
import { type Environment, readServiceConfig, serviceNames } from '../config/config'
import { ofImage, packagesOf } from './supply-chain/lock'

const root = join(import.meta.dir, '../..')
const read = (path: string) => Bun.file(join(root, path)).text()

const bunVersion = packageJson.engines.bun
const dockerfile = await read('Dockerfile')

test('the image and the types have the Bun version of package.json', () => {
  const stages = [...dockerfile.matchAll(/^FROM (\S+)(?: AS (\S+))?$/gm)].map(([, from = '', name]) => ({
    from,
    name,
  }))
  const bases = stages.filter(({ from }) => !stages.some(({ name }) => name === from)).map(({ from }) => from)
  expect(bases.map(withoutDigest)).toEqual([`oven/bun:${bunVersion}-slim`])
  expect(labels()['base.name']).toBe(`docker.io/oven/bun:${bunVersion}-slim`)
  expect(packageJson.devDependencies['@types/bun']).toBe(bunVersion)
})

test('the labels match package.json', () => {
  const { name: title, description, version, license: licenses } = packageJson
  expect(labels()).toMatchObject({ title, description, version, licenses })
})

test('the image builds without a remote syntax, runs as another user than root and receives signals', () => {
  expect(dockerfile).not.toMatch(/^#\s*syntax\s*=/m)
  // Numbers: Kubernetes cannot tell whether a name is root.
  expect(dockerfile.match(/^USER .*$/gm)).toEqual(['USER 1000:1000'])
  expect(dockerfile).toMatch(/^STOPSIGNAL SIGTERM$/m)
  expect(dockerfile).toMatch(/^CMD \["bun", "src\/main\.ts"\]$/m)
})

test('the image has a health check', () => {
  expect(dockerfile).toMatch(/^HEALTHCHECK (--\S+ )+CMD \["bun",/m)
})

test('the image takes nothing from outside but base, lock file and revision, and no secret', () => {
  const instructions = [...dockerfile.matchAll(/^([A-Z]+) (.*)$/gm)].map(
    ([, name, rest]) => `${name} ${rest}`,
  )
  const of = (name: string) => instructions.filter((line) => line.startsWith(`${name} `))
  expect(of('RUN')).toEqual([`RUN ${install}`, 'RUN bun src/balances/console/build.ts'])
  expect(of('ADD').concat(of('ARG'))).toEqual(['ARG REVISION='])
  expect(of('ENV')).toEqual(['ENV NODE_ENV=production', 'ENV REVISION=$REVISION'])
  expect(dockerfile.match(/--from=\S+/g)).toEqual(['--from=dependencies', '--from=console'])
})

const install = 'bun install --frozen-lockfile --production --omit=optional --omit=peer --ignore-scripts'

test('the install of the image gives the packages of its bill of materials', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-image-'))
  try {
    for (const file of ['package.json', 'bun.lock', ...Object.values(packageJson.patchedDependencies)])
      cpSync(join(root, file), join(folder, file))
    const { exitCode } = Bun.spawnSync([process.execPath, ...install.split(' ').slice(1)], { cwd: folder })
    expect(exitCode).toBe(0)
    const manifests = new Bun.Glob('node_modules/**/package.json').scanSync({ cwd: folder, dot: true })
    const installed = [...manifests]
      .filter((path) => /(^|\/)node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path))
      .map((path) => JSON.parse(readFileSync(join(folder, path), 'utf8')))
      .map(({ name, version }: { name: string; version: string }) => `${name}@${version}`)
    expect(installed.sort()).toEqual(packagesOf(ofImage).packages.map(({ id }) => id))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('the image exposes the default ports of the services', () => {
  const ports = serviceNames.map((service) => readServiceConfig({ ...enough, SERVICE: service }).port)
  expect(dockerfile).toMatch(new RegExp(`^EXPOSE ${ports.join(' ')}$`, 'm'))
})

test.each(['main.ts', 'cli/main.ts'])(
  'all files imported from %s are in the image, and all packages are dependencies',
  async (entry) => {
    const { files, packages } = await reachedFrom(`src/${entry}`)
    expect(files.length).toBeGreaterThan(20)
    expect(files.filter((file) => !isSent(file))).toEqual([])
    expect(packages.filter((name) => !(name in packageJson.dependencies))).toEqual([])
  },
)

test('migrations, seed, documents and patches are in the image; tests and local tools are not', () => {
  const sent = [...new Bun.Glob('{src,migrations,seed,docs}/**').scanSync(root)].filter(isSent)
  for (const pattern of [
    /^migrations\/wallet\/.+\.sql$/,
    /^migrations\/balances\/.+\.sql$/,
    /_journal\.json$/,
    /^seed\//,
    /^docs\/runbooks\.md$/,
    /^docs\/flow\.svg$/,
  ])
    expect(sent.filter((file) => pattern.test(file))).not.toEqual([])
  for (const patch of Object.values(packageJson.patchedDependencies)) expect(sent).toContain(patch)
  expect(sent.filter((file) => /\.test\.ts$|^src\/(local|testing)\//.test(file))).toEqual([])
  expect(['.git/HEAD', '.data/key', 'node_modules/elysia/package.json', '.env'].filter(isSent)).toEqual([])
  expect(sent.filter((file) => /^docs\/(?!([a-z0-9-]+)\.(md|svg)$)/.test(file))).toEqual([])
  // Source and migrations are small: more is something that does not belong there.
  const bytes = sent.reduce((total, file) => total + Bun.file(join(root, file)).size, 0)
  expect(bytes).toBeLessThan(5_000_000)
})

type Service = {
  image: string
  build?: { context: string; args: Record<string, string> }
  environment?: Record<string, string | number>
  ports?: string[]
  depends_on?: Record<string, { condition: string }>
  healthcheck?: object
}
const { services } = Bun.YAML.parse(await read('compose.yaml')) as { services: Record<string, Service> }

/**
 * As Compose passes it to the container: all strings, with `${NAME:-default}` resolved from the
 * shell.
 */
const environmentOf = (name: string, shell: Environment = {}): Environment =>
  Object.fromEntries(
    Object.entries(services[name]?.environment ?? {}).map(([key, value]) => [
      key,
      String(value).replace(/\$\{(\w+):-(.*?)\}/g, (_, variable, byDefault) => shell[variable] || byDefault),
    ]),
  )

test.each(serviceNames)('compose: %s has a valid configuration, with its own database', (name) => {
  const config = readServiceConfig(environmentOf(name))
  const database = new URL(config.database.url)
  const owner = new URL(config.database.migrationUrl ?? config.database.url)
  expect(owner.host + owner.pathname).toBe(database.host + database.pathname)
  expect(config.service).toBe(name)
  expect(config.seedOnStart).toBe(true)
  expect(services[name]?.ports).toEqual([`127.0.0.1:${config.port}:${config.port}`])
  expect(environmentOf(database.hostname)).toEqual({
    POSTGRES_USER: owner.username,
    POSTGRES_PASSWORD: owner.password,
    POSTGRES_DB: database.pathname.slice(1),
  })
  expect(services[name]?.depends_on).toEqual({
    [database.hostname]: { condition: 'service_healthy' },
    redpanda: { condition: 'service_healthy' },
  })
})

test('compose: the services share only the image and the broker', () => {
  const [wallet, balances] = serviceNames.map((name) => readServiceConfig(environmentOf(name)))
  expect(wallet?.database.url).not.toBe(balances?.database.url)
  expect(wallet?.kafka.brokers).toEqual(balances?.kafka.brokers ?? [])
  expect(serviceNames.map((name) => services[name]?.image)).toEqual(['saldo', 'saldo'])
  const builds = Object.values(services).flatMap(({ build }) => build ?? [])
  // Every argument of the Dockerfile, and empty where the shell has none.
  const args = { REVISION: expect.stringMatching(/^\$\{REVISION:-\}$/) }
  expect(builds).toEqual([{ context: '.', args }])
})

test('compose: KAFKA_PARTITIONS is passed to both services, and has their default', () => {
  const partitionsWith = (shell: Environment) =>
    serviceNames.map((name) => readServiceConfig(environmentOf(name, shell)).kafka.partitions)
  expect(partitionsWith({ KAFKA_PARTITIONS: '1' })).toEqual([1, 1])
  expect(partitionsWith({})).toEqual([6, 6])
})

test('compose: ports are bound to loopback, and images have full versions', () => {
  for (const [name, { image, ports = [], depends_on = {}, healthcheck }] of Object.entries(services)) {
    expect(ports.filter((port) => !/^127\.0\.0\.1:\d+:\d+$/.test(port))).toEqual([])
    if (image !== 'saldo') expect(withoutDigest(image)).toMatch(/:v?\d+\.\d+(\.\d+)?$/)
    for (const needed of Object.keys(depends_on)) expect(services).toHaveProperty(needed)
    if (name !== 'console') expect(healthcheck).toBeDefined()
  }
})

test('compose: the services write no file and have no privilege', () => {
  for (const name of serviceNames)
    expect(services[name]).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    })
  for (const service of Object.values(services)) expect(service).not.toHaveProperty('privileged')
})

test('compose: the broker syncs before it acknowledges, and creates no topics itself', () => {
  const { command } = services.redpanda as unknown as { command: string[] }
  expect(command).toContain('--unsafe-bypass-fsync=false')
  expect(command).not.toContainEqual(expect.stringContaining('--mode'))
  for (const setting of ['redpanda.write_caching_default=false', 'redpanda.auto_create_topics_enabled=false'])
    expect(command[command.indexOf(setting) - 1]).toBe('--set')
})

test.each(['docs/course.md', 'README.pt-BR.md'])(
  '%s: the services for the compose file of others start',
  async (page) => {
    const [, snippet = ''] = /```yaml\n( {2}saldo-balances:\n.*?)```/s.exec(await read(page)) ?? []
    const added = Bun.YAML.parse(snippet) as Record<string, Service>
    const env = Object.entries(added['saldo-balances']?.environment ?? {}).map(([key, value]) => [
      key,
      String(value),
    ])
    const config = readServiceConfig(Object.fromEntries(env))
    expect(decideStart({ ...config, hasKeys: false }).refusal).toBeUndefined()
    expect(Object.keys(added)).toContain(new URL(config.database.url).hostname)
  },
)

test('the documentation lists exactly the variables that a service reads', async () => {
  const variables = new Set<string>()
  const sasl = {
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_SASL_USERNAME: 'user',
    KAFKA_SASL_PASSWORD: 'password',
  }
  const watch = (env: Environment) =>
    new Proxy(env, {
      get(target, name: string) {
        variables.add(name)
        return target[name]
      },
    })
  // What is read depends on it.
  const traces = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector', OTEL_TRACES_SAMPLER: 'traceidratio' }
  for (const service of serviceNames)
    readServiceConfig(watch({ ...enough, ...sasl, ...traces, SERVICE: service }))

  const [, general = ''] = (await read('docs/running.md')).split('## Configuration')
  const configuration = general + (await read('docs/traces.md'))
  // Each may be given as a file.
  const isFileOf = (name: string) => name.endsWith('_FILE') && variables.has(name.replace(/_FILE$/, ''))
  const names = [...variables].filter((name) => !isFileOf(name))
  expect(variablesInTables(configuration)).toEqual(names.sort())
  // One table is enough.
  expect(variablesInTables(await read('docs/docker.md'))).toEqual([])
})

/** The names in the first column. */
function variablesInTables(markdown: string): string[] {
  const cells = [...markdown.matchAll(/^\| (`[^|]+`) \|/gm)].map(([, cell = '']) => cell)
  return cells.flatMap((cell) => [...cell.matchAll(/`([A-Z_]+)`/g)].map(([, name = '']) => name)).sort()
}

/** An image may be pinned by digest in addition to its tag. */
const withoutDigest = (image: string): string => image.replace(/@sha256:[0-9a-f]{64}$/, '')

const enough = { DATABASE_URL: 'postgres://a:b@db/balances', KAFKA_BROKERS: 'broker:9092' }

function labels(): Record<string, string> {
  const pairs = dockerfile.matchAll(/org\.opencontainers\.image\.([a-z.]+)="([^"]*)"/g)
  return Object.fromEntries([...pairs].map(([, name = '', value = '']) => [name, value]))
}

/** Follows the imports that exist at run time. */
async function reachedFrom(entry: string): Promise<{ files: string[]; packages: string[] }> {
  const transpiler = new Bun.Transpiler({ loader: 'ts' })
  const files = new Set([entry])
  const packages = new Set<string>()
  for (const file of files) {
    if (!/\.[jt]sx?$/.test(file)) continue
    for (const { path } of transpiler.scanImports(await read(file))) {
      if (path.startsWith('.')) files.add(relative(root, Bun.resolveSync(path, join(root, dirname(file)))))
      else if (
        path !== 'bun' &&
        !path.startsWith('bun:') &&
        !builtinModules.includes(path.replace(/^node:/, ''))
      )
        packages.add(path.split('/', path.startsWith('@') ? 2 : 1).join('/'))
    }
  }
  return { files: [...files], packages: [...packages] }
}

const ignoreRules = (await read('.dockerignore'))
  .split('\n')
  .filter((line) => line && !line.startsWith('#'))
  .map((line) => ({ glob: new Bun.Glob(line.replace(/^!/, '')), sends: line.startsWith('!') }))

/** As Docker reads .dockerignore: the last rule that matches the file, or a folder it is in, decides. */
function isSent(file: string): boolean {
  const parts = file.split('/')
  const paths = parts.map((_, index) => parts.slice(0, index + 1).join('/'))
  return ignoreRules.reduce(
    (sent, { glob, sends }) => (paths.some((path) => glob.match(path)) ? sends : sent),
    true,
  )
}
