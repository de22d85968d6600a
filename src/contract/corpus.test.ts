/**
 * Every form of event that was ever released, ours and other people's, as recorded files. They are never changed: what was readable once is
 * readable for ever, and comes to the same. A new form is a new file.
 */
import { expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { decodeRecord } from './envelope'
import { events } from './events'

const folder = join(import.meta.dir, 'corpus')
const names = readdirSync(folder)
const read = (name: string) => Bun.file(join(folder, name)).json()

test.each(names)('%s is read as it was recorded', async (name) => {
  const { value, headers, decoded } = await read(name)
  expect(decodeRecord({ value: Buffer.from(value), headers })).toEqual(decoded)
})

test('every event is in the corpus', async () => {
  const recorded = await Promise.all(names.map(read))
  const told = new Set(recorded.map(({ decoded }) => decoded.event?.name))
  expect(Object.keys(events).filter((name) => !told.has(name))).toEqual([])
})
