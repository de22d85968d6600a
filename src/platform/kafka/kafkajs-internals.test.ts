import { expect, test } from 'bun:test'
import kafkajs from 'kafkajs/package.json'
import { files, imports, textOf } from '../../testing/rules/source'
import { instrument } from './kafkajs-internals'

test('the inner modules are of the version they were read in', async () => {
  // Another version: read the modules that kafkajs-internals.ts imports again, then change this line.
  expect(kafkajs.version).toBe('2.2.4')
  expect(() => instrument({} as never)).toThrow('is this kafkajs 2.2.4?')
})

test('nothing else reaches inside kafkajs', async () => {
  const inner = imports.filter(({ to }) => to.startsWith('kafkajs/src'))
  expect(new Set(inner.map(({ from }) => from))).toEqual(new Set(['platform/kafka/kafkajs-internals.ts']))
  expect(files).toContain('platform/kafka/kafkajs-internals.ts')
  expect(await textOf('platform/kafka/kafkajs-internals.ts')).toContain('kafkajs/src')
})
