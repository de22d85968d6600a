/** Requests and answers, for documents. A test sends each. */

const transaction = '01935a52-3f4b-7c1e-a1d0-2f6f8f4f9a10'
const [payer, payee] = ['d6a41403-bbd0-11ee-8a24-0242ac120003', 'd6a41504-bbd0-11ee-8a24-0242ac120003']

const lane = {
  key: `${transaction} ${payer} ${payee}`,
  name: 'BalanceUpdated',
  transaction_id: transaction,
  hold_id: null,
  trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
  amount: 10.25,
  currency: 'BRL',
  account_id_from: payer,
  account_id_to: payee,
  topic: 'balances',
  partition: 1,
  offset: 42,
  outcome: 'applied',
  dead_letter: null,
  hops: {
    requested: 1732370719497.1,
    decided: 1732370719499,
    appended: 1732370719502.9,
    published: 1732370719504.2,
    received: 1732370719509.8,
    applied: 1732370719514.3,
    visible: 1732370719514.4,
  },
}

export const consoleFlowExamples = {
  streamFlow: {
    fromNow: { status: 200, response: { event: 'lane', id: '1f0c2ab9-17', data: lane } },
    ofEva: {
      summary: 'Only one account',
      query: { account: payer },
      status: 200,
    },
  },
} as const
