/** What was tried from this page, and what came of it: kept while other views are shown. */
import { CallFailed, problemOf, type ServiceName, send } from '../api.ts'
import { createState } from '../state.ts'
import { type ActionName, actions, type Input, type TryRequest } from './actions.ts'

export type Exchange = { request: TryRequest; status: number; isReplayed: boolean; body: unknown }

export type Attempt = {
  atMs: number
  exchanges: readonly Exchange[]
  /** Of the last exchange, or why there was none. */
  error?: unknown
  /** Where what it caused is seen. */
  hash?: string
}

export const attempts = createState<Readonly<Partial<Record<ActionName, Attempt>>>>({})
/** The last hold that was placed from here, and not captured. */
export const openHold = createState<string | undefined>(undefined)

/** Never throws: a failure is part of what came of it. */
export async function attempt(name: ActionName, input: Input): Promise<Attempt> {
  const action = actions[name]
  const request = action.request(input)
  const exchanges: Exchange[] = []
  let error: unknown
  try {
    for (let nth = 0; nth < (action.times ?? 1) && error === undefined; nth++) {
      const { status, headers, body } = await send<unknown>(request.service, request.path, request)
      exchanges.push({ request, status, isReplayed: headers.has('idempotency-replayed'), body })
      if (status >= 300) error = new CallFailed(request.service, problemOf(status, body))
    }
  } catch (failure) {
    const isLost = failure instanceof CallFailed && failure.problem.status === 0
    if (!isLost || !action.mayLoseAnswer) error = failure
  }
  const first = (exchanges[0]?.body ?? {}) as Record<string, unknown>
  const hash = error === undefined ? action.leadsTo?.(first, input) : undefined
  if (error === undefined && name === 'hold') openHold.set(String(first.id))
  const isEnded = error === undefined || [404, 409].includes(exchanges[0]?.status ?? 0)
  if (name === 'capture' && isEnded) openHold.set(undefined)
  const made = { atMs: Date.now(), exchanges, ...(error !== undefined && { error }), ...(hash && { hash }) }
  attempts.set({ ...attempts.get(), [name]: made })
  return made
}

/** What the service says can be done about a kind of problem; undefined where it says nothing. */
export async function findRemedy(
  service: ServiceName,
  type: string | undefined,
): Promise<string | undefined> {
  if (!type?.startsWith('/problems/')) return undefined
  const { status, body } = await send<unknown>(service, type)
  return status === 200 ? remedyIn(String(body)) : undefined
}

/** Of the explanation of a problem: title, cause and remedy, each a paragraph. */
export const remedyIn = (explanation: string): string | undefined => explanation.split('\n\n')[2]
