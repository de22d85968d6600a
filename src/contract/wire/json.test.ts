import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { depthMax, membersMax, parseJson, parseRoundedJson, RefusedJson, UnfaithfulJson } from './json'

test.each([
  ['{"amount":999.5}', { amount: 999.5 }],
  [
    '[1e2,-0.25,1000000000000000000000,1E+2,5e-324,100000000000000000000e-18,0e999,-0,-0.0e-5]',
    expect.anything(),
  ],
  ['[1e2,-0.25,1000000000000000000000]', [100, -0.25, 1e21]],
  ['[1.5000000000000000000]', [1.5]],
  ['"1234567890123456789"', '1234567890123456789'],
  ['"1e400 [[[[ {"', '1e400 [[[[ {'],
  ['{"id":"018d4be9-e038-7c95-a45a-035264d50b14","at":"2024-01-27T17:13:55.000Z"}', expect.anything()],
  ['{"a":{"a":1},"b":[{"a":1},{"a":2}],"A":3}', { a: { a: 1 }, b: [{ a: 1 }, { a: 2 }], A: 3 }],
  ['["\\ud83d\\ude00","\\\\ud83d","a\\"b","\\\\"]', ['😀', '\\ud83d', 'a"b', '\\']],
] as const)('%s is read as it stands', (text, value) => {
  expect(parseJson(text)).toEqual(value)
})

test.each([
  ['1.00000000000000001', '#'],
  ['{"amount":12345678901234567890}', '#/amount'],
  ['[[0.1234567890123456789]]', '#/0/0'],
  ['{"metadata":{"a/b~":[0,{"x":1e400}]}}', '#/metadata/a~1b~0/1/x'],
  ['[1,-1e309]', '#/1'],
  ['[1e-400]', '#/0'],
  ['[0.00000000000000000001e-320]', '#/0'],
  ['[3e-324]', '#/0'],
  ['[9007199254740993]', '#/0'],
])('a number that would be another one is refused: %s', (text, pointer) => {
  expect(() => parseJson(text)).toThrow(UnfaithfulJson)
  expect(() => parseJson(text)).toThrow(expect.objectContaining({ code: 'inexact_number', pointer }))
})

test.each([
  ['{"a":1,"a":2}', '#', 'a'],
  ['{"a":1,"b":{},"a":1}', '#', 'a'],
  ['{"x":[0,{"a":[],"b":0,"a":{}}]}', '#/x/1', 'a'],
  ['{"a":1,"\\u0061":2}', '#', 'a'],
  ['{"":1,"":2}', '#', ''],
  ['{"__proto__":1,"__proto__":2}', '#', '__proto__'],
])('the same member twice is refused: %s', (text, pointer, member) => {
  const message = `${pointer} has the member ${JSON.stringify(member)} twice`
  expect(() => parseJson(text)).toThrow(new RefusedJson('duplicate_member', message))
})

test.each([
  ['{"name":"\\ud800"}', '#/name'],
  ['["a","\\uDC00\\uD800"]', '#/1'],
  ['{"a":{"\\ud800":1}}', '#/a'],
])('half of a surrogate pair is refused: %s', (text, pointer) => {
  expect(() => parseJson(text)).toThrow(UnfaithfulJson)
  expect(() => parseJson(text)).toThrow(expect.objectContaining({ code: 'not_unicode', pointer }))
})

const nested = (open: string, close: string, levels: number) => open.repeat(levels) + close.repeat(levels)
const wide = (members: number) => `{${Array.from({ length: members }, (_, index) => `"${index}":1`)}}`
const listOf = (items: number) => `[${Array(items).fill('[]')}]`
test('the members of one object and the items of one list have a limit, those of several have not', () => {
  expect(parseJson(`{"a":${listOf(membersMax)},"b":${listOf(membersMax)}}`)).toBeObject()
  expect(Object.keys(parseJson(wide(membersMax)) as object)).toHaveLength(membersMax)
  expect(parseJson(`[${wide(membersMax)},${wide(membersMax)}]`)).toBeArray()
  for (const text of [
    wide(membersMax + 1),
    `[{"a":${wide(90_000)}}]`,
    listOf(membersMax + 1),
    `{"a":${listOf(300_000)}}`,
  ])
    expect(() => parseJson(text)).toThrow(expect.objectContaining({ code: 'too_wide' }))
})

test('nesting has a limit', () => {
  expect(parseJson(nested('[', ']', depthMax))).toBeArray()
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":[', ']}'],
  ] as const)
    for (const levels of [depthMax + 1, 20_000, 500_000])
      expect(() => parseJson(nested(open, close, levels))).toThrow(
        expect.objectContaining({ code: 'too_deep' }),
      )
})

