/** Changes of an account: freezing, closing, and its overdraft limit. */
import { Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { problems } from '../../contract/problems'
import { answer } from '../../platform/http/route'
import { closedObject, oneOf } from '../../platform/http/schemas'
import type { AccountStatus } from '../domain/account'
import type { Command } from '../domain/book'
import type { Wallet } from '../ledger/ledger'
import { findAccount } from '../ledger/store/rows'
import {
  AccountResponse,
  overdraftLimit,
  parseOverdraftLimit,
  presentAccount,
  refuseAccount,
  tag,
} from './accounts'
import { answerCommand, type Call, commandRoute, consistencyToken, type Responder } from './commands'
import { accountExamples } from './examples/accounts'
import { Reference } from './text'
import { findById, pathId } from './values'

const reference = Type.Optional(Reference)
const scopes = ['all', 'debits'] as const
const statusOf = { all: 'frozen', debits: 'debits_frozen' } as const

const NewFreeze = closedObject('NewFreeze', {
  scope: Type.Optional(
    oneOf(scopes, '`all`, if absent: nothing leaves the account or reaches it. `debits`: nothing leaves it.'),
  ),
  reference,
})
const NewUnfreeze = closedObject('NewUnfreeze', { reference })
const NewClosing = closedObject('NewClosing', { reference })
const AccountUpdate = closedObject('AccountUpdate', {
  overdraft_limit: overdraftLimit('How far below zero it may go from now on, in major units.'),
  reference,
})

/** What all of these routes have in common. */
const shared = {
  tag,
  params: { id: pathId('The account.') },
  responses: { 200: answer(AccountResponse, { headers: [consistencyToken] }) },
} as const

export const accountChangeRoutes = (wallet: Wallet) => [
  commandRoute({
    ...shared,
    method: 'PATCH',
    path: '/accounts/:id',
    id: 'updateAccount',
    scope: 'write',
    summary: 'Changes the overdraft limit of an account.',
    body: AccountUpdate,
    problems: [problems.accountNotFound, problems.accountClosed, problems.overdraftInUse],
    examples: accountExamples.updateAccount,
    handle: ({ body, call }) =>
      answerChange(wallet, call, body, (common) => ({
        ...common,
        type: 'overdraft',
        overdraftLimitMinor: parseOverdraftLimit(body.overdraft_limit, common.currency),
      })),
  }),
  commandRoute({
    ...shared,
    method: 'POST',
    path: '/accounts/:id/freeze',
    id: 'freezeAccount',
    scope: 'write',
    summary: 'Freezes an account. Open holds stay, and can be released, but not captured.',
    body: NewFreeze,
    problems: [problems.accountNotFound, problems.accountClosed],
    examples: accountExamples.freezeAccount,
    handle: ({ body, call }) => answerStatus(wallet, call, body, statusOf[body.scope ?? 'all']),
  }),
  commandRoute({
    ...shared,
    method: 'POST',
    path: '/accounts/:id/unfreeze',
    id: 'unfreezeAccount',
    scope: 'write',
    summary: 'Unfreezes an account.',
    body: NewUnfreeze,
    problems: [problems.accountNotFound, problems.accountClosed],
    examples: accountExamples.unfreezeAccount,
    handle: ({ body, call }) => answerStatus(wallet, call, body, 'open'),
  }),
  commandRoute({
    ...shared,
    method: 'POST',
    path: '/accounts/:id/close',
    id: 'closeAccount',
    scope: 'write',
    summary: 'Closes an account for good. Its balance has to be zero, and no hold may be open.',
    body: NewClosing,
    problems: [problems.accountNotFound, problems.accountNotEmpty],
    examples: accountExamples.closeAccount,
    handle: ({ body, call }) => answerStatus(wallet, call, body, 'closed'),
  }),
]

type Common = { id: string; accountId: string; currency: string; reference: string | null }
type Body = { reference?: string | null | undefined }

const answerStatus = (wallet: Wallet, call: Call, body: Body, status: AccountStatus) =>
  answerChange(wallet, call, body, (common) => ({ ...common, type: 'status', status }))

/** Reads what never changes of an account. Its state is looked at later, in the ledger. */
async function answerChange(
  wallet: Wallet,
  call: Call,
  body: Body,
  commandOf: (common: Common) => Command,
): Promise<Response> {
  const { id } = call.params as { id: string }
  const account = await findById(id, (accountId) => findAccount(wallet.database, accountId))
  if (!account) return refuseAccount(call.request, id)
  const command = commandOf({
    id: randomUUIDv7('hex', wallet.clock()),
    accountId: account.id,
    currency: account.currency,
    reference: body.reference ?? null,
  })
  return answerCommand(wallet, call, { command, body }, respondWithChanged)
}

const respondWithChanged: Responder<'account'> = {
  kind: 'account',
  present: ({ account }) => ({ body: presentAccount(account), versions: [[account.id, account.version]] }),
}
