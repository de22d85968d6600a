/** The house rules that no compiler checks: which room may import which, and what may be mentioned where. */
import { expect, test } from 'bun:test'
import { dirname, join, relative, resolve } from 'node:path'

const root = join(import.meta.dir, '..')
const source = join(root, 'src')

type Room = keyof typeof arrows

/** What each room may import of ours, beside itself. Files directly in `src` are rooms of one file. */
const arrows = {
  'main.ts': ['config.ts', 'wallet', 'balances', 'platform', 'platform/options.ts'],
  'command.ts': ['config.ts', 'wallet', 'balances', 'reconcile', 'platform', 'platform/options.ts'],
  'start.ts': [
    'config.ts',
    'embedded',
    'embedded/broker',
    'embedded/directory-lock.ts',
    'embedded/private-files.ts',
    'platform',
    'platform/options.ts',
    'platform/ports.ts',
  ],
  'config.ts': [],
  wallet: ['wallet/domain', 'wallet/store', 'contract', 'platform', 'config.ts'],
  'wallet/domain': [],
  'wallet/store': ['wallet/domain', 'contract', 'platform'],
  balances: ['balances/project.ts', 'balances/store', 'contract', 'platform', 'config.ts'],
  'balances/project.ts': ['contract'],
  'balances/store': ['balances/project.ts', 'contract', 'platform'],
  reconcile: ['wallet/store', 'balances/store', 'contract', 'platform', 'config.ts'],
  contract: ['../package.json'],
  '../package.json': [],
  platform: ['platform/ports.ts', 'platform/options.ts'],
  'platform/ports.ts': [],
  'platform/options.ts': [],
  embedded: ['embedded/broker', 'embedded/directory-lock.ts', 'embedded/private-files.ts', 'platform/ports.ts'],
  'embedded/broker': [
    'embedded/directory-lock.ts',
    'embedded/private-files.ts',
    'platform/options.ts',
    'platform/ports.ts',
  ],
  'embedded/directory-lock.ts': ['embedded/private-files.ts'],
  'embedded/private-files.ts': [],
  testing: [
    'main.ts',
    'config.ts',
    'wallet',
    'balances',
    'balances/project.ts',
    'balances/store',
    'contract',
    'platform',
    'platform/options.ts',
    'platform/ports.ts',
    'embedded',
    'embedded/broker',
  ],
} satisfies Record<string, string[]>

/** The innermost room a file is in. */
function roomOf(file: string): Room | undefined {
  const path = relative(source, file)
  const rooms = Object.keys(arrows) as Room[]
  return rooms.filter((room) => path === room || path.startsWith(`${room}/`)).sort((a, b) => b.length - a.length)[0]
}

type Import = { from: string; target: string; typesOnly: boolean }

const files = [...new Bun.Glob('**/*.{ts,cjs}').scanSync(source)].map((path) => join(source, path))
const isTest = (file: string) => /\.test\.ts$/.test(file)

/** Read as text, because `import type` counts too: a type that points the wrong way is a wrong dependency. */
async function importsOf(file: string): Promise<Import[]> {
  const text = await Bun.file(file).text()
  const pattern = /^(?:import|export)\s+(type\s)?[^'"]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/gm
  return [...text.matchAll(pattern)].map(([, type, target = '', dynamic = '']) => ({
    from: file,
    target: target || dynamic,
    typesOnly: Boolean(type),
  }))
}

const imports = (await Promise.all(files.map(importsOf))).flat()
const place = ({ from, target }: Import) => `${relative(root, from)} imports ${target}`

test('every file of the source is in a room', () => {
  expect(files.filter((file) => !roomOf(file) && !isTest(file)).map((file) => relative(root, file))).toEqual([])
})

test('imports between rooms follow the arrows', () => {
  const wrong = imports.filter((one) => {
    // Tests may use the testing room, and stack tests put rooms together.
    if (isTest(one.from) || !one.target.startsWith('.')) return false
    const from = roomOf(one.from)
    const resolved = resolve(dirname(one.from), one.target)
    const to = roomOf(/\.(c?ts|cjs|json)$/.test(resolved) ? resolved : `${resolved}.ts`)
    if (!from || from === to) return false
    return !to || !(arrows[from] as readonly string[]).includes(to)
  })
  expect(wrong.map(place)).toEqual([])
})

test('wallet and balances know nothing of each other', () => {
  const crossing = imports.filter(({ from, target }) => {
    const [fromWallet, fromBalances] = ['wallet', 'balances'].map((room) => from.startsWith(join(source, room)))
    return (fromWallet && target.includes('/balances')) || (fromBalances && target.includes('/wallet'))
  })
  expect(crossing.map(place)).toEqual([])
})

test('kafkajs stays in platform/kafka, what is inside it in one file, and out of everything else that runs', () => {
  const elsewhere = imports.filter(({ from, target, typesOnly }) => {
    if (!/^kafkajs($|\/)/.test(target) || typesOnly || isTest(from)) return false
    const path = relative(source, from)
    if (path === 'platform/kafkajs-internals.ts' || (path === 'platform/kafka.ts' && target === 'kafkajs')) return false
    return !path.startsWith('testing/') && !path.startsWith('embedded/broker/')
  })
  expect(elsewhere.map(place)).toEqual([])
})

test('the contract imports TypeBox alone, the domain nothing at all', () => {
  const foreign = imports.filter(({ from, target }) => {
    if (isTest(from) || target.startsWith('.')) return false
    const room = roomOf(from)
    return room === 'wallet/domain' || (room === 'contract' && !target.startsWith('@sinclair/typebox'))
  })
  expect(foreign.map(place)).toEqual([])
})

const mentions = async (pattern: RegExp, allowed: RegExp): Promise<string[]> => {
  const found: string[] = []
  for (const file of files) {
    const path = relative(source, file)
    if (allowed.test(path) || isTest(file)) continue
    if (pattern.test(await Bun.file(file).text())) found.push(path)
  }
  return found
}

test('SQL is written in store, in platform and in what stands in for a server', async () => {
  const statement = /(sql|tx|admin)(<[^`]*>)?`/
  const allowed = /^((wallet|balances)\/store|platform|embedded|testing)\//
  expect(await mentions(statement, allowed)).toEqual([])
})

test('the environment is read in config, from what the entrances hand to it', async () => {
  expect(
    await mentions(/process\.env|Bun\.env/, /^(main|start|command)\.ts$|^testing\/|^embedded\/launch\.cjs$/),
  ).toEqual([])
})

test('no service calls another: they have a client for the database and one for the broker, and none besides', async () => {
  const client =
    /(?<![.\w])(fetch|WebSocket|EventSource)\(|Bun\.connect|['"]((node:)?(https?|http2|net|tls)|axios|got|ky|undici)['"]/
  expect(await mentions(client, /^start\.ts$|^(embedded|testing)\//)).toEqual([])
})
