/** Server-sent events that go on where they ended: over broken connections, silence and restarts. */
import { backoffMs, type Fetch, mayPass, sleep, toFailure } from './attempts.ts'
import { problemOf, SaldoTimeout, SaldoUnreachable } from './errors.ts'
import type { Limits } from './limits.ts'

export type ServerEvent = { event: string; id: string; data: unknown }

type Source = {
  fetch: Fetch
  headersOf: (lastEventId: string | undefined) => Promise<Headers>
  parse: (json: string) => unknown
}

type WatchLimits = Pick<Limits, 'signal'> & {
  deadlineMs: number
  timeoutMs: number
  lastEventId: string | undefined
}

/** The service sends a comment every 15 seconds. */
const silenceMs = 45_000

/**
 * Each event once, in order. Ends by `break` or the signal. Throws a refusal, and any failure once nothing
 * has arrived for `deadlineMs`.
 */
export async function* watch(
  url: string,
  { fetch, headersOf, parse }: Source,
  { lastEventId, deadlineMs, timeoutMs, signal }: WatchLimits,
): AsyncGenerator<ServerEvent, void> {
  let lastId = lastEventId
  let failures = 0
  let heardAt = Date.now()
  for (;;) {
    signal?.throwIfAborted()
    const ending = new AbortController()
    const abort = () => ending.abort(signal?.reason)
    signal?.addEventListener('abort', abort)
    let timer: ReturnType<typeof setTimeout> | undefined
    const giveUpAfter = (ms: number) => {
      clearTimeout(timer)
      timer = setTimeout(() => ending.abort(new SaldoTimeout(`no event within ${ms} ms`)), ms)
    }
    try {
      giveUpAfter(timeoutMs)
      const init = { headers: await headersOf(lastId), redirect: 'manual', signal: ending.signal } as const
      const response = await fetch(url, init)
      if (!response.ok) throw problemOf(response.status, await response.text())
      const reader = response.body?.getReader()
      const decoder = new TextDecoder()
      const eventsOf = createParser()
      for (;;) {
        giveUpAfter(silenceMs)
        const { value, done } = (await reader?.read()) ?? { done: true }
        if (done) throw new SaldoUnreachable('the stream ended')
        heardAt = Date.now()
        // The consumer takes as long as it likes.
        clearTimeout(timer)
        for (const { id, event, data } of eventsOf(decoder.decode(value, { stream: true }))) {
          const parsed = { event, id, data: parse(data) }
          failures = 0
          lastId = id || lastId
          yield parsed
        }
      }
    } catch (error) {
      signal?.throwIfAborted()
      const failure = toFailure(ending.signal.aborted ? ending.signal.reason : error)
      if (!mayPass(failure) || Date.now() - heardAt > deadlineMs) throw failure
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      ending.abort()
    }
    await sleep(backoffMs(failures++), signal)
  }
}

/** Takes the text of a stream in pieces of any size, and returns the events that each piece completes. */
export function createParser(): (text: string) => { event: string; id: string; data: string }[] {
  let rest = ''
  let fields: Record<string, string> = {}
  return (text) => {
    const events: { event: string; id: string; data: string }[] = []
    const lines = (rest + text).split(/\r?\n/)
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? []
      if (line !== '') {
        fields[name] = name === 'data' && fields.data !== undefined ? `${fields.data}\n${value}` : value
        continue
      }
      const { event = 'message', id = '', data } = fields
      if (data !== undefined) events.push({ event, id, data })
      fields = {}
    }
    return events
  }
}
