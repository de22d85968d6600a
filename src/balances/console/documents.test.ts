import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDocuments, withServedLinks } from './documents'

const files = new Set(['concepts.md', 'http.md', 'flow.svg'])

test.each([
  ['<a href="concepts.md">c</a>', '<a href="/docs/concepts">c</a>'],
  ['<a href="concepts.md#some-part" title="t">c</a>', '<a href="/docs/concepts#some-part">c</a>'],
  // As the page names headings.
  ['<a href="http.md#previews-dry_run">p</a>', '<a href="/docs/http#previews-dryrun">p</a>'],
  ['<a href="#some-part">s</a>', '<a href="#some-part">s</a>'],
  ['<a href="https://example.org/x.md#y">e</a>', '<a href="https://example.org/x.md#y">e</a>'],
  ['<a href="missing.md">m</a>', 'm'],
  ['<a href="decisions/0001-x.md">decision 1</a>', 'decision 1'],
  ['<a href="../src/wallet"><code>src/wallet</code></a>', '<code>src/wallet</code>'],
  ['<a href="javascript:alert(1)">x</a>', 'x'],
  ['<a href="//example.org/concepts.md">x</a>', 'x'],
  ['<a href="a.md">a</a> and <a href="http.md">h</a>', 'a and <a href="/docs/http">h</a>'],
  ['<img src="flow.svg" alt="A flow" />', '<img src="/docs/flow.svg" alt="A flow">'],
  ['<img src="screen.png" alt="A screen" />', 'A screen'],
  ['<img src="https://example.org/a.svg" alt="Elsewhere" />', 'Elsewhere'],
])('%s becomes %s', (html, expected) => {
  expect(withServedLinks(html, files)).toBe(expected)
})

const documents = openDocuments(join(import.meta.dir, '../../../docs'))

test.each([
  '..',
  '../package.json',
  '../docs/concepts',
  'concepts.md',
  'decisions',
  'decisions/0001-append-in-one-statement',
  'openapi/balances.json',
  '/etc/passwd',
  'concepts\0',
  '',
  'CONCEPTS',
  'toString',
])('%p is no document', (name) => {
  expect(documents.find(name)).toBeUndefined()
})

test('without the folder there are no documents', () => {
  const { isInstalled, list, find } = openDocuments(join(tmpdir(), 'saldo-no-such-folder'))
  expect([isInstalled, list(), find('concepts')]).toEqual([false, [], undefined])
})

test('every link and image of every document leads to a page, a heading or an image that is served', () => {
  const targets = new Map(
    documents.list().map(({ name }) => {
      const html = documents.find(name)?.text ?? ''
      return [name, { html, ids: [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id) }]
    }),
  )
  expect(targets.size).toBeGreaterThan(25)
  const broken: string[] = []
  let count = 0
  for (const [name, { html }] of targets) {
    for (const [, href = ''] of html.matchAll(/ href="([^"]*)"/g)) {
      count++
      if (/^https?:/.test(href)) continue
      const [, path, anchor] = /^(?:\/docs\/([a-z0-9-]+))?(?:#(.+))?$/.exec(href) ?? []
      const target = targets.get(path ?? name)
      if (!target || (anchor && !target.ids.includes(anchor))) broken.push(`${name}: ${href}`)
    }
    for (const [, src = ''] of html.matchAll(/ src="([^"]*)"/g))
      if (!documents.find(src.replace('/docs/', ''))) broken.push(`${name}: ${src}`)
  }
  expect(broken).toEqual([])
  expect(count).toBeGreaterThan(200)
})

test('HTML in a document is shown and never run; images are allowed no script', () => {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-docs-'))
  try {
    writeFileSync(
      join(folder, 'evil.md'),
      '# A <b>title</b>\n\n<script>1</script>\n\n<img src=x onerror=alert(2)> [x](javascript:alert(3))\n',
    )
    writeFileSync(join(folder, 'a.svg'), '<svg><style>text { fill: red }</style></svg>')
    const { find } = openDocuments(folder)
    const { text = '', headers = {} } = find('evil') ?? {}
    expect(text).toContain('<title>A &lt;b&gt;title&lt;/b&gt;</title>')
    expect(text).toContain('&lt;script&gt;1&lt;/script&gt;')
    expect(text).not.toMatch(/<(script|img|b)\b|href="javascript/)
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; .*; img-src 'self'$/)
    expect(headers['content-security-policy']).not.toContain('unsafe')
    expect(find('a.svg')?.headers).toEqual({
      'content-type': 'image/svg+xml',
      'content-security-policy': expect.stringMatching(
        /^default-src 'none'; style-src 'sha256-[^']+'; frame-ancestors 'none'$/,
      ),
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
