/** The generated files of the client match the route tables. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { writeClientTypes } from './client-types'

test.each([...writeClientTypes()])('%s is up to date (npm run docs)', async (path, text) => {
  expect(await Bun.file(join(import.meta.dir, '../..', path)).text()).toBe(text)
})
