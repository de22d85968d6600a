import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { version } from '../../../package.json'
import releases from './releases.json'

// A commit cannot name itself: the version in package.json is added with the next one.
test('the releases before this version are there with their commits, the newest last', async () => {
  const changelog = await Bun.file(join(import.meta.dir, '../../../docs/changelog.md')).text()
  const released = [...changelog.matchAll(/^## (\d+\.\d+\.\d+), \d{4}-\d\d-\d\d$/gm)].map(
    ([, version]) => version,
  )
  const before = released.filter((one) => one !== version).reverse()
  expect(Object.keys(releases)).toEqual(before as never)
  for (const commit of Object.values(releases)) expect(commit).toMatch(/^[0-9a-f]{40}$/)
})
