/**
 * The events of a row of the outbox: a line for each, of topic, key, name, subject, time, trace and value,
 * between tabs. Key, subject, time and trace are left out where they are those of the line before. JSON has
 * neither tabs nor line breaks.
 */
import type { EventName } from '../../contract/events/events'
import type { EncodedEvent } from '../../contract/wire/envelope'

export type OutboxEvent = EncodedEvent & { traceparent: string | null }

const noTrace = '-'
const nothing = { key: '', subject: '', time: '', trace: '' }

/** Throws for an event that could not be read back. */
export function linesOfEvents(events: readonly OutboxEvent[]): string {
  let text = ''
  let last = nothing
  for (const { topic, key, name, value, subject, time, traceparent } of events) {
    const trace = traceparent ?? noTrace
    if (text !== '') text += '\n'
    text += `${topic}\t${key === last.key ? '' : key}\t${name}\t${subject === last.subject ? '' : subject}\t`
    text += `${time === last.time ? '' : time}\t${trace === last.trace ? '' : trace}\t${value}`
    last = { key, subject, time, trace }
  }
  if (countOf(text, '\n') !== events.length - 1 || countOf(text, '\t') !== 6 * events.length)
    throw new TypeError('an event has a tab or a line break')
  return text
}

/** What `linesOfEvents` was given. */
export function eventsOfLines(text: string): OutboxEvent[] {
  let last = nothing
  return text.split('\n').map((line) => {
    const [topic = '', key, name, subject, time, trace, value = ''] = line.split('\t')
    last = {
      key: key || last.key,
      subject: subject || last.subject,
      time: time || last.time,
      trace: trace || last.trace,
    }
    const { trace: traceparent, ...rest } = last
    return {
      topic,
      ...rest,
      name: name as EventName,
      value,
      traceparent: traceparent === noTrace ? null : traceparent,
    }
  })
}

function countOf(text: string, part: string): number {
  let count = 0
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) count++
  return count
}
