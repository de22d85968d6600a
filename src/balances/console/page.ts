/** The files of the console: bundled once in the image, and from the source where there is one. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export type ConsoleFile = {
  body: Uint8Array<ArrayBuffer>
  gzip: Uint8Array<ArrayBuffer>
  etag: string
  type: string
}
export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>

/** What the image has instead of a bundler at work. */
export const builtFolder = join(import.meta.dir, '../../../dist/console')
const sourceFolder = join(import.meta.dir, '../../console')

const types: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
}

/** Bundles the page. Throws with what is wrong in its source. */
export async function bundleConsole(): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const { outputs, success, logs } = await Bun.build({
    entrypoints: [join(sourceFolder, 'main.tsx')],
    target: 'browser',
    minify: true,
    naming: '[name].[ext]',
    jsx: { runtime: 'automatic', importSource: 'preact', development: false },
    throw: false,
  })
  if (!success) throw new Error(`the console cannot be bundled: ${logs.join('; ')}`)
  const files = outputs.map(
    async (file) => [nameOf(file.path), new Uint8Array(await file.arrayBuffer())] as const,
  )
  return new Map(await Promise.all(files))
}

/** Returns the files, bundled again after a change of the source: reloading the page shows it. */
export function openConsole(): () => Promise<ConsoleFiles> {
  let known: { state: number; files: Promise<ConsoleFiles> } | undefined
  return () => {
    const state = existsSync(builtFolder) ? 0 : newestIn(sourceFolder)
    if (known?.state !== state) {
      const files = load()
      files.catch(() => {
        known = undefined
      })
      known = { state, files }
    }
    return known.files
  }
}

async function load(): Promise<ConsoleFiles> {
  const files = existsSync(builtFolder) ? readBuilt() : await bundleConsole()
  return new Map([...files].map(([name, body]) => [name, fileOf(name, body)]))
}

const readBuilt = () =>
  new Map(
    readdirSync(builtFolder).map((name) => [name, new Uint8Array(readFileSync(join(builtFolder, name)))]),
  )

function fileOf(name: string, body: Uint8Array<ArrayBuffer>): ConsoleFile {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
  return { body, gzip: Bun.gzipSync(body), etag, type: types[name.split('.').pop() ?? ''] ?? 'text/plain' }
}

const nameOf = (path: string): string => path.split('/').pop() ?? path

/** The time of the last change below a folder, in milliseconds. */
function newestIn(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return Math.max(...entries.map((entry) => statSync(join(folder, entry)).mtimeMs))
}
