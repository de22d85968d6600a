/**
 * `docs/events.md` and `docs/events/*.json`, from the definitions of the events. The schemas on disk are
 * the released ones.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeEvents } from '../contract/docs/markdown'
import { type EventDefinition, upcast } from '../contract/events/define-event'
import { events } from '../contract/events/events'
import { breaks, type JsonSchema } from './breaks'

const root = join(import.meta.dir, '../..')
const schemas = 'docs/events'

/** Expected content by path within the repository. */
export function writeEventDocs(): Map<string, string> {
  const ofEvents = Object.values(events).map((event) => {
    const path = `${schemas}/${event.name}.v${event.version}.json`
    return [path, `${JSON.stringify(schemaOf(event), null, 2)}\n`] as const
  })
  return new Map([
    ['docs/events.md', describeEvents({ topicPrefix: '', asyncApi: '`/asyncapi.json`' })],
    ...ofEvents,
  ])
}

/** The payload as a self-contained JSON Schema. */
function schemaOf({ name, version, type, description, payload, example }: EventDefinition): JsonSchema {
  const head = { $schema: 'http://json-schema.org/draft-07/schema#', $id: `urn:${type.replaceAll('.', ':')}` }
  const schema = {
    ...head,
    title: `${name}, version ${version}`,
    description,
    ...payload,
    examples: [example],
  }
  // Drops the symbols that TypeBox adds.
  return JSON.parse(JSON.stringify(schema))
}

/** Breaking changes against the released schemas, each with its file. */
export function brokenPromises(definitions: Readonly<Record<string, unknown>> = events): string[] {
  return readdirSync(join(root, schemas)).flatMap((file) => {
    const [, name = '', major] = /^(\w+)\.v(\d+)\.json$/.exec(file) ?? []
    const definition = definitions[name] as EventDefinition | undefined
    const released = JSON.parse(readFileSync(join(root, schemas, file), 'utf8'))
    return (definition ? changes(definition, released, Number(major)) : ['the event is gone']).map(
      (change) => `${schemas}/${file}: ${change}`,
    )
  })
}

function changes(definition: EventDefinition, released: { examples: [never] }, major: number): string[] {
  if (major === definition.version) return breaks(released, schemaOf(definition))
  const payload = upcast(definition, released.examples[0], major)
  if (payload && definition.check.Check(payload)) return []
  return [`no upcast makes its example one of version ${definition.version}`]
}
