/** Links of the documentation resolve: files, folders, headings. */
import { expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = join(import.meta.dir, '../../..')
const pages = ['README.md', 'README.pt-BR.md', 'SECURITY.md', ...new Bun.Glob('docs/**/*.md').scanSync(root)]
const textOf = (file: string) => Bun.file(file).text()

/** As GitHub names a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-')

const anchorsOf = async (file: string) =>
  [...(await textOf(file)).replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.+)$/gm)].map(
    ([, heading = '']) => anchorOf(heading),
  )

test.each(pages)('every link of %s leads somewhere', async (page) => {
  const broken: string[] = []
  for (const [, link = ''] of (await textOf(join(root, page))).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue
    const [path = '', anchor] = link.split('#')
    const file = path === '' ? join(root, page) : join(root, dirname(page), path)
    const isThere = existsSync(file) && (anchor === undefined || (await anchorsOf(file)).includes(anchor))
    if (!isThere) broken.push(link)
  }
  expect(broken).toEqual([])
})

test('tests that the concepts mention exist', async () => {
  const named = [
    ...(await textOf(join(root, 'docs/concepts.md'))).matchAll(/npm test -- (\S+)(?: -t '(.+?)')?/g),
  ]
  expect(named.length).toBeGreaterThan(9)
  for (const [, file = '', name = ''] of named) expect(await textOf(join(root, file))).toContain(name)
})
