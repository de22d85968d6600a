/** The source as the rules see it: files and their imports, read as text, because types count too. */
import { dirname, join, relative, resolve } from 'node:path'

export const root = join(import.meta.dir, '../../..')
const source = join(root, 'src')

/** Paths within `src`. */
export const files = [...new Bun.Glob('**/*.{ts,tsx,cjs}').scanSync(source)].sort()
export const isTest = (file: string): boolean => /\.test\.ts$/.test(file)

export const textOf = (file: string): Promise<string> => Bun.file(join(source, file)).text()

/** `to` is a path within `src`, or the name of a package. */
export type Import = { from: string; to: string; typesOnly: boolean }

const pattern =
  /^(?:import|export)\s+(type\s)?[^'"]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/gm

async function importsOf(from: string): Promise<Import[]> {
  return [...(await textOf(from)).matchAll(pattern)].map(([, type, target = '', dynamic = '']) => ({
    from,
    to: fileOf(from, target || dynamic),
    typesOnly: Boolean(type),
  }))
}

function fileOf(from: string, target: string): string {
  if (!target.startsWith('.')) return target
  const path = relative(source, resolve(source, dirname(from), target))
  return /\.(c?ts|tsx|cjs|json|lock|css)$/.test(path) ? path : `${path}.ts`
}

export const imports = (await Promise.all(files.map(importsOf))).flat()

/** `from` and `to`, as a failed rule shows them. */
export const show = ({ from, to }: Import): string => `${from} -> ${to}`
