/** Requests and answers, for documents. A test sends each. */

const frank = {
  id: 'd6a41504-bbd0-11ee-8a24-0242ac120003',
  account_id: 'd6a41504-bbd0-11ee-8a24-0242ac120003',
  balance: 1200,
  held: 0,
  available: 1200,
  status: 'open',
  overdraft_limit: 0,
  currency: 'BRL',
  version: 4,
  client_id: 'd6a3bcb9-bbd0-11ee-8a24-0242ac120003',
  owner_name: 'Frank',
  created_at: '2020-01-08T00:00:00.000Z',
  updated_at: '2024-01-27T17:13:55.000Z',
}
const ofFrank = { account_id: frank.account_id }
const ofBalance = {
  ofFrank: { params: ofFrank, status: 200, response: frank },
  atTime: {
    summary: 'At a time',
    params: ofFrank,
    query: { at: '2020-02-01T00:00:00Z' },
    status: 200,
    response: {
      id: frank.id,
      account_id: frank.account_id,
      at: '2020-02-01T00:00:00.000Z',
      time: 'recorded',
      balance: 1100,
      held: 0,
      available: 1100,
      version: 2,
      currency: 'BRL',
      complete: true,
    },
  },
  afterMovement: {
    summary: 'Not older than a movement',
    params: ofFrank,
    headers: { 'Consistency-Token': `${frank.account_id}:4`, Prefer: 'wait=2' },
    status: 200,
    response: frank,
  },
  unchanged: {
    summary: 'The caller has it already',
    params: ofFrank,
    headers: { 'If-None-Match': '*' },
    status: 304,
  },
  notYet: {
    summary: 'A movement that has not arrived',
    params: ofFrank,
    headers: { 'Consistency-Token': `${frank.account_id}:999` },
    status: 503,
    response: {
      type: '/problems/not-yet-consistent',
      detail: `account ${frank.account_id} is at version 4 here; the token asks for version 999`,
    },
  },
}

export const balanceExamples = {
  getBalance: ofBalance,
  getAccountBalance: { ofFrank: ofBalance.ofFrank },
  listBalances: {
    ofTheRich: {
      query: { currency: 'BRL', min_balance: '1000.01', limit: '2' },
      status: 200,
      response: { data: [frank], next_cursor: null },
    },
    ofOwner: {
      summary: 'By the name of the owner',
      query: { owner_name: 'fra' },
      status: 200,
      response: { data: [frank], next_cursor: null },
    },
    withoutCurrency: {
      summary: 'An amount needs a currency',
      query: { min_balance: '1000.01' },
      status: 422,
      response: {
        type: '/problems/validation',
        detail: 'currency is missing; min_balance is meant in one',
        errors: [{ detail: 'currency is missing; min_balance is meant in one', pointer: '#/currency' }],
      },
    },
  },
} as const
