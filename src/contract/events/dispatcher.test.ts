import { expect, test } from 'bun:test'
import { Dispatcher, type Handler } from './dispatcher'

type Trade = { Opened: { id: string }; Closed: { id: string; reason: string } }
type Trace = { calls: string[] }

const dispatcher = () => new Dispatcher<Trade, Trace, string>()
const recording =
  (mark: string): Handler<{ id: string }, Trace, string> =>
  ({ id }, { calls }) => {
    calls.push(mark + id)
    return mark
  }

test('handlers of an event are called in order of registration, with payload and context', () => {
  const calls: string[] = []
  const events = dispatcher()
    .register('Opened', recording('a'))
    .register('Opened', recording('b'))
    .register('Closed', recording('c'))
  expect(events.dispatch({ name: 'Opened', payload: { id: '1' } }, { calls })).toEqual(['a', 'b'])
  expect(events.dispatch({ name: 'Closed', payload: { id: '2', reason: 'done' } }, { calls })).toEqual(['c'])
  expect(calls).toEqual(['a1', 'b1', 'c2'])
})

test('an event without handlers has no results', () => {
  expect(dispatcher().dispatch({ name: 'Opened', payload: { id: '1' } }, { calls: [] })).toEqual([])
})

test('a handler that is registered twice is called once', () => {
  const handler = recording('a')
  const events = dispatcher().register('Opened', handler).register('Opened', handler)
  expect(events.dispatch({ name: 'Opened', payload: { id: '1' } }, { calls: [] })).toEqual(['a'])
})

test('a handler stays registered until it is removed, and for one event only', () => {
  const [handler, other] = [recording('a'), recording('b')]
  const events = dispatcher()
    .register('Opened', handler)
    .register('Opened', other)
    .register('Closed', handler)
  expect([events.has('Opened', handler), events.has('Closed', other)]).toEqual([true, false])
  events.remove('Opened', handler)
  events.remove('Closed', other)
  expect([events.has('Opened', handler), events.has('Opened', other), events.has('Closed', handler)]).toEqual(
    [false, true, true],
  )
  events.clear()
  expect([events.has('Opened', other), events.has('Closed', handler)]).toEqual([false, false])
})

test('a handler that throws does not stop the others, and its error is thrown', () => {
  const calls: string[] = []
  const failing = (mark: string) => () => {
    throw new Error(mark)
  }
  const events = dispatcher()
    .register('Opened', failing('first'))
    .register('Opened', recording('a'))
    .register('Opened', failing('last'))
    .register('Opened', recording('b'))
  let thrown: unknown
  try {
    events.dispatch({ name: 'Opened', payload: { id: '1' } }, { calls })
  } catch (error) {
    thrown = error
  }
  expect(calls).toEqual(['a1', 'b1'])
  expect(thrown).toBeInstanceOf(AggregateError)
  expect((thrown as AggregateError).errors.map(({ message }) => message)).toEqual(['first', 'last'])
})

test('a handler that removes itself during dispatch does not skip the next', () => {
  const events = dispatcher()
  const once: Handler<{ id: string }, Trace, string> = () => {
    events.remove('Opened', once)
    return 'once'
  }
  events.register('Opened', once).register('Opened', recording('a'))
  const opened = { name: 'Opened', payload: { id: '1' } } as const
  expect(events.dispatch(opened, { calls: [] })).toEqual(['once', 'a'])
  expect(events.dispatch(opened, { calls: [] })).toEqual(['a'])
})

test('the compiler matches event, payload and handler', () => {
  const events = dispatcher()
  // @ts-expect-error: Opened has no reason.
  events.register('Opened', ({ reason }) => reason)
  // @ts-expect-error: there is no such event.
  events.register('Moved', recording('a'))
  // @ts-expect-error: Closed has a reason.
  events.dispatch({ name: 'Closed', payload: { id: '1' } }, { calls: [] })
})
