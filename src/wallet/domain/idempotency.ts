/** What a caller's key stands for: the same command, answered once and then repeated. Pure. */

/** A key as a command brings it. Unique within its scope for as long as keys are kept. */
export type IdempotencyKey = {
  /** Method and route, with the ids that are in it: the same key on another route is another key. */
  scope: string
  key: string
  /** SHA-256 of what was asked for, in hex: tells a repetition from another command under a used key. */
  fingerprint: string
  /** The same as the version before computed it. Keys of that time are in use for a day. */
  formerFingerprint?: (() => string) | undefined
}

/** One name for scope and key. The separator cannot be part of either. */
export const nameOf = ({ scope, key }: Pick<IdempotencyKey, 'scope' | 'key'>): string => `${scope}\n${key}`

/** What is known of a key that was used before. */
export type UsedKey<Answer> = { fingerprint: string; answer: Answer }

export type KeyDecision<Answer> =
  | { kind: 'first' }
  | { kind: 'repeated'; answer: Answer }
  | { kind: 'reused' }

/**
 * Whether a command is to be decided, answered as before, or refused because its key stands for
 * another one.
 */
export function decideKey<Answer>(
  { fingerprint, formerFingerprint }: IdempotencyKey,
  used: UsedKey<Answer> | undefined,
): KeyDecision<Answer> {
  if (!used) return { kind: 'first' }
  const isSame = used.fingerprint === fingerprint || used.fingerprint === formerFingerprint?.()
  return isSame ? { kind: 'repeated', answer: used.answer } : { kind: 'reused' }
}
