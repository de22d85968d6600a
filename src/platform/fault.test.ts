import { expect, test } from 'bun:test'
import { DrizzleQueryError } from 'drizzle-orm'
import { KafkaJSAggregateError } from 'kafkajs'
import { messageOf, withoutQuery } from './fault.ts'

const refused = Object.assign(new Error('canceling statement due to statement timeout'), {
  code: '57014',
  detail: 'Failing row contains (eva@example.com, 800).',
  parameters: ['eva@example.com'],
})
const failed = new DrizzleQueryError(
  'select "email" from "clients" where "email" = $1',
  ['eva@example.com'],
  refused,
)

test.each([
  ['a failed query', failed],
  ['a failed query as a cause', new Error('sweep', { cause: failed })],
  ['several at once', new AggregateError([failed, failed])],
  ['one without a cause', new DrizzleQueryError('select "email"', ['eva@example.com'])],
])('%s is shown without its SQL and its values', (_, error) => {
  expect(messageOf(error)).not.toMatch(/select|eva@|params/)
  expect(Bun.inspect(withoutQuery(error))).not.toMatch(/select "email"|eva@|params/)
})

test('the database’s own message is shown', () => {
  expect(messageOf(failed)).toBe('canceling statement due to statement timeout')
  expect(withoutQuery(failed)).toMatchObject({ code: '57014', message: refused.message })
})

test('other errors are shown as they are', () => {
  const error = new TypeError('no such thing')
  expect([messageOf(error), withoutQuery(error)]).toEqual(['no such thing', error])
  expect(messageOf(new AggregateError([new Error('one'), new Error('two')]))).toBe('one; two')
  expect(messageOf(new AggregateError([new Error('one')], 'a handler failed'))).toBe('a handler failed: one')
  const ofBroker = new KafkaJSAggregateError('Topic creation errors', ['Policy violated', 'Not allowed'])
  expect(messageOf(ofBroker)).toBe('Topic creation errors: Policy violated; Not allowed')
})
