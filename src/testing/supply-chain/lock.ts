/** The packages of `bun.lock`: what each is, its hash, and what it depends on. */
import lock from '../../../bun.lock'

export type Package = {
  /** `name@version`, unique. */
  id: string
  name: string
  version: string
  sha512: string
  /** Ids. */
  dependsOn: string[]
}

export type Kind = 'dependencies' | 'optionalDependencies' | 'peerDependencies'

/** As the Dockerfile installs: production packages, neither optional ones nor peers. */
export const ofImage: readonly Kind[] = ['dependencies']
/** As `npm start` installs. */
export const ofLaptop: readonly Kind[] = ['dependencies', 'optionalDependencies', 'peerDependencies']

/**
 * What the root needs, directly or not, by dependencies of these kinds, sorted by id. `isPresent` leaves out
 * packages for other platforms.
 */
export function packagesOf(
  kinds: readonly Kind[],
  isPresent: (id: string) => boolean = () => true,
): { direct: string[]; packages: Package[] } {
  const found = new Map<string, Package>()
  const seen = new Set<string>()
  const idsAt = (keys: string[]) => [...new Set(keys.map((key) => parse(key).id))].filter(isPresent).sort()

  const visit = (key: string) => {
    if (seen.has(key)) return
    seen.add(key)
    const { id, name, version, sha512, needs } = parse(key)
    if (!isPresent(id)) return
    const keys = kinds.flatMap((kind) => resolveAll(key, needs[kind]))
    const known = found.get(id)?.dependsOn ?? []
    const dependsOn = [...new Set([...known, ...idsAt(keys)])].sort()
    found.set(id, { id, name, version, sha512, dependsOn })
    keys.forEach(visit)
  }

  const roots = kinds.flatMap((kind) => resolveAll('', lock.workspaces['']?.[kind]))
  roots.forEach(visit)
  return { direct: idsAt(roots), packages: [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1)) }
}

type Needs = Partial<Record<Kind, Record<string, string>>>

/** Throws for what is not from the registry: such a package has no hash to check. */
function parse(key: string): Omit<Package, 'dependsOn'> & { needs: Needs } {
  const [id = '', , needs, integrity] = lock.packages[key] ?? []
  const [, name, version] = /^(.+)@([^@:]+)$/.exec(id) ?? []
  const [, base64] = /^sha512-(.+)$/.exec(integrity ?? '') ?? []
  if (!name || !version || !base64)
    throw new Error(`bun.lock: ${key} (${id}) has no SHA-512. Take packages from the registry only.`)
  return { id, name, version, sha512: Buffer.from(base64, 'base64').toString('hex'), needs: needs as Needs }
}

/** Keys of the lock file. Optional peers may be missing from it. */
const resolveAll = (from: string, names: Record<string, string> = {}): string[] =>
  Object.keys(names).flatMap((name) => resolve(from, name) ?? [])

/** As Node.js looks for modules: nested in the package itself, then in each package around it. */
function resolve(from: string, name: string): string | undefined {
  const key = from ? `${from}/${name}` : name
  if (key in lock.packages) return key
  return from ? resolve(from.replace(/(^|\/)(@[^/]+\/)?[^/]+$/, ''), name) : undefined
}
