/**
 * Writes what is derived from the code (`npm run docs`): the OpenAPI documents, `docs/errors.md`,
 * `docs/events.md`, the schemas of the events, and the types of the client. Tests fail when they differ. An
 * incompatible event does not overwrite its released schema.
 */
import { join } from 'node:path'
import { optionsOrExit } from '../platform/process/options.ts'
import { writeApiDocs } from './api-docs'
import { writeClientTypes } from './client-types'
import { brokenPromises, writeEventDocs } from './event-docs'

optionsOrExit(
  'Usage: npm run docs\n  Writes docs/{openapi,errors.md,events.md,events}, src/client/{types,operations}.ts.',
  {},
)
const broken = brokenPromises()
if (broken.length > 0) {
  console.error(broken.join('\n'))
  console.error('Inside a major version only optional fields may be added: see docs/contributing.md.')
  process.exit(1)
}
for (const [path, text] of [...writeApiDocs(), ...writeEventDocs(), ...writeClientTypes()]) {
  await Bun.write(join(import.meta.dir, '../..', path), text)
  console.log(`wrote ${path}`)
}
