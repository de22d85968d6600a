/** Actions of the console: they cause failures, and what is seen of those is the point. */

import { type Static, Type } from '@sinclair/typebox'
import { problems } from '../../contract/problems'
import { refuse } from '../../platform/http/app'
import { responseHeaders } from '../../platform/http/headers'
import { refuseOtherPages } from '../../platform/http/origins'
import { principalOf } from '../../platform/http/principal'
import { commonProblems } from '../../platform/http/problem'
import { answer, route } from '../../platform/http/route'
import { closedObject, oneOf } from '../../platform/http/schemas'
import type { Log } from '../../platform/telemetry/log'
import {
  type ActionDone,
  type ActionName,
  type ActionRefused,
  actionNames,
  type RunAction,
} from '../console/actions'
import type { Once } from '../idempotency/once'
import { consoleTag } from './console-tag'
import { consoleActionExamples } from './examples/console-actions'
import { answerOnce } from './keyed'

export type ConsoleActions = {
  /** `CONSOLE_ACTIONS`. */
  isAllowed: boolean
  run: RunAction
}

const ActionResponse = closedObject('ConsoleAction', {
  action: oneOf(actionNames, 'What was asked for.'),
  done: Type.String({ description: 'What was done.' }),
  record: Type.Optional(
    closedObject('ConsoleRecord', {
      topic: Type.String({ description: 'With the prefix of the installation.' }),
      partition: Type.Integer({ minimum: 0, description: 'Of the topic.' }),
      offset: Type.Integer({ minimum: 0, description: 'Of the partition.' }),
    }),
  ),
  account_ids: Type.Optional(
    Type.Array(Type.String(), { description: 'The accounts that the record is about.' }),
  ),
})

const present = (action: ActionName, { done, published, accounts }: ActionDone) => ({
  action,
  done,
  ...(published && { record: { ...published, offset: Number(published.offset) } }),
  ...(accounts && { account_ids: accounts }),
})

/** As it is stored under a key. */
type StoredAnswer = { body: Static<typeof ActionResponse> } | ActionRefused

const codes = { needs_local_run: 'NEEDS_LOCAL_RUN', not_possible: 'NOT_POSSIBLE' } as const

export const consoleActionRoutes = (actions: ConsoleActions, once: Once, log: Log) => [
  route({
    method: 'POST',
    path: '/console/actions/:name',
    id: 'runConsoleAction',
    scope: 'admin',
    tag: consoleTag,
    summary: 'Pauses the projection, publishes a poison record, stops the broker …: for demonstrations.',
    description:
      'Only with `CONSOLE_ACTIONS=true`, and for no page but the console: a `Sec-Fetch-Site` other than ' +
      '`same-origin` is refused, also for pages in `CORS_ORIGINS`. `stop-broker`, `start-broker`, ' +
      '`kill-wallet` and `kill-balances` are done by `npm start`, and refused elsewhere.',
    params: { name: Type.String({ description: `One of ${actionNames.join(', ')}.` }) },
    responses: {
      200: answer(ActionResponse, { headers: [responseHeaders.cacheControl('no-store')] }),
    },
    problems: [commonProblems.notFound, problems.consoleActionsOff, problems.consoleActionNotPossible],
    examples: consoleActionExamples.runConsoleAction,
    async handle({ params, ...call }) {
      const { request } = call
      const foreign = refuseOtherPages(request)
      if (foreign) return refuse(request, commonProblems.originNotAllowed, { detail: foreign.detail })
      if (!actions.isAllowed)
        return refuse(request, problems.consoleActionsOff, {
          detail: 'CONSOLE_ACTIONS is not true at this service',
        })
      const name = actionNames.find((one) => one === params.name)
      if (!name)
        return refuse(request, commonProblems.notFound, { detail: `there is no action ${params.name}` })
      return answerOnce<StoredAnswer>(
        once,
        { ...call, params },
        {
          meaning: { action: name },
          async act(store) {
            log.warn({ action: name, actor: principalOf(request)?.name }, `console: ${name}`)
            const result = await actions.run(name)
            await store('refusal' in result ? result : { body: present(name, result) })
          },
          present: (stored, headers) =>
            'refusal' in stored
              ? refuse(request, problems.consoleActionNotPossible, {
                  detail: stored.detail,
                  code: codes[stored.refusal],
                  headers,
                })
              : Response.json(stored.body, { headers: { 'cache-control': 'no-store', ...headers } }),
        },
      )
    },
  }),
]
