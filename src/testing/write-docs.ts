/**
 * Writes what is derived from the code (`npm run docs`): the OpenAPI documents, `docs/errors.md`,
 * `docs/cli.md`, `docs/metrics.md`, `docs/events.md`, the schemas of the events, and the types of the
 * client. Tests fail when they differ. An incompatible event does not overwrite its released schema. At a
 * release, `--release` keeps the OpenAPI documents, and later ones have to be compatible with them.
 */
import { join } from 'node:path'
import { optionsOrExit } from '../platform/process/options.ts'
import { writeApiDocs, writeReleased } from './api-docs'
import { writeCliDocs } from './cli-docs'
import { writeClientTypes } from './client-types'
import { brokenPromises, writeEventDocs } from './event-docs'
import { writeMetricsDocs } from './metrics-docs'

const usage = `Usage: npm run docs [-- --release]
  Writes docs/openapi, docs/{errors,cli,metrics,events}.md, docs/events,
  and src/client/{types,operations}.ts.
  --release  also keeps the OpenAPI documents as those of the version in package.json`
const { release } = optionsOrExit(usage, { release: { type: 'boolean', default: false } })
const broken = brokenPromises()
if (broken.length > 0) {
  console.error(broken.join('\n'))
  console.error('Inside a major version only optional fields may be added: see docs/contributing.md.')
  process.exit(1)
}
const derived = [
  ...writeApiDocs(),
  ...writeEventDocs(),
  ...writeMetricsDocs(),
  ...writeClientTypes(),
  ...(await writeCliDocs()),
]
for (const [path, text] of [...derived, ...(release ? writeReleased() : [])]) {
  await Bun.write(join(import.meta.dir, '../..', path), text)
  console.log(`wrote ${path}`)
}
