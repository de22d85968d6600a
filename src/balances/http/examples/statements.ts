/** Requests and answers, for documents. A test sends each. */

const ofEva = { account_id: 'd6a41403-bbd0-11ee-8a24-0242ac120003' }
const entry = {
  version: 4,
  amount: -50,
  balance: 800,
  held: 0,
  available: 800,
  status: 'open',
  overdraft_limit: 0,
  transaction_id: '018d4be9-c4e0-7a17-9a31-a41e86ac2bb6',
  hold_id: null,
  counterparty_account_id: 'd6a41504-bbd0-11ee-8a24-0242ac120003',
  actor: null,
  effective_at: '2024-01-27T17:13:55.000Z',
  created_at: '2024-01-27T17:13:55.000Z',
}

export const statementExamples = {
  getStatement: {
    ofEva: {
      params: ofEva,
      query: { limit: '1', until: '2024-02-01T00:00:00Z' },
      status: 200,
      response: {
        ...ofEva,
        currency: 'BRL',
        complete: true,
        data: [entry],
        next_cursor: 'WyI0OjQiLCJxd2VydHkiXQ',
      },
    },
  },
  explainBalance: {
    ofEva: {
      params: ofEva,
      query: { limit: '1' },
      status: 200,
      response: {
        id: ofEva.account_id,
        ...ofEva,
        at: '2024-01-27T17:13:55.000Z',
        time: 'recorded',
        balance: 800,
        held: 0,
        available: 800,
        version: 4,
        currency: 'BRL',
        complete: true,
        closing: 800,
        data: [entry],
        opening: 850,
        next_cursor: 'WyIxNzA2Mzc1NjM1MDAwOjQ6NDo4NTAwMCJd',
      },
    },
  },
} as const
