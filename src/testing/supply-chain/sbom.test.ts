/** The bills of materials are valid, complete, and the same for the same source. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Schema, Validator } from '@cfworker/json-schema'
import packageJson from '../../../package.json'
import { findPostgresBinaries } from '../../local/postgres/binaries'
import { installedLicenses } from './licenses'
import { ofImage, ofLaptop, packagesOf } from './lock'
import { sboms } from './sbom'

type Component = {
  'bom-ref': string
  name: string
  version: string
  purl?: string
  licenses?: object[]
  hashes?: { content: string }[]
  pedigree?: object
  components?: Component[]
}
type Sbom = {
  metadata: { component: Component; timestamp?: string }
  components: Component[]
  dependencies: { ref: string; dependsOn: string[] }[]
}
const read = (sourceDateEpoch?: string): Sbom[] =>
  [...sboms(sourceDateEpoch).values()].map((text) => JSON.parse(text))
const [image, laptop] = read() as [Sbom, Sbom]

// The published schemas, as the library of CycloneDX carries them.
const library = join(import.meta.dir, '../../../node_modules/@cyclonedx/cyclonedx-library')
const schema = (name: string): Schema =>
  JSON.parse(readFileSync(join(library, 'res/schema', `${name}.SNAPSHOT.schema.json`), 'utf8'))
const validator = new Validator(schema('bom-1.6'), '7', false)
for (const name of ['spdx', 'jsf-0.82'])
  validator.addSchema(schema(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`)

test.each([
  ['image', image],
  ['laptop', laptop],
  ['image with a time', read('1700000000')[0]],
])('%s: valid by the schema of CycloneDX 1.6', (_, sbom) => {
  expect(validator.validate(sbom).errors).toEqual([])
})

test('the schema rejects a hash that is too short, an unknown licence and a field of its own', () => {
  const [first, ...rest] = image.components
  for (const wrong of [
    { hashes: [{ alg: 'SHA-512', content: 'abc' }] },
    { licenses: [{ license: { id: 'Our-own' } }] },
    { invented: true },
  ])
    expect(validator.validate({ ...image, components: [{ ...first, ...wrong }, ...rest] }).valid).toBe(false)
})

test.each([
  ['image', image, packagesOf(ofImage)],
  ['laptop', laptop, packagesOf(ofLaptop, (id) => installedLicenses().has(id))],
])(
  '%s: every package of the lock file, with hash and licence, and Bun',
  (_, { components }, { packages }) => {
    const listed = components.filter(({ hashes }) => hashes)
    expect(listed.map(({ hashes }) => hashes?.[0]?.content)).toEqual(packages.map(({ sha512 }) => sha512))
    expect(listed.map(({ purl = '' }) => decodeURIComponent(purl))).toEqual(
      packages.map(({ id }) => `pkg:npm/${id}`),
    )
    expect(listed.filter(({ licenses }) => licenses?.length !== 1)).toEqual([])
    expect(components.map(({ purl }) => purl)).toContain(`pkg:npm/bun@${packageJson.engines.bun}`)
  },
)

test('everything is reached from the top, and nothing else is referred to', () => {
  for (const { metadata, components, dependencies } of [image, laptop]) {
    const refs = [metadata.component, ...components].map((component) => component['bom-ref'])
    expect(dependencies.map(({ ref }) => ref)).toEqual(refs)
    const reached = new Set([metadata.component['bom-ref']])
    for (const ref of reached)
      for (const next of dependencies.find((edge) => edge.ref === ref)?.dependsOn ?? []) reached.add(next)
    expect([...reached].sort()).toEqual(refs.sort())
  }
})

test('two versions of a package are two components, each with its dependents', () => {
  const dependents = (ref: string) =>
    image.dependencies
      .filter(({ dependsOn }) => dependsOn.includes(ref))
      .map((edge) => edge.ref.split('@')[0])
  expect(dependents('sonic-boom@4.2.1')).toEqual(['pino'])
  expect(dependents('sonic-boom@5.0.2')).toEqual(['pino-pretty'])
})

test('patches are named', () => {
  const patched = image.components.filter(({ pedigree }) => pedigree)
  expect(patched.map(({ name, version }) => `${name}@${version}`)).toEqual(
    Object.keys(packageJson.patchedDependencies),
  )
})

test('the laptop has PostgreSQL, with the version that it says of itself, and the image has none', () => {
  const nested = laptop.components.flatMap(({ components = [] }) => components)
  const said = Bun.spawnSync([findPostgresBinaries().postgres, '--version']).stdout.toString().trim()
  expect(nested.map(({ version }) => `postgres (PostgreSQL) ${version}`)).toEqual([said])
  expect(JSON.stringify(image)).not.toContain('postgresql')
})

test('the same source gives the same bytes; the time is the one that was given', () => {
  expect([...sboms()]).toEqual([...sboms()])
  expect(image.metadata.timestamp).toBeUndefined()
  expect(read('1700000000').map(({ metadata }) => metadata.timestamp)).toEqual([
    '2023-11-14T22:13:20Z',
    '2023-11-14T22:13:20Z',
  ])
  expect(() => sboms('yesterday')).toThrow('SOURCE_DATE_EPOCH is "yesterday"')
})
