import { expect, test } from 'bun:test'
import { join } from 'node:path'
import releases from './releases.json'

test('the releases of the changelog are there with their commits, the newest last', async () => {
  const changelog = await Bun.file(join(import.meta.dir, '../../../docs/changelog.md')).text()
  const released = [...changelog.matchAll(/^## (\d+\.\d+\.\d+), \d{4}-\d\d-\d\d$/gm)].map(
    ([, version]) => version,
  )
  expect(Object.keys(releases)).toEqual(released.reverse() as never)
  for (const commit of Object.values(releases)) expect(commit).toMatch(/^[0-9a-f]{40}$/)
})
