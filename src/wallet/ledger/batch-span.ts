/**
 * The span of a batch. It is in the trace of its first request that is recorded, and linked with the others,
 * both ways: a span has one parent, and what all of them wait for happens once.
 */
import { tracedStatement } from '../../platform/postgres/statement-span'
import type { Statements } from '../../platform/postgres/statements'
import type { Span, Tracing } from '../../platform/telemetry/spans'
import type { CommandRequest } from './decide-request'
import { append, type Changes } from './store/append'

/** Undefined where none of the requests is recorded. */
export function beginBatch(
  tracing: Tracing,
  requests: readonly Pick<CommandRequest, 'span' | 'commands'>[],
): Span | undefined {
  const [first, ...others] = requests.flatMap(({ span }) => (span?.isRecorded ? span : []))
  if (!first) return undefined
  const batch = tracing.begin('commit batch', {
    kind: 'internal',
    parent: first,
    links: others,
    attributes: {
      'saldo.batch.requests': requests.length,
      'saldo.batch.commands': requests.reduce((sum, { commands }) => sum + commands.length, 0),
    },
  })
  for (const other of others) other.link(batch)
  return batch
}

/** What the spans of statements are under. */
export type Above = { tracing: Tracing | undefined; parent: Span | undefined }

export const tracedLoad = <T>(above: Above, run: () => Promise<T>): Promise<T> =>
  tracedStatement(above, { operation: 'SELECT', table: 'accounts' }, run)

/** A rejection alone writes nothing. */
export const tracedAppend = (above: Above, sql: Statements, changes: Changes) => {
  const isEmpty = changes.facts.length === 0 && changes.keys.length === 0
  const run = () => append(sql, changes)
  return isEmpty ? run() : tracedStatement(above, { operation: 'INSERT', table: 'entries' }, run)
}
