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

test.each([
  ['a<br>b', '<p>a<br>b</p>'],
  [
    'at <http://localhost:3003/x> it',
    '<p>at <a href="http://localhost:3003/x">http://localhost:3003/x</a> it</p>',
  ],
  ['<https://a"onclick="b>', '<p>&lt;https://a&quot;onclick=&quot;b&gt;</p>'],
  ['<javascript:alert(1)>', '<p>&lt;javascript:alert(1)&gt;</p>'],
  ['<b onclick="x()">b</b>', '<p>&lt;b onclick=&quot;x()&quot;&gt;b&lt;/b&gt;</p>'],
])('of HTML only line breaks and addresses are kept: %s', (markdown, html) => {
  expect(markdownPage(`# A\n\n${markdown}\n`).text).toContain(html)
})
