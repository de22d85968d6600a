/**
 * Every form of event that was ever released, by us and by others, as recorded files. They never
 * change: what was readable once stays readable, with the same result. A new form is a new file.
 */
import { expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { headersOf } from '../testing/headers'
import { events } from './events/events'
import { decodeRecord } from './wire/envelope'

const folder = join(import.meta.dir, 'corpus')
const names = readdirSync(folder)
const read = (name: string) => Bun.file(join(folder, name)).json()

test.each(names)('%s is read as it was recorded', async (name) => {
  const { value, headers, decoded } = await read(name)
  expect(decodeRecord({ value: Buffer.from(value), headers: headersOf(headers ?? {}) })).toEqual(decoded)
})

test('every event and each of its fields is in the corpus: a new one comes with a new file', async () => {
  const recorded = await Promise.all(names.map(read))
  const recordedFields = new Set(
    recorded.flatMap(({ decoded: { event } }) =>
      Object.keys(event?.payload ?? {}).map((field) => `${event.name}.${field}`),
    ),
  )
  const fields = Object.values(events).flatMap(({ name, payload }) =>
    Object.keys(payload.properties).map((field) => `${name}.${field}`),
  )
  expect(fields.filter((field) => !recordedFields.has(field))).toEqual([])
})
