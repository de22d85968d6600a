/**
 * What there is to say about an event, for people and machines alike: an example as it travels, and
 * what its headers mean.
 */

import type { EventDefinition } from '../events/define-event'
import { type EventName, events, type SaldoEvent, type Topic } from '../events/events'
import { cloudEventHeaders, encodeEvent, walletSource } from '../wire/envelope'

export type AnyEvent = Pick<
  EventDefinition<EventName>,
  'name' | 'topic' | 'version' | 'kind' | 'description' | 'payload' | 'example' | 'key' | 'aliases' | 'type'
>

export const eventsOf = (topic: Topic): AnyEvent[] =>
  Object.values(events).filter((event) => event.topic === topic)

export const headerMeanings = {
  ce_specversion: 'The version of CloudEvents.',
  ce_id: 'Of the fact: told twice, it bears the same id.',
  ce_source: 'Who tells it. Together with `ce_id` unique.',
  ce_type: 'Which event, and the major version of its payload.',
  ce_time: 'When it happened, RFC 3339, UTC.',
  ce_subject: 'What it is about: a client, an account, a transaction or a hold.',
  'content-type': 'How the value is to be read.',
  traceparent:
    'The trace of the request that led to it, as W3C Trace Context; one of its own where none did.',
} as const
export type Header = keyof typeof headerMeanings

/** The example of an event as it would be read from the broker, its value parsed. */
export function exampleRecord({ name, example }: AnyEvent) {
  const encoded = encodeEvent({ name, payload: example } as SaldoEvent, '')
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  return {
    key: encoded.key,
    headers: { ...cloudEventHeaders(walletSource, encoded), traceparent } as Record<Header, string>,
    value: JSON.parse(encoded.value) as object,
  }
}
