/** The metrics are documented, and named as Prometheus asks for. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { serviceNames } from '../config/config'
import { definitionsOf, writeMetricsDocs } from './metrics-docs'

test.each([...writeMetricsDocs()])('%s is up to date (npm run docs)', async (path, text) => {
  expect(await Bun.file(join(import.meta.dir, '../..', path)).text()).toBe(text)
})

test.each(serviceNames)('names of %s: our prefix, base units, _total for counters alone', (service) => {
  for (const { name, type, help } of definitionsOf(service)) {
    // Every client library has those of the process under the same names.
    expect(name).toMatch(/^(saldo|process)_[a-z]+(_[a-z]+)*$/)
    expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter'])
    expect(name).not.toMatch(/_(ms|milliseconds|minutes|kb|kilobytes|percent)(_|$)/)
    expect(help).not.toMatch(/["\\\n]/)
  }
  const names = definitionsOf(service).map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
})