test.each([
  '{"amount":',
  '',
  '{"a"',
  '["',
  '"\\',
  '[1.2.3]',
  '[--1]',
  '[1e]',
  '{"a" "a"}',
  ']]]',
  '{"a":1}}',
  '"\\u12"',
])('what is not JSON is a syntax error: %s', (text) => {
  expect(() => parseJson(text)).toThrow(SyntaxError)
})

test('everything that JSON.stringify writes is read back, `__proto__` as a member like any other', () => {
  const options = { maxDepth: 5 }
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(options), fc.object({ key: fc.string(), ...options })), (value) => {
      const text = JSON.stringify(value)
      if (text.isWellFormed() && !/\\ud[89a-f]/i.test(text)) expect(parseJson(text)).toEqual(JSON.parse(text))
    }),
    { numRuns: 500 },
  )
  expect(Object.keys(parseJson('{"__proto__":{"a":1}}') as object)).toEqual(['__proto__'])
})

/** Each was quadratic, or worse, in an earlier form. */
const long = {
  brackets: '['.repeat(1_000_000),
  quotes: '"'.repeat(1_000_000),
  'escaped quotes': `"${'\\"'.repeat(500_000)}"`,
  backslashes: `"${'\\'.repeat(999_999)}`,
  'short texts before an escape': `[${'"a",'.repeat(250_000)}"\\u0041"]`,
  'one long number': `[${'1'.repeat(1_000_000)}]`,
  'zeros inside a number': `[1${'0'.repeat(1_000_000)}1]`,
  members: `{${Array.from({ length: 90_000 }, (_, index) => `"k${index}":1`)}}`,
  zeros: `[${'0,'.repeat(500_000)}0]`,
}
test.each(Object.entries(long))('a megabyte of anything is read or refused in a moment: %s', (_, text) => {
  const startedAt = performance.now()
  try {
    parseJson(text)
  } catch (error) {
    expect((error as Error).message.length).toBeLessThan(200)
  }
  // Quadratic ones took from 9 to 20 seconds.
  expect(performance.now() - startedAt).toBeLessThan(3000)
})

test('short numbers with an exponent cost little more than those without', () => {
  const [without, withOne] = ['1.5,', '1e5,'].map((number) => {
    const text = `[${Array(100).fill(`[${number.repeat(1000)}1]`)}]`
    const durations = Array.from({ length: 5 }, () => {
      const startedAt = performance.now()
      parseJson(text)
      return performance.now() - startedAt
    })
    return Math.min(...durations)
  })
  expect(withOne).toBeLessThan(6 * (without ?? 0))
})

// `parseRoundedJson` takes the scan at once, and refuses the same, except for numbers.
test('what is accepted without a scan is what the scan accepts', () => {
  const outcome = (parse: () => unknown) => {
    try {
      return { value: parse() }
    } catch (error) {
      const { name, message, code } = error as RefusedJson
      return { name, message, code }
    }
  }
  const compare = (text: string) => {
    const scanned = outcome(() => parseRoundedJson(text))
    const pointers = 'value' in scanned ? (scanned.value as { pointers: string[] }).pointers : []
    if (pointers.length > 0)
      return expect(outcome(() => parseJson(text))).toMatchObject({ code: 'inexact_number' })
    const expected = 'value' in scanned ? { value: (scanned.value as { value: unknown }).value } : scanned
    expect(outcome(() => parseJson(text))).toEqual(expected)
  }
  const name = fc.constantFrom('a', 'b', '__proto__', '\\u0061', 'ab', '')
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('1', '-0', '1e5', '123456789012345', '1234567890123456', '"a:,{"', '""', 'null'),
      fc.array(tie('node'), { maxLength: 4 }).map((items) => `[${items.join()}]`),
      fc
        .array(fc.tuple(name, tie('node')), { maxLength: 4 })
        .map((members) => `{${members.map(([key, one]) => `"${key}": ${one}`).join()}}`),
    ),
  })).node as fc.Arbitrary<string>
  fc.assert(fc.property(value, compare), { numRuns: 2000 })
  const token = fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '"a"', '1', '-', 'e', '\\', ' ', 'null')
  fc.assert(
    fc.property(
      fc.array(token, { maxLength: 12 }).map((tokens) => tokens.join('')),
      compare,
    ),
    {
      numRuns: 5000,
    },
  )
  const wide = (count: number) => [
    `[${Array(count).fill('0')}]`,
    `{${Array.from({ length: count }, (_, at) => `"${at}":0`)}}`,
  ]
  for (const text of [...wide(membersMax), ...wide(membersMax + 1)]) compare(text)
  for (const depth of [depthMax, depthMax + 1]) compare('['.repeat(depth) + ']'.repeat(depth))
})
