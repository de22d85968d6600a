/** What the documents for people and for machines share: an example record of an event, and its headers. */
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
  ce_specversion: 'The CloudEvents version.',
  ce_id: 'Identifies the fact: stable across redelivery and republication.',
  ce_source: 'The publisher. Unique together with `ce_id`.',
  ce_type: 'The event, and the major version of its payload.',
  ce_time: 'When it happened, in RFC 3339, UTC.',
  ce_subject: 'The client, account, transaction or hold it is about.',
  'content-type': 'The format of the value.',
  traceparent: 'W3C Trace Context of the request that caused it; a trace of its own without a request.',
} as const
export type Header = keyof typeof headerMeanings

/** The example of an event as a record, with its value parsed. */
export function exampleRecord({ name, example }: AnyEvent) {
  const encoded = encodeEvent({ name, payload: example } as SaldoEvent, '')
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  return {
    key: encoded.key,
    headers: { ...cloudEventHeaders(walletSource, encoded), traceparent } as Record<Header, string>,
    value: JSON.parse(encoded.value) as object,
  }
}
