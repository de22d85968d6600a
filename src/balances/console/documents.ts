/** The documents of the repository as pages: those of its folder `docs`, and no other file. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { markdownPage, type Page, titleOf } from '../../platform/http/page'

/** Undefined: there is no such document. `isInstalled`: there are any. */
export type Documents = {
  isInstalled: boolean
  list(): { name: string; title: string }[]
  find(name: string): Page | undefined
}

/** What a path may name. Nothing else is compared with the names of files. */
const names = /^([a-z0-9-]+)(\.md|\.svg)$/

/** Reads the names of the files once. A folder that is not there has no documents. */
export function openDocuments(folder: string): Documents {
  const files = new Set(namesIn(folder).filter((name) => names.test(name)))
  const written = new Map<string, Page>()
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8')
  const writePage = (name: string): Page | undefined => {
    if (files.has(`${name}.md`))
      return markdownPage(read(`${name}.md`), {
        adapt: (body) => withServedLinks(body, files),
        alsoAllowed: "img-src 'self'",
      })
    return name.endsWith('.svg') && files.has(name) ? image(read(name)) : undefined
  }
  return {
    isInstalled: files.size > 0,
    list: () =>
      [...files]
        .filter((file) => file.endsWith('.md'))
        .sort()
        .map((file) => ({ name: file.slice(0, -3), title: titleOf(read(file)) })),
    find(name) {
      const page = written.get(name) ?? writePage(name)
      if (page) written.set(name, page)
      return page
    },
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** Allows its own style and nothing else, also where it is opened by itself. */
function image(svg: string): Page {
  const styles = [...svg.matchAll(/<style>([\s\S]*?)<\/style>/g)].map(
    ([, style = '']) => `'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  )
  const styleSource = styles.length > 0 ? styles.join(' ') : "'none'"
  return {
    text: svg,
    headers: {
      'content-type': 'image/svg+xml',
      'content-security-policy': `default-src 'none'; style-src ${styleSource}; frame-ancestors 'none'`,
    },
  }
}

/**
 * Links between documents, and their images, lead to the addresses at which they are served. A link to
 * anything else of the repository becomes its text, and such an image what is said about it.
 */
export const withServedLinks = (html: string, files: ReadonlySet<string>): string =>
  html
    .replace(/<a href="([^"]*)"[^>]*>([\s\S]*?)<\/a>/g, (whole, href: string, text: string) => {
      if (/^(https?:|mailto:)/.test(href)) return whole
      const [path = '', anchor] = href.split('#')
      const hash = anchor === undefined ? '' : `#${anchor.toLowerCase().replace(/[^a-z0-9-]/g, '')}`
      if (path === '') return `<a href="${hash}">${text}</a>`
      const name = /^([a-z0-9-]+)\.md$/.exec(path)?.[1]
      return name && files.has(path) ? `<a href="/docs/${name}${hash}">${text}</a>` : text
    })
    .replace(/<img src="([^"]*)" alt="([^"]*)"[^>]*>/g, (_, src: string, alt: string) =>
      /\.svg$/.test(src) && files.has(src) ? `<img src="/docs/${src}" alt="${alt}">` : alt,
    )
