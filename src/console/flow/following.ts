/** Which lanes are shown, while they go on and while they are held. Pure. */
import type { Lane } from '../lanes.ts'

export type Filter = { account: string | undefined; onlyFailures: boolean }

export const filterOf = (query: Readonly<Record<string, string>>): Filter => ({
  account: query.account || undefined,
  onlyFailures: query.only === 'failures',
})

export const queryOf = ({ account, onlyFailures }: Filter): Record<string, string | undefined> => ({
  account,
  only: onlyFailures ? 'failures' : undefined,
})

export const passing = (lanes: readonly Lane[], { onlyFailures }: Filter): readonly Lane[] =>
  onlyFailures ? lanes.filter(({ outcome }) => outcome === 'dead_letter') : lanes

/** How many of them are not among those that are held. */
export function countNew(lanes: readonly Lane[], held: readonly Lane[]): number {
  const keys = new Set(held.map(({ key }) => key))
  return lanes.filter(({ key }) => !keys.has(key)).length
}

/** A second, of a sample. */
export const perSecond = (count: number, seconds: number): number =>
  seconds > 0 ? Math.round(count / seconds) : 0
