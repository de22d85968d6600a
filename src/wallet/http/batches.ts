/** Batches: up to a thousand transfers, deposits, withdrawals and postings in one request. */

import { type Static, Type } from '@sinclair/typebox'
import { problems } from '../../contract/problems'
import { refuse } from '../../platform/http/app'
import { sometimes } from '../../platform/http/headers'
import { InvalidValue } from '../../platform/http/invalid'
import { refuseKey, replayed } from '../../platform/http/keyed'
import { answer } from '../../platform/http/route'
import { closedObject, oneOf } from '../../platform/http/schemas'
import type { CommandResult } from '../domain/book'
import type { PostMoney } from '../domain/postings'
import { findTimeFault } from '../domain/timing'
import type { TransferMoney } from '../domain/transfer'
import { transferKinds } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import {
  assumedOf,
  commandRoute,
  consistencyToken,
  meaningOf,
  type Outcome,
  type Parties,
  problemOf,
  refusedBatch,
  submitCommands,
  timeErrors,
  tokenOf,
  versionsOf,
} from './commands'
import { batchExamples } from './examples/batches'
import { NewPostings, PostingsResponse, parsePostings } from './postings'
import { markOf, previewMembers, withoutId } from './previews'
import { payersIn } from './subjects'
import {
  AnyTransactionResponse,
  parseTransfer,
  presentTransaction,
  TransactionResponse,
  transactionTag as tag,
} from './transactions'
import { id, movement } from './values'

/** A transfer, a deposit or a withdrawal, with the accounts that go with it. */
const BatchMember = closedObject('NewBatchMember', {
  kind: Type.Optional({
    ...oneOf(transferKinds, '`transfer` when absent.'),
    expected: `must be one of ${transferKinds.join(', ')}; postings goes with a list of them`,
  }),
  account_id_from: Type.Optional(id('The account to debit. Absent for a deposit.')),
  account_id_to: Type.Optional(id('The account to credit. Absent for a withdrawal.')),
  ...movement,
})
/** Without a preview of its own. */
const BatchPostings = closedObject('NewBatchPostings', {
  kind: Type.Optional(
    Type.Literal('postings', { description: 'As in the answer.', expected: 'must be postings, or absent' }),
  ),
  ...NewPostings.properties,
})
const modes = ['atomic', 'best_effort'] as const
type Mode = (typeof modes)[number]
const membersMax = 1000
const NewBatch = closedObject('NewBatch', {
  mode: Type.Optional(
    oneOf(modes, '`atomic`, all or none, when absent; `best_effort` executes each on its own.'),
  ),
  transactions: Type.Array(Type.Union([BatchMember, BatchPostings]), {
    minItems: 1,
    maxItems: membersMax,
    expected: `must be a list of 1 to ${membersMax} transactions`,
    description: `1 to ${membersMax}, executed in this order. Each posting of a member counts.`,
  }),
})

/** The parts of Problem Details that say something about one member. */
const MemberProblem = closedObject('BatchMemberProblem', {
  type: Type.String({ format: 'uri-reference', description: 'As of Problem Details.' }),
  title: Type.String({ description: 'As of Problem Details.' }),
  status: Type.Integer({ minimum: 400, maximum: 599, description: 'As of Problem Details.' }),
  detail: Type.String({ description: 'As of Problem Details.' }),
  code: Type.String({ description: 'As of Problem Details.' }),
})
const MemberDone = closedObject('BatchMemberDone', {
  status: Type.Literal(201, { description: 'It was executed.' }),
  transaction: AnyTransactionResponse,
})
const MemberRefused = closedObject('BatchMemberRefused', {
  status: Type.Integer({ minimum: 400, maximum: 599, description: 'It was refused.' }),
  problem: MemberProblem,
})
const MemberResult = Type.Union([MemberDone, MemberRefused])
const BatchResponse = closedObject('Batch', {
  mode: oneOf(modes, 'The mode of the request.'),
  refused: Type.Integer({ minimum: 0, description: 'How many were refused.' }),
  results: Type.Array(MemberResult, { description: 'In the order of the request.' }),
})

/** Absent where more accounts changed than a token may name. */
const tokenHeaders = [sometimes(consistencyToken)]
const MemberPreview = closedObject('BatchMemberPreview', {
  ...MemberDone.properties,
  transaction: Type.Union([
    withoutId('TransactionToBe', TransactionResponse),
    withoutId('PostingsTransactionToBe', PostingsResponse),
  ]),
})
const preview = answer(
  closedObject('BatchPreview', {
    ...BatchResponse.properties,
    results: Type.Array(Type.Union([MemberPreview, MemberRefused]), {
      description: 'In the order of the request.',
    }),
    ...previewMembers,
  }),
)

