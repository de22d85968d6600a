/** How the source and the documents are written: lines that fit a window, words of the field. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { files, root, textOf } from './source'

/** Columns. The formatter keeps code to it; this keeps comments, strings and SQL to it, too. */
const columnsMax = 110

test(`no line is wider than ${columnsMax} columns`, async () => {
  const wide: string[] = []
  for (const file of files) {
    const lines = (await textOf(file)).split('\n')
    for (const [index, line] of lines.entries())
      if (line.length > columnsMax) wide.push(`${file}:${index + 1}: ${line.length}`)
  }
  expect(wide).toEqual([])
})

/**
 * Words for which the field has a better term, and that term; `docs/contributing.md` has the glossary.
 * Decision records are history and keep their words.
 */
const dialect: [RegExp, string][] = [
  [/\btold\b|\btells? (of|again)\b/i, 'publish, receive, carry, or what it holds: event, version, row'],
  [/\bkept aside\b|\bkeeps? aside\b/i, 'dead-lettered, dead letter'],
  [/\banew\b/i, 'again, restart, recreate'],
  [/\bwho(so)?ever\b/i, 'the caller, a reader, any process'],
  [/\bwhatever\b/i, 'name the thing, or say any'],
  [/(?<!['"])\bnobody\b(?!['"])/i, 'no caller, no process, nothing'],
  [/\bfor him who\b/i, 'for the owner'],
  [/\b(hears?|heard) of\b/i, 'receives, is notified of'],
  [/\bsays (no|otherwise)\b/i, 'rejects, differs'],
  [/\bon its way\b/i, 'in flight'],
  [/\blet go\b/i, 'disconnected, released'],
  [/\bin a circle\b/i, 'deadlock'],
  [/\bhas its say\b|\bon the \w+'s mind\b/i, 'software does not speak or think'],
  [/\bdealt to\b/i, 'assigned to'],
  [/\bmade again\b|\bmakes? .{1,30} again\b/i, 'rebuild'],
  [/\bforesight\b|\bforeseen/i, 'optimistic state'],
  [/\bannounce(s|d)?\b/i, 'emit, toEvents'],
]

const texts = async (): Promise<[string, string][]> => {
  const documents = [...new Bun.Glob('{*.md,*.http,compose.yaml,Dockerfile,docs/*.md}').scanSync(root)]
  const sources = files.filter((file) => file !== 'testing/rules/text.test.ts').map((file) => `src/${file}`)
  return Promise.all(
    [...documents, ...sources].map(
      async (path): Promise<[string, string]> => [path, await Bun.file(join(root, path)).text()],
    ),
  )
}

test('texts use the words of the field', async () => {
  const found: string[] = []
  for (const [path, text] of await texts())
    for (const [index, line] of text.split('\n').entries())
      for (const [word, instead] of dialect) {
        const match = word.exec(line)
        if (match) found.push(`${path}:${index + 1}: "${match[0]}": ${instead}`)
      }
  expect(found).toEqual([])
})
