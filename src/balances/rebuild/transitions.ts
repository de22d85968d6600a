/** What may be requested of a rebuild, and when. Pure. */
import type { Rebuild } from './rebuild-store'

export const rebuildActions = ['start', 'swap', 'rollback', 'cancel'] as const
export type RebuildAction = (typeof rebuildActions)[number]
export type RebuildRequest = { action: RebuildAction; manual: boolean; force: boolean }

/** The member that means nothing with the action of the request. */
export function contradictionIn({
  action,
  manual,
  force,
}: RebuildRequest): { member: 'manual' | 'force' } | undefined {
  if (manual && action !== 'start') return { member: 'manual' }
  if (force && action !== 'start' && action !== 'swap') return { member: 'force' }
}

/** Why a rebuild request is rejected. Codes are part of the API. */
export type RebuildRefusal =
  | 'already_building'
  | 'nothing_to_swap'
  | 'diverges'
  | 'nothing_to_roll_back'
  | 'nothing_to_cancel'
  /** This process has only the role that reads and writes rows. */
  | 'owner_needed'

/** Whether the current rebuild, if any, allows a request. */
export function checkTransition(
  current: Pick<Rebuild, 'state'> | undefined,
  { action, force }: RebuildRequest,
): RebuildRefusal | undefined {
  const state = current?.state
  const isOpen = state === 'building' || state === 'ready' || state === 'refused'
  // A rebuild cancelled after an earlier swap leaves the previous tables in place.
  const mayRollBack = state === 'swapped' || state === 'cancelled'
  if (action === 'start') return state === 'building' ? 'already_building' : undefined
  if (action === 'swap' && state === 'refused') return force ? undefined : 'diverges'
  if (action === 'swap') return state === 'ready' ? undefined : 'nothing_to_swap'
  if (action === 'rollback') return mayRollBack ? undefined : 'nothing_to_roll_back'
  return isOpen ? undefined : 'nothing_to_cancel'
}
