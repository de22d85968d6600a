import { expect, test } from 'bun:test'
import { integer } from '../config/parsers'
import { UsageError } from '../platform/fault'
import { flag, isSimilar, parseOptions, value, valueOr, values } from './options'

const syntax = {
  options: {
    wait: valueOr('30', 'SECONDS', 'waits', integer(0, 60)),
    topic: values('TOPIC', 'of these', (text) => text.toUpperCase()),
    account: value('ID', 'of this', (text) => text),
    force: flag('at any rate'),
    dry: flag('changes nothing'),
  },
  positionals: [{ name: 'FILE', about: 'the file' }],
  exclusive: [['force', 'dry']],
}

test('values are parsed, defaults are too, and the rest are arguments', () => {
  expect(parseOptions(syntax, ['file'])).toEqual({
    options: { wait: 30, topic: [], account: undefined, force: false, dry: false, help: false },
    json: false,
    positionals: ['file'],
  })
  const args = ['--json', '--wait=5', 'file', '--topic', 'a', '--topic=b', '--account', '-1', '--dry']
  expect(parseOptions(syntax, args)).toMatchObject({
    options: { wait: 5, topic: ['A', 'B'], account: '-1', force: false, dry: true },
    json: true,
  })
  expect(parseOptions(syntax, ['--', '--file']).positionals).toEqual(['--file'])
})

test.each([
  [['--waits', '5', 'file'], 'Unknown option --waits. Did you mean --wait?'],
  [['--nonsense', 'file'], 'Unknown option --nonsense. There are --wait, --topic, '],
  [['-w', 'file'], 'Unknown option -w. There are'],
  [['--toString', 'file'], 'Unknown option --toString.'],
  [['--no-force', 'file'], 'Unknown option --no-force.'],
  [['--wait', 'x', 'file'], '--wait must be a whole number from 0 to 60, but is "x".'],
  [['--wait', '61', 'file'], '--wait must be a whole number from 0 to 60, but is "61".'],
  [['--wait', '-5', 'file'], '--wait must be a whole number from 0 to 60, but is "-5".'],
  [['--wait=', 'file'], '--wait must be a whole number'],
  [['file', '--wait'], '--wait needs a value: --wait SECONDS.'],
  [['file', '--wait', '--force'], '--wait needs a value: --wait SECONDS.'],
  [['file', '--wait', '1', '--wait', '2'], '--wait is given twice: keep one of them.'],
  [['file', '--force', '--force'], '--force is given twice: keep one of them.'],
  [['file', '--force=true'], '--force takes no value: leave out =true.'],
  [['file', '--force', '--dry'], '--force and --dry contradict each other: give one of them.'],
  [['file', 'other'], 'Unexpected argument "other": only FILE is expected.'],
  [[], 'FILE is missing: the file.'],
])('%j is refused, with the remedy', (args, message) => {
  expect(() => parseOptions(syntax, args)).toThrow(UsageError)
  expect(() => parseOptions(syntax, args)).toThrow(message)
})

test.each([
  ['swap', 'sawp', true],
  ['swap', 'swp', true],
  ['swap', 'swapp', true],
  ['swap', 'swaq', true],
  ['swap', 'stop', false],
  ['swap', 'paws', false],
])('%s and %s are similar: %p', (known, typed, similar) => {
  expect(isSimilar(known, typed)).toBe(similar)
})
