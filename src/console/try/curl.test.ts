/** Commands are read by a real shell: what it makes of them is what was meant. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { curlOf, quoted } from './curl.ts'

/** The words that `/bin/sh` makes of a command line. */
function wordsOf(line: string): string[] {
  const script = `curl() { printf '%s\\0' "$@"; }\n${line}`
  const { stdout, stderr, exitCode } = Bun.spawnSync(['/bin/sh', '-c', script], {
    env: { SALDO_KEY: 'saldo_secret', HOME: '/root', IFS: ' ' },
  })
  expect([exitCode, stderr.toString()]).toEqual([0, ''])
  return stdout.toString().split('\0').slice(0, -1)
}

test.each([
  ['plain', 'plain'],
  ['http://localhost:8080/a', 'http://localhost:8080/a'],
  ['', "''"],
  ["it's", "'it'\\''s'"],
  ['$(id)', "'$(id)'"],
  ['a b', "'a b'"],
  ['~', "'~'"],
  ['ä', "'ä'"],
  ["'; rm -rf / #", "''\\''; rm -rf / #'"],
])('%p is quoted as %p', (word, expected) => {
  expect(quoted(word)).toBe(expected)
})

test('a command has one option a line, the key as a variable, and no globs', () => {
  const request = {
    url: 'http://localhost:8080/transactions',
    method: 'POST',
    headers: { 'idempotency-key': '"one"' },
    body: { account_id_from: "o'hara", amount: '10.25' },
  } as const
  expect(curlOf({ ...request, keyVariable: 'WALLET_KEY' })).toBe(
    `curl http://localhost:8080/transactions \\
  -H "authorization: Bearer $WALLET_KEY" \\
  -H 'idempotency-key: "one"' \\
  -H 'content-type: application/json' \\
  -d '{"account_id_from":"o'\\''hara","amount":"10.25"}'`,
  )
  expect(curlOf({ url: 'http://[::1]:3003/rebuild', method: 'POST' })).toBe(
    "curl -g -X POST 'http://[::1]:3003/rebuild'",
  )
  expect(curlOf({ url: 'http://localhost:3003/rebuild', method: 'GET' })).toBe(
    'curl http://localhost:3003/rebuild',
  )
})

/** Everything that a shell may take for something else, often, and any other text. No shell has a NUL. */
const text = fc.oneof(
  fc.string({
    unit: fc.constantFrom("'", '"', '\\', '$', '`', ' ', '\n', ';', '!', '*', '~', '#', '(', '&', 'a'),
  }),
  fc.string({ unit: 'grapheme' }).map((one) => one.replaceAll('\0', '')),
)

test('no input breaks out of the quotes', () => {
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 8 }), (words) => {
      expect(wordsOf(`curl ${words.map(quoted).join(' ')}`)).toEqual(words)
    }),
    { numRuns: 60 },
  )
})

test('a shell reads of a command the request that it stands for', () => {
  fc.assert(
    fc.property(text, text, text, (id, reference, header) => {
      const body = { account_id_from: id, reference }
      const url = `http://localhost:8080/holds/${encodeURIComponent(id)}/capture`
      const value = header.replaceAll('\n', ' ')
      const [first, ...words] = wordsOf(
        curlOf({ url, method: 'POST', headers: { 'x-test': value }, body, keyVariable: 'SALDO_KEY' }),
      )
      expect(first).toBe(url)
      expect(words).toEqual([
        ...['-H', 'authorization: Bearer saldo_secret', '-H', `x-test: ${value}`],
        ...['-H', 'content-type: application/json', '-d', JSON.stringify(body)],
      ])
    }),
    { numRuns: 60 },
  )
})
