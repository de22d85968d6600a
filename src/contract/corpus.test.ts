/**
 * Every form of event that was ever released, ours and other people's, as recorded files. They are
 * never changed: what was readable once is readable for ever, and comes to the same. A new form is
 * a new file.
 */
import { expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { events } from './events/events'
import { decodeRecord } from './wire/envelope'

const folder = join(import.meta.dir, 'corpus')
const names = readdirSync(folder)
const read = (name: string) => Bun.file(join(folder, name)).json()

test.each(names)('%s is read as it was recorded', async (name) => {
  const { value, headers, decoded } = await read(name)
  expect(decodeRecord({ value: Buffer.from(value), headers })).toEqual(decoded)
})

test('every event is in the corpus, and every field of it: a new one comes with a new file', async () => {
  const recorded = await Promise.all(names.map(read))
  const told = new Set(
    recorded.flatMap(({ decoded: { event } }) =>
      Object.keys(event?.payload ?? {}).map((field) => `${event.name}.${field}`),
    ),
  )
  const fields = Object.values(events).flatMap(({ name, payload }) =>
    Object.keys(payload.properties).map((field) => `${name}.${field}`),
  )
  expect(fields.filter((field) => !told.has(field))).toEqual([])
})
