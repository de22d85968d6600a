/** An idempotency key stands for one request, which is executed once and replayed afterwards. Pure. */

/** Retention. After that a key is new again. Published in the documentation. */
export const keyHours = 24

/** Unique within its scope for as long as keys are kept. */
export type IdempotencyKey = {
  /** Actor, method and path, ids included: the same key of another actor or path is another key. */
  scope: string
  key: string
  /** SHA-256 of the request, in hex: tells a retry from another request under the same key. */
  fingerprint: string
  /** As the previous release computed it, for keys that it stored within the last day. */
  formerFingerprint?: (() => string) | undefined
}

/** The separator cannot occur in either part. */
export const nameOf = ({ scope, key }: Pick<IdempotencyKey, 'scope' | 'key'>): string => `${scope}\n${key}`

export type UsedKey<Answer> = { fingerprint: string; answer: Answer }

export type KeyDecision<Answer> =
  | { kind: 'first' }
  | { kind: 'repeated'; answer: Answer }
  /** The key stands for another request. */
  | { kind: 'reused' }

export function decideKey<Answer>(
  { fingerprint, formerFingerprint }: IdempotencyKey,
  used: UsedKey<Answer> | undefined,
): KeyDecision<Answer> {
  if (!used) return { kind: 'first' }
  const isSame = used.fingerprint === fingerprint || used.fingerprint === formerFingerprint?.()
  return isSame ? { kind: 'repeated', answer: used.answer } : { kind: 'reused' }
}
