/** Requests and answers, for documents. A test sends each. */

const entry = {
  account_id: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
  currency: 'BRL',
  version: 5,
  amount: -10.25,
  balance: 789.75,
  held: 0,
  available: 789.75,
  status: 'open',
  overdraft_limit: 0,
  transaction_id: '01935a52-3f4b-7c1e-a1d0-2f6f8f4f9a10',
  hold_id: null,
  counterparty_account_id: 'd6a41504-bbd0-11ee-8a24-0242ac120003',
  actor: null,
  effective_at: '2024-11-23T14:05:19.499Z',
  created_at: '2024-11-23T14:05:19.499Z',
}

export const streamExamples = {
  streamBalances: { fromNow: { status: 200, response: { event: 'balance', id: '1042:0', data: entry } } },
  streamBalance: {
    ofEva: {
      params: { account_id: entry.account_id },
      status: 200,
      response: { event: 'balance', id: '5', data: entry },
    },
    since: {
      summary: 'From after version 2',
      params: { account_id: entry.account_id },
      headers: { 'Last-Event-ID': '2' },
      status: 200,
    },
  },
} as const
