/** Why something was refused, or failed, and what to do. */
import { CallFailed } from '../api.ts'
import { useMessages } from '../i18n.ts'
import { useFailure, useLoaded } from '../ui.tsx'
import { findRemedy } from './attempts.ts'
import { tryMessages } from './messages.ts'

export function Refusal({ error, isExpected = false }: { error: unknown; isExpected?: boolean }) {
  const text = useMessages(tryMessages)
  const { title, detail } = useFailure(error)
  const problem = error instanceof CallFailed ? error.problem : undefined
  const { value: remedy } = useLoaded(
    async () => (error instanceof CallFailed ? findRemedy(error.service, error.problem.type) : undefined),
    [error],
  )
  return (
    <div class={isExpected ? 'refusal expected' : 'refusal failure'} role="alert">
      <p class="failure-title">{title}</p>
      {isExpected && <p class="good-text">{text('expected')}</p>}
      {detail && <p>{detail}</p>}
      {faultsOf(problem).map((fault) => (
        <p key={fault}>{fault}</p>
      ))}
      {remedy && (
        <p>
          <strong>{text('remedy')}</strong> {remedy}
        </p>
      )}
    </div>
  )
}

/** Of a validation: what is wrong with which value. */
function faultsOf(problem: object | undefined): string[] {
  const errors = problem && 'errors' in problem && Array.isArray(problem.errors) ? problem.errors : []
  return errors.map(({ pointer, detail }: { pointer?: string; detail?: string }) => `${pointer}: ${detail}`)
}