export const batchRoutes = (wallet: Wallet) => [
  commandRoute({
    method: 'POST',
    path: '/transactions/batch',
    id: 'createBatch',
    scope: 'write',
    tag,
    summary: 'Moves money up to a thousand times, all or none, or each on its own.',
    body: NewBatch,
    responses: {
      200: answer(BatchResponse, {
        headers: tokenHeaders,
        description: 'In mode `best_effort`: some were refused.',
        preview,
      }),
      201: answer(BatchResponse, { headers: tokenHeaders, description: 'All were executed.', preview }),
    },
    problems: [problems.batchRefused],
    examples: batchExamples.createBatch,
    subjects: ({ body }) =>
      body.transactions.flatMap((one) =>
        'postings' in one
          ? one.postings.flatMap((posting) => payersIn(posting, one.currency))
          : payersIn(one, one.currency),
      ),
    async handle({ body, call }) {
      const { mode = 'atomic' } = body
      const commands = parseMembers(body.transactions, wallet.clock())
      const meaning = () => ({ mode, transactions: commands.map(meaningOf) })
      const submission = { commands, atomic: mode === 'atomic', meaning, body }
      const outcome = await submitCommands(wallet, call, submission)
      return answerBatch(call.request, outcome, { mode, commands, epoch: wallet.epoch() })
    },
  }),
]

type Member = Static<typeof NewBatch>['transactions'][number]

/** Names every member at fault, not the first only. */
function parseMembers(members: Member[], now: Date): (TransferMoney | PostMoney)[] {
  const movements = members.reduce((sum, one) => sum + ('postings' in one ? one.postings.length : 1), 0)
  if (movements > membersMax) {
    const detail = `must have at most ${membersMax} movements in all, each posting included`
    throw new InvalidValue({ pointer: '#/transactions', detail })
  }
  const parsed = members.map((member, index) => {
    try {
      return parseMember(member, now, pointerTo(index))
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error
      return error
    }
  })
  if (!parsed.some((one) => one instanceof InvalidValue)) return parsed as (TransferMoney | PostMoney)[]
  throw new InvalidValue(
    ...parsed.flatMap((one, index) =>
      one instanceof InvalidValue ? one.errors : timeErrors(findTimeFault(one, now), pointerTo(index)),
    ),
  )
}

const pointerTo = (index: number): string => `#/transactions/${index}`

function parseMember(member: Member, now: Date, at: string): TransferMoney | PostMoney {
  if ('postings' in member) return parsePostings(member, now, at)
  const { kind = 'transfer', account_id_from = null, account_id_to = null } = member
  const isRequired = { account_id_from: kind !== 'deposit', account_id_to: kind !== 'withdrawal' }
  for (const [name, account] of Object.entries({ account_id_from, account_id_to })) {
    if ((account !== null) === isRequired[name as keyof typeof isRequired]) continue
    const detail = account === null ? `${name} is missing` : `a ${kind} has no ${name}`
    throw new InvalidValue({ pointer: `${at}/${name}`, detail })
  }
  return parseTransfer({ ...member, kind, account_id_from, account_id_to }, now, at)
}

/** A refused atomic batch is a problem that names the culprit; any other has a result per command. */
function answerBatch(
  request: Request,
  outcome: Outcome,
  { mode, commands, epoch }: { mode: Mode; commands: Parties[]; epoch: number },
): Response {
  if (outcome.kind === 'invalid_time')
    throw new InvalidValue(...outcome.faults.flatMap((fault, index) => timeErrors(fault, pointerTo(index))))
  if (outcome.kind !== 'executed') return refuseKey(request, outcome)
  const { results, assumed } = outcome
  const refused = results.filter((result) => result.kind === 'rejected').length
  if (mode === 'atomic' && refused > 0) return refuseBatch(request, outcome, commands)
  const presented = results.map((result, index) => presentResult(result, partiesOf(commands, index)))
  const body: Static<typeof BatchResponse> = { mode, refused, results: presented }
  const status = refused > 0 ? 200 : 201
  if (assumed)
    return Response.json({ ...body, results: presented.map(asPreview), ...markOf(assumed) }, { status })
  const versions = results.flatMap((one) => (one.kind === 'transaction' ? versionsOf(one.legs) : []))
  const headers = { ...tokenOf(versions, epoch), ...replayed(outcome.repeated) }
  return Response.json(body, { status, headers })
}

const asPreview = (result: Static<typeof MemberResult>) =>
  'transaction' in result ? { ...result, transaction: { ...result.transaction, id: null } } : result

const partiesOf = (commands: Parties[], index: number): Parties =>
  commands[index] ?? { accountIdFrom: '', accountIdTo: '', currency: '' }

function refuseBatch(
  request: Request,
  outcome: Extract<Outcome, { kind: 'executed' }>,
  commands: Parties[],
): Response {
  const errors = outcome.results.flatMap((result, index) => {
    if (result.kind !== 'rejected' || result.rejection === 'batch_refused') return []
    const [, { detail, code = '', errors: [within] = [] }] = problemOf(result, partiesOf(commands, index))
    const isLeg = result.leg !== undefined && within !== undefined
    return { detail, code, pointer: isLeg ? within.pointer.replace('#', pointerTo(index)) : pointerTo(index) }
  })
  const [first] = errors
  const detail = `nothing was moved, because of ${first?.pointer}: ${first?.detail}`
  const headers = replayed(outcome.repeated)
  return refuse(request, problems.batchRefused, { detail, errors, headers, ...assumedOf(outcome) })
}

function presentResult(result: CommandResult, parties: Parties): Static<typeof MemberResult> {
  if (result.kind === 'transaction') return { status: 201, transaction: presentTransaction(result.legs) }
  const [kind, { detail, code = '' }] = problemOf(result.kind === 'rejected' ? result : refusedBatch, parties)
  const { title, status } = kind
  return { status, problem: { type: `/problems/${kind.name}`, title, status, detail, code } }
}
