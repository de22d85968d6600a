/**
 * Builds the package of the client (`npm run client:build`): one module of JavaScript, its types, README
 * and license, ready for `npm pack ./dist/saldo-client`.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { optionsOrExit } from '../platform/process/options.ts'

const root = join(import.meta.dir, '../..')
const client = join(root, 'src/client')

/** Replaces `directory` by the package. */
export async function buildClient(directory: string): Promise<void> {
  rmSync(directory, { recursive: true, force: true })
  const dist = join(directory, 'dist')
  mkdirSync(dist, { recursive: true })
  writeFileSync(join(dist, 'index.js'), await bundleClient({ minify: false }))
  writeTypes(dist)
  for (const file of ['package.json', 'README.md']) cpSync(join(client, file), join(directory, file))
  cpSync(join(root, 'LICENSE'), join(directory, 'LICENSE'))
}

/** The client as one module for browsers, which the other runtimes run as well. */
export async function bundleClient({ minify }: { minify: boolean }): Promise<string> {
  const entrypoints = [join(client, 'index.ts')]
  const { outputs } = await Bun.build({ entrypoints, minify, target: 'browser', format: 'esm' })
  const [bundle] = outputs
  if (!bundle) throw new Error('the client has no bundle')
  return bundle.text()
}

/** By the compiler's defaults for libraries: neither Bun's types nor this repository's settings. */
function writeTypes(dist: string): void {
  const options = [
    ...['--ignoreConfig', '--declaration', '--emitDeclarationOnly'],
    ...['--outDir', dist, '--rootDir', client],
    ...['--target', 'es2022', '--lib', 'es2022,dom,dom.iterable', '--types', '', '--strict'],
    ...['--module', 'preserve', '--moduleResolution', 'bundler', '--allowImportingTsExtensions'],
  ]
  runTsc([...options, join(client, 'index.ts')], root)
  for (const name of readdirSync(dist).filter((file) => file.endsWith('.d.ts'))) {
    const path = join(dist, name)
    // The extension that every setting of a reader's compiler resolves.
    const text = readFileSync(path, 'utf8').replace(/(from ['"]\.\/[\w-]+)\.ts(['"])/g, '$1.js$2')
    writeFileSync(path, text)
  }
}

/** Throws with what the compiler found. */
export function runTsc(options: readonly string[], cwd: string): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { exitCode, stdout } = Bun.spawnSync([process.execPath, tsc, ...options], { cwd })
  if (exitCode !== 0) throw new Error(`tsc: ${stdout}`)
}

if (import.meta.main) {
  optionsOrExit('Usage: npm run client:build\n  Writes the package of src/client into dist/saldo-client.', {})
  await buildClient(join(root, 'dist/saldo-client'))
  console.log('wrote dist/saldo-client: npm pack ./dist/saldo-client')
}
