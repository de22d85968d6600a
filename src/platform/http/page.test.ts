import { expect, test } from 'bun:test'
import { markdownPage } from './page'

test('Markdown becomes a page with title, anchors and tables, without further requests', () => {
  const page = markdownPage(
    '# All of it\n\n[There](#some-part)\n\n## Some part\n\n| a | b |\n| - | - |\n| `x` | 2 < 3 |\n',
  )
  const { text: html, headers } = page
  expect(headers['content-type']).toBe('text/html; charset=utf-8')
  expect(headers['content-security-policy']).toStartWith("default-src 'none'")
  expect(html).toContain('<title>All of it</title>')
  expect(html).toContain('<h2 id="some-part">Some part</h2>')
  expect(html).toContain('<td>2 &lt; 3</td>')
  expect(headers['content-security-policy']).not.toContain('unsafe')
  expect(html).not.toMatch(/<script|<link|<img|@import|url\(/)
})
