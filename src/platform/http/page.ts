/** Markdown as a self-contained page: no scripts, no fonts, no further requests. */
import { createHash } from 'node:crypto'

export type Page = { text: string; headers: Record<string, string> }

/**
 * The first line is the title. HTML in it is shown as text, but for line breaks and `<https://…>`. Links
 * lead where they say, so it is for text of ours. `adapt` changes the body: what it adds has to be allowed by
 * `alsoAllowed`.
 */
export function markdownPage(
  markdown: string,
  { adapt = (body) => body, alsoAllowed }: { adapt?: (body: string) => string; alsoAllowed?: string } = {},
): Page {
  const rendered = Bun.markdown.html(markdown, {
    headings: { ids: true },
    noHtmlBlocks: true,
    noHtmlSpans: true,
  })
  const body = adapt(
    rendered
      .replaceAll('&lt;br&gt;', '<br>')
      .replace(/&lt;(https?:\/\/[^\s&"<>]+)&gt;/g, '<a href="$1">$1</a>'),
  )
  const text = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${Bun.escapeHTML(titleOf(markdown))}</title>
<style>${style}</style>
<main>
${body.replace(/<table>[\s\S]*?<\/table>/g, '<div>$&</div>')}</main>
</html>
`
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': [policy, ...(alsoAllowed ? [alsoAllowed] : [])].join('; '),
  }
  return { text, headers }
}

export const titleOf = (markdown: string): string => /^# (.*)/.exec(markdown)?.[1] ?? ''

const style = `
:root { color-scheme: light dark; --soft: light-dark(#f4f5f3, #23272a); --line: light-dark(#dcdfda, #3a4044);
  --quiet: light-dark(#5b635d, #a4ada6); --link: light-dark(#0b6b4f, #6fd0ae) }
body { margin: 0; font: 16px/1.6 system-ui, sans-serif; color: light-dark(#1c211e, #e3e7e4);
  background: light-dark(#fff, #191c1e) }
main { max-width: 54rem; margin: 0 auto; padding: 2rem 1.25rem 5rem }
a { color: var(--link); text-underline-offset: .15em }
h1 { font-size: 2.25rem; line-height: 1.2; margin: .5rem 0 1rem }
h2 { font-size: 1.4rem; line-height: 1.3; margin: 3rem 0 .75rem; padding-top: 1.25rem;
  border-top: 1px solid var(--line) }
div { overflow-x: auto; margin: 1.25rem 0 }
table { border-collapse: collapse; width: 100%; min-width: 38rem; font-size: .9rem; line-height: 1.45 }
th { text-align: left; font-weight: 600; color: var(--quiet); white-space: nowrap }
th, td { padding: .45rem .9rem .45rem 0; vertical-align: top; border-bottom: 1px solid var(--line) }
code, pre { font: .86em/1.55 ui-monospace, 'SF Mono', Menlo, Consolas, monospace }
:not(pre) > code { background: var(--soft); border-radius: 4px; padding: .12em .35em }
pre { background: var(--soft); border-radius: 8px; padding: 1rem 1.25rem; overflow-x: auto }
li { margin: .3rem 0 }
img { max-width: 100%; height: auto; background: #fff; border-radius: 8px }
`

/** Allows this style and nothing else. */
const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
].join('; ')
