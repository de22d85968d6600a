import { expect, test } from 'bun:test'
import { Dispatcher, type Handler } from './dispatcher'

type Trade = { Opened: { id: string }; Closed: { id: string; reason: string } }
type Told = { told: string[] }

const dispatcher = () => new Dispatcher<Trade, Told, string>()
const telling =
  (mark: string): Handler<{ id: string }, Told, string> =>
  ({ id }, { told }) => {
    told.push(mark + id)
    return mark
  }

test('handlers of an event are called in their order, with the event and what goes with it', () => {
  const told: string[] = []
  const events = dispatcher()
    .register('Opened', telling('a'))
    .register('Opened', telling('b'))
    .register('Closed', telling('c'))
  expect(events.dispatch({ name: 'Opened', payload: { id: '1' } }, { told })).toEqual(['a', 'b'])
  expect(events.dispatch({ name: 'Closed', payload: { id: '2', reason: 'done' } }, { told })).toEqual(['c'])
  expect(told).toEqual(['a1', 'b1', 'c2'])
})

test('an event that nobody handles has no results', () => {
  expect(dispatcher().dispatch({ name: 'Opened', payload: { id: '1' } }, { told: [] })).toEqual([])
})

test('whoever registers twice is called once', () => {
  const handler = telling('a')
  const events = dispatcher().register('Opened', handler).register('Opened', handler)
  expect(events.dispatch({ name: 'Opened', payload: { id: '1' } }, { told: [] })).toEqual(['a'])
})

test('a handler is there until it is removed, and of one event only', () => {
  const [handler, other] = [telling('a'), telling('b')]
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

test('a handler that fails takes no other one with it, and is heard of', () => {
  const told: string[] = []
  const failing = (mark: string) => () => {
    throw new Error(mark)
  }
  const events = dispatcher()
    .register('Opened', failing('first'))
    .register('Opened', telling('a'))
    .register('Opened', failing('last'))
    .register('Opened', telling('b'))
  let thrown: unknown
  try {
    events.dispatch({ name: 'Opened', payload: { id: '1' } }, { told })
  } catch (error) {
    thrown = error
  }
  expect(told).toEqual(['a1', 'b1'])
  expect(thrown).toBeInstanceOf(AggregateError)
  expect((thrown as AggregateError).errors.map(({ message }) => message)).toEqual(['first', 'last'])
})

test('a handler that removes itself while it is called takes nobody’s turn', () => {
  const events = dispatcher()
  const once: Handler<{ id: string }, Told, string> = () => {
    events.remove('Opened', once)
    return 'once'
  }
  events.register('Opened', once).register('Opened', telling('a'))
  const opened = { name: 'Opened', payload: { id: '1' } } as const
  expect(events.dispatch(opened, { told: [] })).toEqual(['once', 'a'])
  expect(events.dispatch(opened, { told: [] })).toEqual(['a'])
})

test('the compiler keeps event, payload and handler together', () => {
  const events = dispatcher()
  // @ts-expect-error: Opened has no reason.
  events.register('Opened', ({ reason }) => reason)
  // @ts-expect-error: nobody knows this event.
  events.register('Moved', telling('a'))
  // @ts-expect-error: Closed has a reason.
  events.dispatch({ name: 'Closed', payload: { id: '1' } }, { told: [] })
})
