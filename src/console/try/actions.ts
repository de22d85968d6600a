/** What can be tried: each action is a request that can be shown before it is sent. Pure. */
import type { ServiceName, Settings } from '../api.ts'
import { hashOf } from '../router.ts'

export const actionNames = [
  ...(['pay', 'hold', 'capture', 'sameKey', 'payOneself'] as const),
  ...(['courseRecord', 'poisonRecord'] as const),
  ...(['pause', 'resume', 'rebuild'] as const),
  ...(['stopBroker', 'startBroker', 'killWallet', 'killBalances'] as const),
] as const
export type ActionName = (typeof actionNames)[number]

export const groups = {
  money: ['pay', 'hold', 'capture', 'sameKey', 'payOneself'],
  projection: ['pause', 'resume', 'rebuild'],
  records: ['courseRecord', 'poisonRecord'],
  processes: ['stopBroker', 'startBroker', 'killWallet', 'killBalances'],
} as const satisfies Record<string, readonly ActionName[]>
export type GroupName = keyof typeof groups

/** As it was typed and chosen. `currency` is that of the payer, where it is known. */
export type Form = { from: string; to: string; amount: string; currency: string | undefined }

export type Input = Form & {
  /** Fresh for each action. */
  key: string
  /** The last one that was placed from here. */
  hold: string | undefined
}

export type TryRequest = {
  service: ServiceName
  method: 'POST'
  path: string
  headers: Readonly<Record<string, string>>
  body?: Readonly<Record<string, unknown>>
}

type Body = Readonly<Record<string, unknown>>

type Action = {
  request(input: Input): TryRequest
  /** What has to be there, besides the service. */
  needs?: 'hold' | 'actions' | 'local'
  /** How often it is sent. */
  times?: 2
  /** The refusal is what it is tried for. */
  isRefused?: true
  /** Where what it caused is seen. Of two answers, that of the first. */
  leadsTo?(answer: Body, input: Input): string
  /** The part of that view, by its id. */
  shows?: string
  isDestructive?: true
  /** It ends the service that answers: an answer that is lost is no failure. */
  mayLoseAnswer?: true
}

const keyed = ({ key }: Input) => ({ 'idempotency-key': `"${key}"` })

const ofWallet = (path: string, input: Input, body: Body): TryRequest => ({
  ...{ service: 'wallet', method: 'POST', path, headers: keyed(input), body },
})

const ofConsole =
  (name: string) =>
  (input: Input): TryRequest => ({
    ...{ service: 'balances', method: 'POST', path: `/console/actions/${name}`, headers: keyed(input) },
  })

/** Brazilians write a comma. What else is wrong with it is for the wallet to say. */
export const amountOf = (typed: string): string => typed.trim().replace(',', '.')

/** A request without a currency means BRL. */
const movement = ({ from, to, amount, currency }: Form): Body => ({
  ...{ account_id_from: from.trim(), account_id_to: to.trim(), amount: amountOf(amount) },
  ...(currency && currency !== 'BRL' && { currency }),
})

const transfer = (input: Input) => ofWallet('/transactions', input, movement(input))
const toTransaction = (answer: Body) => hashOf(['transactions', String(answer.id)])
const toHealth = () => hashOf(['health'])
const toFlow = () => hashOf(['flow'])

export const actions: Readonly<Record<ActionName, Action>> = {
  pay: { request: transfer, leadsTo: toTransaction },
  hold: {
    request: (input) => ofWallet('/holds', input, movement(input)),
    leadsTo: (_, { from }) => hashOf(['accounts', from.trim()]),
  },
  capture: {
    request: (input) => ofWallet(`/holds/${encodeURIComponent(input.hold ?? 'HOLD_ID')}/capture`, input, {}),
    needs: 'hold',
    leadsTo: toTransaction,
  },
  sameKey: { request: transfer, times: 2, leadsTo: toTransaction },
  payOneself: {
    request: (input) => ofWallet('/transactions', input, movement({ ...input, to: input.from })),
    isRefused: true,
  },
  courseRecord: {
    request: ofConsole('course-record'),
    needs: 'actions',
    leadsTo: ({ account_ids: ids }) => hashOf(['accounts', String((ids as string[])[0])]),
  },
  poisonRecord: {
    ...{ request: ofConsole('poison-record'), needs: 'actions', leadsTo: toHealth, shows: 'dead-letters' },
  },
  pause: { request: ofConsole('pause-projection'), needs: 'actions', leadsTo: toFlow },
  resume: { request: ofConsole('resume-projection'), needs: 'actions', leadsTo: toFlow },
  rebuild: {
    request: (input) => ({
      ...{ service: 'balances', method: 'POST', path: '/rebuild', headers: keyed(input) },
      body: { action: 'start' },
    }),
    leadsTo: toHealth,
    shows: 'rebuild',
  },
  stopBroker: {
    ...{ request: ofConsole('stop-broker'), needs: 'local', leadsTo: toHealth, isDestructive: true },
  },
  startBroker: { request: ofConsole('start-broker'), needs: 'local', leadsTo: toHealth },
  killWallet: {
    ...{ request: ofConsole('kill-wallet'), needs: 'local', leadsTo: toHealth, isDestructive: true },
  },
  killBalances: {
    ...{ request: ofConsole('kill-balances'), needs: 'local', leadsTo: toHealth, isDestructive: true },
    mayLoseAnswer: true,
  },
}

/** Why a button does nothing: each has a text that says how it is allowed. */
export type Obstacle = 'starting' | 'noWallet' | 'noHold' | 'actionsOff' | 'notLocal'

export function obstacleOf(
  name: ActionName,
  settings: Pick<Settings, 'wallet_url' | 'actions' | 'local'> | undefined,
  hold: string | undefined,
): Obstacle | undefined {
  const { needs } = actions[name]
  if (!settings) return 'starting'
  if ((groups.money as readonly ActionName[]).includes(name) && settings.wallet_url === null)
    return 'noWallet'
  if (needs === 'hold') return hold === undefined ? 'noHold' : undefined
  if (needs === undefined) return undefined
  if (!settings.actions) return 'actionsOff'
  return needs === 'local' && !settings.local ? 'notLocal' : undefined
}
