/** The span of a statement, as OpenTelemetry's database conventions have it. Without its text and values. */
import { Fault } from '../fault'
import type { Span, Tracing } from '../telemetry/spans'

/** `operation` and `table`: what it mainly does. */
type Statement = { operation: 'SELECT' | 'INSERT'; table: string }

export const statementAttributes = ({ operation, table }: Statement) => ({
  'db.system.name': 'postgresql',
  'db.operation.name': operation,
  'db.collection.name': table,
})

/** Runs it under `parent`, or only runs it without one. */
export function tracedStatement<T>(
  { tracing, parent }: { tracing: Tracing | undefined; parent: Span | undefined },
  statement: Statement,
  run: () => Promise<T>,
): Promise<T> {
  if (!tracing || !parent) return run()
  const span = tracing.begin(`${statement.operation} ${statement.table}`, {
    kind: 'client',
    parent,
    attributes: statementAttributes(statement),
  })
  return run().then(
    (result) => {
      span.end()
      return result
    },
    (error) => {
      const type = errorTypeOf(error)
      if (sqlState.test(type)) span.set({ 'db.response.status_code': type })
      span.fail(type)
      span.end()
      throw error
    },
  )
}

const sqlState = /^[0-9A-Z]{5}$/

/** The SQLSTATE, where the server has answered; otherwise the code of a driver or a fault, or a name. */
export function errorTypeOf(error: unknown): string {
  if (error instanceof Fault) return error.code
  if (!(error instanceof Error)) return '_OTHER'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
