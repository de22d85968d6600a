/**
 * The events of a row of the outbox: a line for each, of topic, key, name, subject, time, trace and value,
 * between tabs. Key, subject, time and trace are left out where they are those of the line before. Where a
 * request led to the event, its timeline follows the value, which earlier versions do not read. JSON has
 * neither tabs nor line breaks.
 */
import type { EventName } from '../../contract/events/events'
import type { EncodedEvent } from '../../contract/wire/envelope'
import { encodeTimeline, parseTimeline, type Timeline } from '../../contract/wire/timeline'

export type OutboxEvent = EncodedEvent & {
  traceparent: string | null
  /** Absent where no request led to it. */
  timeline?: Timeline | undefined
}

const noTrace = '-'
const nothing = { key: '', subject: '', time: '', trace: '' }

/** Throws for an event that could not be read back. */
export function linesOfEvents(events: readonly OutboxEvent[]): string {
  let text = ''
  let last = nothing
  /** Events of a request share it. */
  let lastTimeline: Timeline | undefined
  let tabs = 0
  for (const { topic, key, name, value, subject, time, traceparent, timeline } of events) {
    const trace = traceparent ?? noTrace
    if (text !== '') text += '\n'
    text += `${topic}\t${key === last.key ? '' : key}\t${name}\t${subject === last.subject ? '' : subject}\t`
    text += `${time === last.time ? '' : time}\t${trace === last.trace ? '' : trace}\t${value}`
    if (timeline) text += `\t${timeline === lastTimeline ? '' : encodeTimeline(timeline)}`
    tabs += timeline ? 7 : 6
    last = { key, subject, time, trace }
    lastTimeline = timeline ?? lastTimeline
  }
  if (countOf(text, '\n') !== events.length - 1 || countOf(text, '\t') !== tabs)
    throw new TypeError('an event has a tab or a line break')
  return text
}

/** What `linesOfEvents` was given. */
export function eventsOfLines(text: string): OutboxEvent[] {
  let last = nothing
  let timeline: Timeline | undefined
  return text.split('\n').map((line) => {
    const [topic = '', key, name, subject, time, trace, value = '', times] = line.split('\t')
    last = {
      key: key || last.key,
      subject: subject || last.subject,
      time: time || last.time,
      trace: trace || last.trace,
    }
    const { trace: traceparent, ...rest } = last
    if (times) timeline = parseTimeline(times)
    return {
      topic,
      ...rest,
      name: name as EventName,
      value,
      traceparent: traceparent === noTrace ? null : traceparent,
      ...(times !== undefined && timeline && { timeline }),
    }
  })
}

function countOf(text: string, part: string): number {
  let count = 0
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) count++
  return count
}
