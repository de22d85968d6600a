/** Answers requests under an idempotency key: once, and alike when they are sent again. */
import { type KeyedCall, keyOf, refuseKey, replayed } from '../../platform/http/keyed'
import type { Once, Store } from '../idempotency/once'

type Keyed<Answer> = {
  /** The request in our terms: its member names are permanent. */
  meaning: object
  /** Does it, and stores the answer. */
  act(store: Store<Answer>): Promise<unknown>
  present(answer: Answer, headers: Record<string, string>): Response
}

export async function answerOnce<Answer extends object>(
  once: Once,
  call: KeyedCall,
  { meaning, act, present }: Keyed<Answer>,
): Promise<Response> {
  const answered = await once(
    keyOf(call, () => meaning),
    act,
  )
  if (answered.kind !== 'answered') return refuseKey(call.request, answered)
  return present(answered.answer, replayed(answered.repeated))
}
