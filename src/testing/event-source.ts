/**
 * A server-sent events client for tests: parses a stream as browsers do, and can resume from a last
 * event id.
 */

import { expectDocumentedEvent } from './documented'

export type StreamEvent = { event: string; id: string; data: Record<string, unknown> }

/**
 * Yields each event until the stream ends or the caller leaves the loop. Throws for a response
 * other than a stream.
 */
export async function* readEvents(
  port: number,
  path: string,
  lastEventId?: string,
): AsyncGenerator<StreamEvent, void> {
  const leaving = new AbortController()
  const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers, signal: leaving.signal })
  if (response.status !== 200 || !response.body) throw new Error(`${path} answered ${response.status}`)
  try {
    for await (const event of parseEvents(response.body)) {
      expectDocumentedEvent(path, JSON.stringify(event.data))
      yield event
    }
  } finally {
    leaving.abort()
  }
}

/** Ignores comments and `retry`. Chunks may end anywhere. */
export async function* parseEvents(
  chunks: AsyncIterable<string | Uint8Array>,
): AsyncGenerator<StreamEvent, void> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of chunks) {
    text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s)))
      if (fields.data !== undefined)
        yield { event: fields.event, id: fields.id, data: JSON.parse(fields.data) }
    }
  }
}
