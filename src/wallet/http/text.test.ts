import { expect, test } from 'bun:test'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Email, lengthOf, Name, nameMax, Reference } from './text'

const [name, email, reference] = [Name, Email, Reference].map((schema) => TypeCompiler.Compile(schema))

const names = ['Eva', 'José María', '李小龙', 'עדי', 'محمد', 'O’Neil-Ḿ', 'न‍ा', '👩‍👩‍👧', '1', '. ']
test.each([...names, 'x'.repeat(nameMax), '😀'.repeat(nameMax)])('%p is a name and a reference', (value) => {
  expect([name?.Check(value), reference?.Check(value)]).toEqual([true, true])
})

const invisible = [
  ' ',
  '\u00a0',
  '\u200b',
  '\u200d\u200c',
  '\u2060',
  '\ufeff',
  '\u3164',
  '\u115f\u1160',
  '\u2800',
  '\u00ad',
  '\u0301',
  '\u3000 \u200e',
]
const controls = [
  'a\0',
  'a\u007f',
  'a\u0085b',
  'a\u2028b',
  'a\u202eb',
  'a\u2066b',
  '\ud800',
  'a\u001b[31m',
  'a\uffff',
]
const tooLong = [
  'x'.repeat(nameMax + 1),
  '😀'.repeat(nameMax + 1),
  'x'.repeat(1_000_000),
  '\n'.repeat(1_000_000),
]
test.each([...invisible, ...controls, ...tooLong, ' '.repeat(500), '\n\t'])('%j is neither', (value) => {
  expect([name?.Check(value), reference?.Check(value)]).toEqual([false, false])
})

test.each(['two\nlines', 'two\r\nlines', 'a\tb', '\na'])('%j is a reference and no name', (value) => {
  expect([name?.Check(value), reference?.Check(value)]).toEqual([false, true])
})

test('a name has something in it, a reference need not', () => {
  expect([name?.Check(''), reference?.Check('')]).toEqual([false, true])
})

const long = `${'x'.repeat(64)}@${'y'.repeat(63)}.${'z'.repeat(63)}.${'w'.repeat(57)}.br`
test.each([
  'eva@example.com',
  "o'neil+tag@a-b.example",
  'eva@localhost',
  'josé@exämple.com',
  '用户@例子.公司',
  '😀@a.b',
  long,
])('%s is an e-mail address', (value) => expect(email?.Check(value)).toBe(true))

test.each([
  ...[
    '',
    'eva',
    '@example.com',
    'eva@',
    'a@b@c.d',
    'a b@c.d',
    'eva@example',
    'eva@.com',
    'eva@a..b',
    'eva@-a.b',
    'eva@a-.b',
    'eva@a_b.c',
  ],
  ...[
    'eva@a.b\n',
    'eva\0@a.b',
    '\u200b@a.b',
    'e\u200bva@a.b',
    'eva@a\u202e.b',
    'eva@[127.0.0.1]',
    '<eva@a.b>',
    'Eva <eva@a.b>',
    'eva@a.b,f@a.b',
  ],
  ...[`${'x'.repeat(65)}@a.b`, `x${long}`, `${long}mm`, `a@${'b'.repeat(64)}.c`, `a@${'b.'.repeat(500_000)}`],
])('%j is none', (value) => {
  expect(email?.Check(value)).toBe(false)
})

test('lengths count characters', () => {
  expect([lengthOf('😀é'), lengthOf('')]).toEqual([2, 0])
})
